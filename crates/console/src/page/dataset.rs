//! A dataset with its jobs.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::{self, text, type_name};
use crate::client::segment;
use crate::markup::{Moment, number, status, tone};
use crate::reply;
use crate::visit::{Shown, Visit};

/// A job as a row of a table.
pub struct JobRow {
    pub name: String,
    pub path: String,
    pub mode: String,
    pub status: String,
    pub tone: &'static str,
    pub created: Moment,
    pub rows: String,
    pub reason: Option<String>,
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Show {
    frame: Frame,
    path: String,
    arn: String,
    name: String,
    status: String,
    tone: &'static str,
    created: Moment,
    schema_name: String,
    schema: String,
    imports: Vec<JobRow>,
    exports: Vec<JobRow>,
    takes_records: bool,
    is_exported: bool,
}

pub fn path(group: &str, kind: &str) -> String {
    format!("{}/datasets/{kind}", dataset_group::path(group))
}

/// The ARN of a dataset: its type stands in it, in capital letters.
pub fn arn(visit: &Visit<'_>, group: &str, kind: &str) -> String {
    let group = visit.console.realm.dataset_group(group).to_string();
    format!("{}/{kind}", group.replacen(":dataset-group/", ":dataset/", 1))
}

/// The way to a dataset's page.
pub fn crumbs<'a>(group: &'a str, kind: &str) -> Vec<(&'a str, String)> {
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push((type_name(kind), path(group, kind)));
    crumbs
}

pub async fn show(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let arn = arn(visit, group, kind);
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
    let described = &described["dataset"];
    let input = json!({ "schemaArn": described["schemaArn"] });
    let schema = client.personalize("DescribeSchema", input).await?;
    let schema = &schema["schema"];
    let document: Value = serde_json::from_str(&text(schema, "schema")).unwrap_or_default();
    let query = format!("/jobs?datasetArn={}&maxResults=100", segment(&arn));
    let jobs = client.lade(Method::GET, &query).await?;
    let of = |word: &str| {
        let jobs = jobs["jobs"].as_array().into_iter().flatten();
        jobs.filter(|job| job["type"] == word).map(job_row).collect::<Vec<_>>()
    };
    let word = text(described, "status");
    let page = Show {
        frame: visit.frame(type_name(kind), &dataset_group::crumbs(group)),
        path: path(group, kind),
        name: text(described, "name"),
        status: status(&word),
        tone: tone(&word),
        created: Moment::of(&described["creationDateTime"]),
        schema_name: text(schema, "name"),
        schema: serde_json::to_string_pretty(&document).unwrap_or_default(),
        imports: of("IMPORT"),
        exports: of("EXPORT"),
        takes_records: true,
        is_exported: !matches!(kind, "ACTIONS" | "ACTION_INTERACTIONS"),
        arn,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

/// A row for a job as `/lade/v1/jobs` shows it.
pub fn job_row(job: &Value) -> JobRow {
    let (name, kind, word) = (text(job, "jobName"), text(job, "type"), text(job, "status"));
    let ledger = &job["ledger"];
    let rows = ["written", "rowsKept", "recordsDeleted"].iter().find_map(|member| ledger[member].as_u64());
    JobRow {
        path: super::job::path(&kind, &name),
        mode: text(job, "mode"),
        status: status(&word),
        tone: tone(&word),
        created: Moment::of(&job["createdAt"]),
        rows: rows.or(job["progress"]["rowsDone"].as_u64()).map_or_else(String::new, number),
        reason: job["failureReason"].as_str().map(str::to_owned),
        name,
    }
}

pub async fn delete(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let arn = arn(visit, group, kind);
    visit.client().personalize("DeleteDataset", json!({ "datasetArn": arn })).await?;
    Ok(reply::to(&dataset_group::path(group)))
}
