//! `lade import`: creates an import job, as any client would, and follows it to its end.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::job::create::NewJob;

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

    #[command(flatten)]
    more: NewJob,
}

pub fn run(args: Args) -> ExitCode {
    args.more.create("Import", args.input())
}

impl Args {
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
