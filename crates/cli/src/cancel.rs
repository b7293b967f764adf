//! `lade cancel`: ends a job before its work is done.

use std::process::ExitCode;

use model::error::Result;

use crate::client::server::Choice;
use crate::job::show;
use crate::serve;
use crate::{say, say_text};

/// Options of `lade cancel`.
#[derive(clap::Args)]
#[command(
    after_help = "A job that runs ends within about a second. Whatever it did is undone: nothing of an import is listed, no \
    file of an export appears. One that is past this point goes on, and the command fails.\n\nExample:
  lade cancel arn:aws:personalize:us-east-1:000000000000:dataset-export-job/nightly"
)]
pub struct Args {
    /// ARN of the job
    job_arn: String,

    /// Print the job as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(cancel(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn cancel(args: &Args) -> Result<()> {
    let job = args.server.client("PERSONALIZE")?.cancel_job(&args.job_arn).await?;
    if args.json {
        say!("{}", job.raw);
    } else {
        say_text!("{}", show::whole(&job));
    }
    Ok(())
}
