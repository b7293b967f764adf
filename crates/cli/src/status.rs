//! `lade status`: how far jobs are, and what became of the last ones.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use model::error::Result;
use serde_json::{Value, json};

use crate::client::Client;
use crate::client::job::Wanted;
use crate::client::server::Choice;
use crate::job::{Job, State, show, watch};
use crate::serve;
use crate::{out, say};

/// How many jobs of each dataset are shown that have ended.
const LAST: usize = 3;
const POLL: Duration = Duration::from_secs(1);

/// Options of `lade status`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade status
  lade status arn:aws:personalize:us-east-1:000000000000:dataset-export-job/nightly --watch")]
pub struct Args {
    /// ARN of a job [default: all jobs that have not ended, and the last ones of each dataset]
    job_arn: Option<String>,

    /// Go on until all of it has ended
    #[arg(long)]
    watch: bool,

    /// Print JSON: the job, or one job a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// Exits with 1 when the job that was asked for has failed.
pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(status(args)));
    done.unwrap_or_else(|error| crate::failed(&error))
}

async fn status(args: &Args) -> Result<ExitCode> {
    let client = args.server.client("PERSONALIZE")?;
    match &args.job_arn {
        Some(arn) if args.watch => watch::until_ended(&client, arn, args.json).await,
        Some(arn) => watch::tell(&client.job(arn).await?, args.json),
        None => all(&client, args).await,
    }
}

async fn all(client: &Client, args: &Args) -> Result<ExitCode> {
    let mut printed: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let jobs = gather(client).await?;
        for job in &jobs {
            let line = if args.json {
                job.raw.to_string()
            } else {
                format!("{}\n  {}", show::line(job), job.members.job_arn)
            };
            // What has not changed since the last round is not told again.
            if printed.insert(job.members.job_arn.clone(), line.clone()).as_ref() != Some(&line) {
                say!("{line}");
            }
        }
        if jobs.is_empty() && !args.json {
            say!("There are no jobs.");
        }
        if !args.watch || out::is_closed() || jobs.iter().all(|job| job.state() != State::Open) {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// All jobs that have not ended, then the last ones of each dataset, each job once.
async fn gather(client: &Client) -> Result<Vec<Job>> {
    let mut jobs = client.jobs(Wanted::Open).await?;
    for arn in dataset_arns(client).await? {
        for job in client.jobs(Wanted::LastOf { dataset_arn: &arn, count: LAST }).await? {
            if jobs.iter().all(|other| other.members.job_arn != job.members.job_arn) {
                jobs.push(job);
            }
        }
    }
    Ok(jobs)
}

async fn dataset_arns(client: &Client) -> Result<Vec<String>> {
    let mut arns = Vec::new();
    let mut input = json!({});
    loop {
        let page = client.personalize("ListDatasets", input).await?;
        let listed = page["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
        arns.extend(listed.iter().filter_map(|dataset| dataset["datasetArn"].as_str().map(str::to_owned)));
        match &page["nextToken"] {
            Value::String(token) => input = json!({ "nextToken": token }),
            _ => return Ok(arns),
        }
    }
}
