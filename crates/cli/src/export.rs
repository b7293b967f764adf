//! `lade export`: creates an export job, as any client would, and follows it to its end.

mod user;

use std::path::Path;
use std::process::ExitCode;

use model::error::{Error, Result};
use serde_json::{Value, json};

use crate::client::server::Choice;
use crate::import::rejects;
use crate::job::watch;
use crate::serve;

/// Options of `lade export`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  lade export arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS s3://my-bucket/out/ \\
      --role-arn arn:aws:iam::000000000000:role/Export --mode ALL")]
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
    #[arg(long, value_name = "USER_ID", conflicts_with_all = ["role_arn", "kms_key_arn", "name", "tags", "no_wait", "json"])]
    user: Option<String>,

    /// Which records: those of imports (BULK), those put one by one (PUT), or both
    #[arg(long, default_value = "ALL", ignore_case = true, value_parser = ["ALL", "BULK", "PUT"])]
    mode: String,

    /// Key of KMS to encrypt the files with
    #[arg(long, value_name = "ARN")]
    kms_key_arn: Option<String>,

    #[command(flatten)]
    more: NewJob,
}

/// Options of every command that creates a job.
#[derive(clap::Args)]
pub struct NewJob {
    /// Name of the job [default: made of its kind and the time]
    #[arg(long)]
    name: Option<String>,

    /// Tag of the job; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,

    /// Return when the job is created
    #[arg(long)]
    no_wait: bool,

    /// Print the job as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

pub fn run(args: Args) -> ExitCode {
    match &args.user {
        Some(user) => user::run(&args.more.server, &args.dataset_arn, user, args.path.as_deref()),
        None => args.more.create("Export", args.input()),
    }
}

impl Args {
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

impl NewJob {
    /// Creates a job and follows it; `kind` is `Import` or `Export`.
    pub fn create(&self, kind: &str, input: Value) -> ExitCode {
        self.create_and_save(kind, input, None)
    }

    /// As `create`, and saves the rows that an import left out.
    pub fn create_and_save(&self, kind: &str, input: Value, rejects: Option<&Path>) -> ExitCode {
        let done = serve::runtime()
            .and_then(|runtime| runtime.block_on(self.create_and_follow(kind, input, rejects)));
        done.unwrap_or_else(|error| crate::failed(&error))
    }

    async fn create_and_follow(
        &self,
        kind: &str,
        mut input: Value,
        rejects: Option<&Path>,
    ) -> Result<ExitCode> {
        let client = self.server.client("PERSONALIZE")?;
        input["jobName"] = json!(self.name(kind));
        // What a command chooses by itself comes before what is given.
        let mut tags = input["tags"].as_array().cloned().unwrap_or_default();
        tags.extend(self.tags.iter().map(|(key, value)| json!({ "tagKey": key, "tagValue": value })));
        input["tags"] = json!(tags);
        let created = client.personalize(&format!("CreateDataset{kind}Job"), input).await?;
        let arn = created[format!("dataset{kind}JobArn")].as_str().map(str::to_owned);
        let arn = arn.ok_or_else(|| Error::unavailable("the server's answer names no job"))?;
        if self.no_wait && !self.json {
            println!("{arn}");
            return Ok(ExitCode::SUCCESS);
        }
        if self.no_wait {
            return watch::tell(&client.job(&arn).await?, true);
        }
        let followed = watch::until_ended(&client, &arn, self.json).await;
        match rejects {
            Some(file) => rejects::save(&client, &arn, file).await.and(followed),
            None => followed,
        }
    }

    fn name(&self, kind: &str) -> String {
        let now_ms = model::Clock::now_ms(&model::clock::SystemClock);
        self.name.clone().unwrap_or_else(|| format!("{}-{now_ms}", kind.to_lowercase()))
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a tag is KEY=VALUE")?;
    if key.is_empty() {
        Err("a tag needs a key before its =".to_owned())
    } else {
        Ok((key.into(), value.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_tag_is_cut_at_its_first_equals_sign() {
        assert_eq!(tag("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(tag("a=").unwrap().1, "");
        assert!(tag("a").is_err() && tag("=b").is_err());
    }
}
