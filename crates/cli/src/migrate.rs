//! `lade migrate`: dataset groups moved in from Amazon Personalize or another Lade, and out to it.

mod bring;
mod build;
mod check;
mod compare;
mod export;
mod from_aws;
mod moving;
mod patience;
mod plan;
mod put;
mod report;
mod rows;
mod script;
mod side;
mod source;
mod state;
mod tell;
mod to_aws;

use std::process::ExitCode;

use model::error::Result;

use self::tell::tell;
use crate::{say, serve};

/// Options of `lade migrate`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade migrate to-aws --group shop --out shop-for-aws
  lade migrate from-aws --all --source-region eu-west-1 --source-profile shop --staging s3://my-bucket/lade/ \\
      --source-role-arn arn:aws:iam::111122223333:role/PersonalizeExport --dry-run")]
pub struct Args {
    #[command(subcommand)]
    way: Way,
}

#[derive(clap::Subcommand)]
enum Way {
    /// Bring dataset groups of Amazon Personalize, or of another Lade, to this server.
    FromAws(Box<from_aws::Args>),
    /// Write a folder with a dataset group and a script that imports it into Amazon Personalize.
    ToAws(to_aws::Args),
}

/// Exits with 1 when something is missing or differs.
pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(migrate(args)));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            tell!("lade: not all records are there as they are at the source");
            ExitCode::FAILURE
        }
        Err(error) => crate::failed(&error),
    }
}

async fn migrate(args: &Args) -> Result<bool> {
    match &args.way {
        Way::FromAws(args) => {
            let report = from_aws::run(args).await?;
            if args.json {
                say!("{}", serde_json::json!(report));
            } else {
                report::show(&report);
            }
            Ok(report.is_same)
        }
        Way::ToAws(args) => to_aws::run(args).await.map(|()| true),
    }
}
