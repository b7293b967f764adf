//! One of the two services that records move between: calls to it that are made again where it is busy.

use model::error::{Error, Result};
use serde_json::{Value, json};

use super::patience::{Pauses, patiently, when_there_is_room};
use super::tell::tell;
use crate::client::Client;

pub struct Side {
    /// What people are told: its address.
    pub name: String,
    /// Personalize and its events.
    pub control: Client,
    /// S3.
    pub objects: Client,
    /// Whether it knows more than the service: then actions can be exported, too.
    pub is_lade: bool,
}

impl Side {
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value> {
        let told = |cause: Error| {
            let text = format!("{operation} at {}: {}", self.name, cause.message());
            Error::new(cause.kind, text).caused_by(cause)
        };
        patiently(|| self.control.personalize(operation, input.clone())).await.map_err(told)
    }

    /// Makes a job; where there is no room for one, waits for it.
    pub async fn create_job(&self, operation: &str, input: Value) -> Result<Value> {
        let told = |cause: Error| {
            let text = format!("{operation} at {}: {}", self.name, cause.message());
            Error::new(cause.kind, text).caused_by(cause)
        };
        let waiting = |cause: &Error| tell!("waiting for room at {}: {}", self.name, cause.message());
        let call = || self.control.personalize(operation, input.clone());
        when_there_is_room(call, waiting).await.map_err(told)
    }

    /// All pages of a list.
    pub async fn list(&self, operation: &str, member: &str, input: Value) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut input = input;
        input["maxResults"] = json!(100);
        loop {
            let page = self.call(operation, input.clone()).await?;
            all.extend(page[member].as_array().cloned().unwrap_or_default());
            match page["nextToken"].as_str() {
                Some(token) => input["nextToken"] = json!(token),
                None => return Ok(all),
            }
        }
    }

    /// The ARN of what bears a name in a list.
    pub async fn find(
        &self,
        operation: &str,
        (member, name_member, arn_member): (&str, &str, &str),
        input: Value,
        name: &str,
    ) -> Result<Option<String>> {
        let listed = self.list(operation, member, input).await?;
        let found = listed.iter().find(|listed| listed[name_member] == name);
        Ok(found.and_then(|found| found[arn_member].as_str()).map(str::to_owned))
    }

    /// Describes something until it is ACTIVE.
    ///
    /// # Errors
    /// `Invalid` with the reason when it failed.
    pub async fn until_active(&self, operation: &str, input: Value, member: &str) -> Result<Value> {
        self.until_over(operation, input, member).await?
    }

    /// Describes something until it is ACTIVE or has failed, which is the inner error.
    ///
    /// # Errors
    /// When nobody can tell.
    pub async fn until_over(&self, operation: &str, input: Value, member: &str) -> Result<Result<Value>> {
        let mut pauses = Pauses::new();
        loop {
            let mut answer = self.call(operation, input.clone()).await?;
            let found = answer[member].take();
            match found["status"].as_str() {
                Some("ACTIVE") => return Ok(Ok(found)),
                Some(status) if status.contains("FAILED") => {
                    let reason = found["failureReason"].as_str().unwrap_or("no reason was given");
                    let text = format!("{input} became {status} at {}: {reason}", self.name);
                    return Ok(Err(Error::invalid(text)));
                }
                _ => pauses.pause().await,
            }
        }
    }

    pub async fn tags(&self, arn: &str) -> Result<Vec<Value>> {
        let answer = self.call("ListTagsForResource", json!({ "resourceArn": arn })).await?;
        let tags = answer["tags"].as_array().cloned().unwrap_or_default();
        // Those of AWS itself can't be given by anybody else.
        let is_own = |tag: &Value| !tag["tagKey"].as_str().unwrap_or_default().starts_with("aws:");
        Ok(tags.into_iter().filter(is_own).collect())
    }
}

/// A member of an answer that has to be there.
pub fn text(answer: &Value, member: &str) -> Result<String> {
    let text = answer[member].as_str().map(str::to_owned);
    text.ok_or_else(|| Error::unavailable(format!("an answer has no {member}: {answer}")))
}
