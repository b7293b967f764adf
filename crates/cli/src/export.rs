//! `lade export`: creates an export job, as any client would, and follows it to its end.

pub mod download;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use model::Error;
use serde_json::{Value, json};

use crate::job::create::{NewJob, Then};
use download::Download;

/// Options of `lade export`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade export arn:aws:personalize:us-east-1:000000000000:dataset/shop/ITEMS s3://my-bucket/out/ \\
      --role-arn arn:aws:iam::000000000000:role/Export --download ./items/
  lade export arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS --user u-17 > u-17.csv
  lade export arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS s3://my-bucket/out/ \\
      --role-arn arn:aws:iam::000000000000:role/Export --mode ALL --format parquet --where TIMESTAMP:ge:1700000000")]
pub struct Args {
    /// ARN of the dataset; with --user also of a dataset group
    dataset_arn: String,

    /// Folder for the export, s3://BUCKET/PREFIX/; its files go to PREFIX/NAME/
    #[arg(value_name = "S3_PATH", required_unless_present = "user")]
    path: Option<String>,

    /// Role that may write there
    #[arg(long, value_name = "ARN", required_unless_present = "user")]
    role_arn: Option<String>,

    /// Write the records of this user alone, at once, to a local folder given for S3_PATH or to standard output
    #[arg(long, value_name = "USER_ID", conflicts_with_all = ["role_arn", "kms_key_arn", "name", "tags", "wait", "no_wait", "json", "download",
        "mode", "format", "compression", "columns", "terms", "since", "file_size", "losers", "force"])]
    user: Option<String>,

    /// Which records: those of imports (BULK), those put one by one (PUT), or both
    #[arg(long, default_value = "ALL", ignore_case = true, value_parser = ["ALL", "BULK", "PUT"])]
    mode: String,

    /// Key of KMS to encrypt the files with
    #[arg(long, value_name = "ARN")]
    kms_key_arn: Option<String>,

    /// How records are written: csv, jsonl or parquet [tag lade:format]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,

    /// How files are compressed: none, gzip or zstd [tag lade:compression]
    #[arg(long, value_name = "HOW")]
    compression: Option<String>,

    /// Columns, in this order; may add _SEQ and _ORIGIN [tag lade:columns]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    columns: Vec<String>,

    /// Keep records whose field is so: FIELD:operator:value; may be given several times, and all have to hold [tag
    /// lade:where]
    #[arg(long = "where", value_name = "TERM")]
    terms: Vec<String>,

    /// Only what came since this export, by name or ARN [tag lade:since]
    #[arg(long, value_name = "JOB")]
    since: Option<String>,

    /// Mean size of the files, such as 64MiB [tag lade:file-size]
    #[arg(long, value_name = "SIZE")]
    file_size: Option<String>,

    /// Write what is left out, too, with the rule that left it out [tag lade:losers]
    #[arg(long)]
    losers: bool,

    /// Download the files and the manifest to this folder when the job has ended, and prove that they are what was written
    #[arg(long, value_name = "DIR", conflicts_with = "no_wait")]
    download: Option<PathBuf>,

    /// Download to a folder that holds files of these names, or of another export, which are replaced
    #[arg(long, requires = "download")]
    force: bool,

    #[command(flatten)]
    more: NewJob,
}

pub fn run(mut args: Args) -> ExitCode {
    if let Some(user) = &args.user {
        return user::run(args.more.server(), &args.dataset_arn, user, args.path.as_deref());
    }
    let options = args.options();
    args.more.tags.extend(options);
    match &args.download {
        Some(_) if args.more.tags.iter().any(leaves_no_manifest) => crate::failed(&Error::invalid(
            "--download proves the files by their manifest, and this export would have none: leave out the tag lade:output or \
             lade:manifest",
        )),
        Some(folder) => {
            let download = Download { folder, is_forced: args.force };
            args.more.create_and_then("Export", args.input(), &Then::Download(download))
        }
        None => args.more.create("Export", args.input()),
    }
}

fn leaves_no_manifest((key, value): &(String, String)) -> bool {
    matches!((key.as_str(), value.as_str()), ("lade:manifest", "off") | ("lade:output", "digest"))
}

impl Args {
    // Each flag is a tag, which any client can send.
    fn options(&self) -> Vec<(String, String)> {
        let columns = (!self.columns.is_empty()).then(|| self.columns.join(" "));
        let given = [
            ("format", self.format.clone()),
            ("compression", self.compression.clone()),
            ("columns", columns),
            ("since", self.since.clone()),
            ("file-size", self.file_size.clone()),
            ("losers", self.losers.then(|| "true".to_owned())),
        ];
        let named = given.into_iter().filter_map(|(name, value)| Some((format!("lade:{name}"), value?)));
        let where_key =
            |n: usize| if n == 0 { "lade:where".to_owned() } else { format!("lade:where-{}", n + 1) };
        let terms = self.terms.iter().enumerate().map(|(n, term)| (where_key(n), term.clone()));
        named.chain(terms).collect()
    }

    fn input(&self) -> Value {
        let mut destination = json!({ "path": self.path });
        if let Some(key) = &self.kms_key_arn {
            destination["kmsKeyArn"] = json!(key);
        }
        json!({
            "datasetArn": self.dataset_arn, "roleArn": self.role_arn, "ingestionMode": self.mode.to_uppercase(),
            "jobOutput": { "s3DataDestination": destination },
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_records_of_one_user_are_all_of_them() {
        for more in
            ["--mode BULK", "--format jsonl", "--columns A", "--where A:null", "--since x", "--losers"]
        {
            let line = format!("lade arn --user u {more}");
            assert!(Line::try_parse_from(line.split(' ')).is_err(), "{more}");
        }
        assert!(Line::try_parse_from("lade arn --user u".split(' ')).is_ok());
    }

    #[test]
    fn flags_are_tags() {
        let line = "lade arn s3://b/p --role-arn r --format jsonl --columns A,_SEQ --where A:null --where B:eq:x y --losers";
        let line: Vec<&str> = line.split(' ').collect();
        // A value may hold blanks.
        let (last, first) = line.split_last().unwrap();
        let (y, first) = first.split_last().unwrap();
        let (term, first) = first.split_last().unwrap();
        let term = format!("{term} {y}");
        let args = first.iter().copied().chain([term.as_str(), *last]);
        let options = Line::parse_from(args).args.options();
        let expected = [
            ("lade:format", "jsonl"),
            ("lade:columns", "A _SEQ"),
            ("lade:losers", "true"),
            ("lade:where", "A:null"),
            ("lade:where-2", "B:eq:x y"),
        ];
        assert_eq!(options, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
