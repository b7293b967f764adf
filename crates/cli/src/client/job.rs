//! Jobs as the server shows them under `/lade/v1/jobs`.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use model::error::{Context, Error, Result};
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

    /// Reads the rows that an import left out, of one of its headers, piece by piece.
    pub async fn rejects(&self, arn: &str, part: usize, take: impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        let path = format!("/lade/v1/jobs/{}/rejects.csv?part={part}", segment(arn));
        self.read_long(Method::GET, path, Bytes::new(), take).await
    }

    /// Reads all records of a user in a dataset, as CSV, piece by piece.
    pub async fn user_records(
        &self,
        dataset_arn: &str,
        user: &str,
        take: impl FnMut(Bytes) -> Result<()>,
    ) -> Result<()> {
        let body = serde_json::json!({ "datasetArn": dataset_arn, "userId": user }).to_string();
        self.read_long(Method::POST, "/lade/v1/user-records".to_owned(), body.into(), take).await
    }

    /// Reads an answer that comes piece by piece.
    pub async fn read_long(
        &self,
        method: Method,
        path: String,
        body: Bytes,
        mut take: impl FnMut(Bytes) -> Result<()>,
    ) -> Result<()> {
        let reading = || format!("read {path}");
        let plain = Plain { service: "personalize", method, path: path.clone(), headers: vec![], body };
        let mut answer = self.open(plain).await?.into_body();
        while let Some(frame) = answer.frame().await {
            frame.unavailable(reading)?.into_data().map_or(Ok(()), &mut take)?;
        }
        Ok(())
    }

    pub async fn lade(&self, method: Method, path: &str) -> Result<Value> {
        self.lade_with(method, path, Bytes::new()).await
    }

    /// Asks for something under `/lade/v1`.
    pub async fn lade_with(&self, method: Method, path: &str, body: Bytes) -> Result<Value> {
        let (path, headers) = (format!("/lade/v1{path}"), vec![]);
        let answer = self.send(Plain { service: "personalize", method, path, headers, body }).await?;
        serde_json::from_slice(&answer)
            .map_err(|e| Error::unavailable("the server's answer is no JSON").caused_by(e))
    }
}

/// A text as a part of a path or a query.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
