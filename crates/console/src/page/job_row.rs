//! A job as a row of a table, and the page of a list that it stands on.

use http::Method;
use serde_json::{Value, json};

use super::dataset_group::{text, type_name};
use super::{dataset, job};
use crate::client::{Answer, segment};
use crate::markup::{Moment, duration, number, status, tone};
use crate::reply;
use crate::visit::{Shown, Visit};

pub struct JobRow {
    pub arn: String,
    pub name: String,
    pub path: String,
    pub kind: &'static str,
    /// The dataset that it works on, and where that is; none for jobs of a whole group.
    pub dataset: Option<(&'static str, String)>,
    pub mode: &'static str,
    pub status: String,
    pub tone: &'static str,
    pub is_open: bool,
    pub created: Moment,
    pub took: String,
    pub rows: String,
    pub reason: Option<String>,
}

/// One page of a list of jobs.
pub struct JobTable {
    pub rows: Vec<JobRow>,
    /// What asks for the next page.
    pub next: Option<String>,
    pub has_open: bool,
}

impl JobTable {
    /// Reads a page of what `query` asks the list of jobs for.
    pub async fn read(visit: &Visit<'_>, query: &str, token: Option<&str>) -> Answer<JobTable> {
        let after = token.map(|token| format!("&nextToken={}", segment(token))).unwrap_or_default();
        let listed = visit.client().lade(Method::GET, &format!("/jobs?{query}{after}")).await?;
        let rows: Vec<JobRow> = listed["jobs"].as_array().into_iter().flatten().map(row).collect();
        let next = listed["nextToken"].as_str().map(str::to_owned);
        Ok(JobTable { has_open: rows.iter().any(|row| row.is_open), rows, next })
    }
}

/// A row for a job as `/lade/v1/jobs` shows it.
pub fn row(job: &Value) -> JobRow {
    let (name, kind, word) = (text(job, "jobName"), text(job, "type"), text(job, "status"));
    let (created, updated) = (Moment::of(&job["createdAt"]), Moment::of(&job["lastUpdatedAt"]));
    let is_open = job::is_open(&word);
    JobRow {
        arn: text(job, "jobArn"),
        path: job::path(&kind, &name),
        kind: job::kind_name(&kind),
        dataset: of_dataset(job),
        mode: job["mode"].as_str().map_or("", mode_name),
        status: status(&word),
        tone: tone(&word),
        took: if is_open { String::new() } else { took(created, updated) },
        is_open,
        created,
        rows: rows(job),
        reason: job["failureReason"].as_str().map(str::to_owned),
        name,
    }
}

// A row may be of a dataset that is gone, whose page then says so.
fn of_dataset(job: &Value) -> Option<(&'static str, String)> {
    let (_, rest) = job["datasetArn"].as_str()?.split_once('/')?;
    let (group, kind) = rest.split_once('/')?;
    Some((type_name(kind), dataset::path(group, kind)))
}

fn rows(job: &Value) -> String {
    let ledger = &job["ledger"];
    let of_ledger =
        ["written", "rowsKept", "recordsDeleted"].iter().find_map(|member| ledger[member].as_u64());
    of_ledger.or(job["progress"]["rowsDone"].as_u64()).map_or_else(String::new, number)
}

/// The console's word for a mode of an import or export.
pub fn mode_name(mode: &str) -> &'static str {
    match mode {
        "BULK" => "Bulk",
        "PUT" => "Incremental",
        "ALL" => "Both",
        "FULL" => "Replace existing data",
        "INCREMENTAL" => "Add to existing data",
        _ => "",
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "durations are small and not negative"
)]
pub fn took(created: Moment, updated: Moment) -> String {
    duration((updated.seconds - created.seconds).max(0.0).round() as u64)
}

/// What the script of a page with tables of jobs asks for: the open ones, by their ARN.
pub async fn live(visit: &Visit<'_>, subject: &str, arn: &str) -> Shown {
    let query = format!("/jobs?{subject}={}&open=true&maxResults=100", segment(arn));
    let listed = visit.client().lade(Method::GET, &query).await?;
    let jobs = listed["jobs"].as_array().into_iter().flatten();
    let jobs: serde_json::Map<String, Value> =
        jobs.map(|job| (text(job, "jobArn"), job::live(job))).collect();
    Ok(reply::json(&json!({ "jobs": jobs })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_leads_to_its_job_and_its_dataset() {
        let found = row(&json!({ "jobName": "a b", "type": "EXPORT", "status": "ACTIVE", "mode": "ALL",
            "datasetArn": "arn:aws:personalize:r:1:dataset/g/ITEMS", "createdAt": 5, "lastUpdatedAt": 95,
            "ledger": { "written": 1234 }, "progress": { "rowsDone": 7 } }));
        assert_eq!(found.path, "/console/jobs/export/a%20b");
        assert_eq!(found.dataset.unwrap(), ("Items", "/console/groups/g/datasets/ITEMS".to_owned()));
        assert_eq!(
            (found.mode, found.took.as_str(), found.rows.as_str()),
            ("Both", "1 min 30 s", "1\u{202f}234")
        );
    }

    #[test]
    fn an_open_job_has_not_taken_any_time_yet() {
        let found =
            row(&json!({ "type": "DELETION", "status": "IN_PROGRESS", "progress": { "rowsDone": 7 } }));
        assert!(found.is_open && found.took.is_empty() && found.dataset.is_none());
        assert_eq!(found.rows, "7");
    }
}
