//! *Jobs* of a group: all of them, newest first, by type and status.

use askama::Template;
use http::StatusCode;

use super::Frame;
use super::dataset_group;
use super::job_row::{self, JobTable};
use crate::client::segment;
use crate::reply;
use crate::visit::{Shown, Visit};

/// Rows of a page.
const ROWS: usize = 50;

/// Types as the list of jobs words them.
const KINDS: [(&str, &str); 3] = [
    ("IMPORT", "Dataset import jobs"),
    ("EXPORT", "Dataset export jobs"),
    ("DELETION", "Data deletion jobs"),
];
/// States, in the words that most jobs have; the list takes them for data deletion jobs, too.
const STATES: [(&str, &str); 4] = [
    ("CREATE PENDING", "Create pending"),
    ("CREATE IN_PROGRESS", "Create in progress"),
    ("ACTIVE", "Active"),
    ("CREATE FAILED", "Create failed"),
];

#[derive(Template)]
#[template(path = "jobs.html")]
struct List<'a> {
    frame: Frame,
    path: String,
    table: JobTable,
    kinds: [(&'static str, &'static str); 3],
    states: [(&'static str, &'static str); 4],
    kind: &'a str,
    state: &'a str,
    next: Option<String>,
    newest: String,
    is_first: bool,
}

pub async fn list(visit: &Visit<'_>, group: &str) -> Shown {
    let arn = visit.console.realm.dataset_group(group).to_string();
    let (kind, state) = (visit.query.get("type"), visit.query.get("status"));
    let mut filter = String::new();
    for (name, value) in [("type", kind), ("status", state)] {
        if !value.is_empty() {
            filter.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let query = format!("datasetGroupArn={}&maxResults={ROWS}{filter}", segment(&arn));
    let token = visit.query.given("next");
    let table = JobTable::read(visit, &query, token).await?;
    let page = List {
        frame: visit.frame("Jobs", &dataset_group::crumbs(group)),
        path: format!("{}/jobs", dataset_group::path(group)),
        kinds: KINDS,
        states: STATES,
        kind,
        state,
        next: table.next.as_deref().map(|token| format!("?next={}{filter}", segment(token))),
        newest: format!("?{}", filter.trim_start_matches('&')),
        is_first: token.is_none(),
        table,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

/// What the script of the page asks for while jobs run.
pub async fn live(visit: &Visit<'_>, group: &str) -> Shown {
    let arn = visit.console.realm.dataset_group(group).to_string();
    job_row::live(visit, "datasetGroupArn", &arn).await
}
