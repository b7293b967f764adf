//! A job as the commands show it: what the server says, read into numbers and words.

pub mod create;
pub mod show;
pub mod watch;

use model::error::{Error, Result};
use model::manifest::Ledger;
use serde::Deserialize;
use serde_json::Value;

/// A job and the text it was read from, which `--json` prints.
#[derive(Clone, Debug)]
pub struct Job {
    pub raw: Value,
    pub members: Members,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    pub job_arn: String,
    pub job_name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub progress: Progress,
    pub attempts: u64,
    pub failure_reason: Option<String>,
    pub location: String,
    pub mode: Option<String>,
    pub validate_only: Option<bool>,
    pub rejects: Option<Rejects>,
    pub files: Option<Vec<File>>,
    pub ledger: Option<AnyLedger>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub rows_done: u64,
    pub rows_total: Option<u64>,
    pub bytes_done: u64,
    pub bytes_total: Option<u64>,
    pub eta_seconds: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct File {
    pub key: String,
    pub bytes: u64,
}

/// The rows that an import found wrong.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejects {
    pub count: u64,
    pub is_complete: bool,
    #[serde(default)]
    pub rows: Option<Vec<Reject>>,
    #[serde(default)]
    pub files: Vec<RejectsFile>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Reject {
    pub file: String,
    pub line: u64,
    pub byte: u64,
    pub column: Option<String>,
    pub rule: String,
}

/// A file of the rows that were left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RejectsFile {
    pub part: usize,
    pub dialect: String,
    pub rows: u64,
}

/// Where every row went, by kind of job.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum AnyLedger {
    Export(Ledger),
    #[serde(rename_all = "camelCase")]
    Import {
        rows_read: u64,
        exact_duplicates: u64,
        #[serde(default)]
        rows_rejected: u64,
        rows_kept: u64,
        /// Of an import that only checked: how many it would have kept.
        rows_valid: Option<u64>,
    },
    #[serde(rename_all = "camelCase")]
    Deletion {
        records_deleted: u64,
    },
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Done,
    Failed,
}

impl Job {
    pub fn read(raw: Value) -> Result<Job> {
        let members = Members::deserialize(&raw).map_err(|e| {
            Error::unavailable("the server's description of a job can't be read").caused_by(e)
        })?;
        Ok(Job { raw, members })
    }

    pub fn state(&self) -> State {
        match self.members.status.as_str() {
            "ACTIVE" | "COMPLETED" => State::Done,
            "CREATE FAILED" | "FAILED" => State::Failed,
            _ => State::Open,
        }
    }
}

impl Progress {
    /// How much is done, of a thousand; bytes tell it where rows do not.
    pub fn permille(&self) -> Option<u64> {
        let of = |done: u64, total: Option<u64>| {
            total
                .filter(|total| *total > 0)
                .map(|total| (done.min(total) as u128 * 1000 / total as u128) as u64)
        };
        of(self.rows_done, self.rows_total).or_else(|| of(self.bytes_done, self.bytes_total))
    }
}
