//! `lade import`: creates an import job, as any client would, and follows it to its end.

pub mod rejects;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::job::create::{NewJob, Then};

/// Options of `lade import`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  lade import arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS s3://my-bucket/in/ \\
      --role-arn arn:aws:iam::000000000000:role/Import --mode FULL")]
pub struct Args {
    /// ARN of the dataset
    dataset_arn: String,

    /// A CSV file or a folder of them, s3://BUCKET/KEY
    #[arg(value_name = "S3_PATH")]
    path: String,

    /// Role that may read there
    #[arg(long, value_name = "ARN")]
    role_arn: String,

    /// Whether earlier imports are replaced (FULL) or added to (INCREMENTAL)
    #[arg(long, default_value = "FULL", ignore_case = true, value_parser = ["FULL", "INCREMENTAL"])]
    mode: String,

    /// Write the report of the group's metric attribution
    #[arg(long)]
    publish_attribution_metrics: bool,

    /// Leave out up to so many rows that are wrong, instead of failing for the first
    #[arg(long, value_name = "ROWS")]
    tolerance: Option<u64>,

    /// Read and check everything, and import nothing
    #[arg(long)]
    validate_only: bool,

    /// File for the rows that were left out: once mended, it can be imported
    #[arg(long, value_name = "FILE", conflicts_with = "no_wait")]
    rejects: Option<PathBuf>,

    #[command(flatten)]
    more: NewJob,
}

pub fn run(mut args: Args) -> ExitCode {
    let options = args.options();
    args.more.tags.extend(options);
    let then = args.rejects.as_deref().map_or(Then::Nothing, Then::SaveRejects);
    args.more.create_and_then("Import", args.input(), &then)
}

impl Args {
    // Each flag is a tag, which any client can send.
    fn options(&self) -> Vec<(String, String)> {
        let tolerance = self.tolerance.map(|rows| ("lade:tolerance".to_owned(), rows.to_string()));
        let validate_only = self.validate_only.then(|| ("lade:validate-only".to_owned(), "true".to_owned()));
        tolerance.into_iter().chain(validate_only).collect()
    }

    fn input(&self) -> Value {
        let mut input = json!({
            "datasetArn": self.dataset_arn, "roleArn": self.role_arn, "importMode": self.mode.to_uppercase(),
            "dataSource": { "dataLocation": self.path },
        });
        if self.publish_attribution_metrics {
            input["publishAttributionMetricsToS3"] = json!(true);
        }
        input
    }
}
