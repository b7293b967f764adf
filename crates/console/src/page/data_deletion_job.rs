//! Data deletion jobs of a group: the list, and a new one.

use std::collections::HashMap;

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::{self, add_tags, text};
use super::role_choice::{self, RoleChoice, chosen};
use crate::client::{Client, Refusal, segment};
use crate::markup::{Moment, fresh_name, number, status, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

struct JobRow {
    name: String,
    path: String,
    status: String,
    tone: &'static str,
    progress: String,
    created: Moment,
    failure: Option<String>,
}

#[derive(Template)]
#[template(path = "data_deletion_jobs.html")]
struct List {
    frame: Frame,
    rows: Vec<JobRow>,
    create_path: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "data_deletion_job_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    group_arn: String,
    name: String,
    location: &'a str,
    role: &'a str,
    role_arn: &'a str,
    roles: Vec<RoleChoice>,
    tags: Vec<(String, String)>,
    back: String,
}

fn home(group: &str) -> String {
    format!("{}/deletions", dataset_group::path(group))
}

pub async fn list(visit: &Visit<'_>, group: &str) -> Shown {
    let client = visit.client();
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let mut input = json!({ "datasetGroupArn": group_arn, "maxResults": 100 });
    let token = visit.query.given("next");
    if let Some(token) = token {
        input["nextToken"] = token.into();
    }
    let listed = client.personalize("ListDataDeletionJobs", input).await?;
    let progress = if token.is_none() { progress(&client, &group_arn).await } else { HashMap::new() };
    let row = |job: &Value| {
        let (name, word) = (text(job, "jobName"), text(job, "status"));
        JobRow {
            path: format!("/console/jobs/deletion/{}", segment(&name)),
            status: status(&word),
            tone: tone(&word),
            progress: progress.get(&name).cloned().unwrap_or_default(),
            created: Moment::of(&job["creationDateTime"]),
            failure: job["failureReason"].as_str().map(str::to_owned),
            name,
        }
    };
    let page = List {
        frame: visit.frame("Data deletion jobs", &dataset_group::crumbs(group)),
        rows: listed["dataDeletionJobs"].as_array().into_iter().flatten().map(row).collect(),
        create_path: format!("{}/create", home(group)),
        next: listed["nextToken"].as_str().map(segment),
    };
    Ok(reply::page(StatusCode::OK, &page))
}

// How far each job is, by its name; whoever may not list jobs of all kinds sees their states alone.
async fn progress(client: &Client<'_>, group_arn: &str) -> HashMap<String, String> {
    let query = format!("/jobs?datasetArn={}&maxResults=100", segment(group_arn));
    let jobs = client.lade(Method::GET, &query).await.unwrap_or_default();
    let jobs = jobs["jobs"].as_array().into_iter().flatten();
    jobs.map(|job| (text(job, "jobName"), so_far(job))).collect()
}

fn so_far(job: &Value) -> String {
    if let Some(deleted) = job["ledger"]["recordsDeleted"].as_u64() {
        return format!("{} records deleted", number(deleted));
    }
    let progress = &job["progress"];
    match (progress["rowsDone"].as_u64().unwrap_or_default(), progress["rowsTotal"].as_u64()) {
        (0, None) => String::new(),
        (done, Some(all)) => format!("{} of {} rows", number(done), number(all)),
        (done, None) => format!("{} rows", number(done)),
    }
}

pub async fn create(visit: &Visit<'_>, group: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let mut problem = None;
    if visit.is_post() {
        let mut input = json!({
            "jobName": form.get("name"), "datasetGroupArn": group_arn, "roleArn": chosen(form),
            "dataSource": { "dataLocation": form.get("location") },
        });
        add_tags(&mut input, &form.tags());
        match client.personalize("CreateDataDeletionJob", input).await {
            Ok(_) => return Ok(reply::to(&format!("/console/jobs/deletion/{}", segment(form.get("name"))))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push(("Data deletion jobs", home(group)));
    let fresh = || fresh_name("deletion", visit.console.clock.now_ms());
    let page = Create {
        frame: visit.frame("Create data deletion job", &crumbs),
        problem: problem.as_ref(),
        group_arn,
        name: form.given("name").map_or_else(fresh, str::to_owned),
        location: form.get("location"),
        role: form.get("role"),
        role_arn: form.get("role-arn"),
        roles: role_choice::trusting(&client).await?,
        tags: form.tags(),
        back: home(group),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_as_far_as_it_is_known() {
        let of = |done: u64, all: Option<u64>, deleted: Option<u64>| {
            let ledger = deleted.map(|deleted| json!({ "recordsDeleted": deleted }));
            so_far(&json!({ "progress": { "rowsDone": done, "rowsTotal": all }, "ledger": ledger }))
        };
        assert_eq!((of(0, None, None), of(3, None, None)), (String::new(), "3 rows".to_owned()));
        assert_eq!(of(3, Some(9), None), "3 of 9 rows");
        assert_eq!(of(9, Some(9), Some(2)), "2 records deleted");
    }
}
