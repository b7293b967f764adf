//! What all commands that create a job have in common: its name and tags, the call, and following it to its end.

use std::path::Path;
use std::process::ExitCode;

use model::error::{Error, Result};
use serde_json::{Value, json};

use super::watch;
use crate::client::server::Choice;
use crate::export::download::Download;
use crate::import::rejects;
use crate::say;
use crate::serve;

/// Options of every command that creates a job.
#[derive(clap::Args)]
pub struct NewJob {
    /// Name of the job [default: made of its kind and the time]
    #[arg(long)]
    name: Option<String>,

    /// Tag of the job; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,

    /// Wait until the job has ended, which is what happens without it
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,

    /// Return when the job is created
    #[arg(long)]
    no_wait: bool,

    /// Print the job as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

/// What is done when the job has ended.
pub enum Then<'a> {
    Nothing,
    /// The rows that an import left out are saved to a file.
    SaveRejects(&'a Path),
    /// The files of an export are downloaded.
    Download(Download<'a>),
}

impl NewJob {
    /// Creates a job and follows it; `kind` is `Import` or `Export`.
    pub fn create(&self, kind: &str, input: Value) -> ExitCode {
        self.create_and_then(kind, input, &Then::Nothing)
    }

    /// As `create`, and does one thing more when the job has ended.
    pub fn create_and_then(&self, kind: &str, input: Value, then: &Then<'_>) -> ExitCode {
        let done =
            serve::runtime().and_then(|runtime| runtime.block_on(self.create_and_follow(kind, input, then)));
        done.unwrap_or_else(|error| crate::failed(&error))
    }

    /// The server that was chosen.
    pub fn server(&self) -> &Choice {
        &self.server
    }

    async fn create_and_follow(&self, kind: &str, mut input: Value, then: &Then<'_>) -> Result<ExitCode> {
        if let Then::Download(download) = then {
            download.check_folder()?;
        }
        let client = self.server.client("PERSONALIZE")?;
        input["jobName"] = json!(self.name(kind));
        let tags: Vec<Value> =
            self.tags.iter().map(|(key, value)| json!({ "tagKey": key, "tagValue": value })).collect();
        input["tags"] = json!(tags);
        let created = client.personalize(&format!("CreateDataset{kind}Job"), input).await?;
        let arn = created[format!("dataset{kind}JobArn")].as_str().map(str::to_owned);
        let arn = arn.ok_or_else(|| Error::unavailable("the server's answer names no job"))?;
        if self.no_wait && !self.json {
            say!("{arn}");
            return Ok(ExitCode::SUCCESS);
        }
        if self.no_wait {
            return watch::tell(&client.job(&arn).await?, true);
        }
        let followed = watch::until_ended(&client, &arn, self.json).await;
        match then {
            Then::Nothing => followed,
            Then::SaveRejects(file) => rejects::save(&client, &arn, file).await.and(followed),
            Then::Download(download) if followed.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS) => {
                download.fetch(&self.server, &client.job(&arn).await?).await.and(followed)
            }
            Then::Download(_) => followed,
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
