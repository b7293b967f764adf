//! Jobs as the server shows them under `/lade/v1/jobs`.

use bytes::Bytes;
use http::Method;
use model::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Client, Plain};
use crate::job::Job;

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which jobs are listed.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// All that have not ended.
    Open,
    /// The newest of a dataset.
    LastOf { dataset_arn: &'a str, count: usize },
}

impl Client {
    pub async fn job(&self, arn: &str) -> Result<Job> {
        Job::read(self.lade(Method::GET, &format!("/jobs/{}", segment(arn))).await?)
    }

    /// Cancels a job; it may still be running when this returns.
    pub async fn cancel_job(&self, arn: &str) -> Result<Job> {
        Job::read(self.lade(Method::POST, &format!("/jobs/{}/cancel", segment(arn))).await?)
    }

    pub async fn jobs(&self, wanted: Wanted<'_>) -> Result<Vec<Job>> {
        let query = match wanted {
            Wanted::Open => "open=true".to_owned(),
            Wanted::LastOf { dataset_arn, count } => {
                format!("datasetArn={}&maxResults={count}", segment(dataset_arn))
            }
        };
        let mut jobs = Vec::new();
        let mut path = format!("/jobs?{query}");
        loop {
            let page = self.lade(Method::GET, &path).await?;
            let listed = page["jobs"].as_array().cloned().unwrap_or_default();
            jobs.extend(listed.into_iter().map(Job::read).collect::<Result<Vec<_>>>()?);
            match page["nextToken"].as_str() {
                Some(token) if matches!(wanted, Wanted::Open) => {
                    path = format!("/jobs?nextToken={}&{query}", segment(token));
                }
                _ => return Ok(jobs),
            }
        }
    }

    async fn lade(&self, method: Method, path: &str) -> Result<Value> {
        let (path, headers, body) = (format!("/lade/v1{path}"), vec![], Bytes::new());
        let answer = self.send(Plain { service: "personalize", method, path, headers, body }).await?;
        serde_json::from_slice(&answer)
            .map_err(|e| Error::unavailable("the server's answer is no JSON").caused_by(e))
    }
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
