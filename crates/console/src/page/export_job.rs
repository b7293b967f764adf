//! *Create dataset export job*.

use askama::Template;
use http::StatusCode;
use serde_json::json;

use super::dataset_group::{add_tags, type_name};
use super::role_choice::{self, RoleChoice, chosen};
use super::{Frame, dataset};
use crate::client::{Refusal, segment};
use crate::markup::fresh_name;
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

/// The words of the console for the modes, and what each takes.
const MODES: [(&str, &str, &str); 3] = [
    ("BULK", "Bulk", "records of import jobs"),
    ("PUT", "Incremental", "records put one by one, by the console or the API"),
    ("ALL", "Both", "all of them, duplicates removed"),
];

#[derive(Template)]
#[template(path = "export_job_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    dataset_arn: String,
    dataset_name: &'static str,
    name: String,
    role: &'a str,
    role_arn: &'a str,
    roles: Vec<RoleChoice>,
    path: &'a str,
    key_arn: &'a str,
    mode: &'a str,
    modes: [(&'static str, &'static str, &'static str); 3],
    tags: Vec<(String, String)>,
}

pub async fn create(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let form = &visit.form;
    let dataset_arn = dataset::arn(visit, group, kind);
    let mut problem = None;
    if visit.is_post() {
        let mut destination = json!({ "path": form.get("path") });
        if let Some(key) = form.given("key-arn") {
            destination["kmsKeyArn"] = key.into();
        }
        let mut input = json!({
            "jobName": form.get("name"), "datasetArn": dataset_arn, "roleArn": chosen(form),
            "ingestionMode": form.get("mode"), "jobOutput": { "s3DataDestination": destination },
        });
        add_tags(&mut input, &form.tags());
        match client.personalize("CreateDatasetExportJob", input).await {
            Ok(_) => return Ok(reply::to(&format!("/console/jobs/export/{}", segment(form.get("name"))))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let fresh = || fresh_name("export", visit.console.clock.now_ms());
    let page = Create {
        frame: visit.frame("Create dataset export job", &dataset::crumbs(group, kind)),
        problem: problem.as_ref(),
        dataset_name: type_name(kind),
        dataset_arn,
        name: form.given("name").map_or_else(fresh, str::to_owned),
        role: form.get("role"),
        role_arn: form.get("role-arn"),
        roles: role_choice::trusting(&client).await?,
        path: form.get("path"),
        key_arn: form.get("key-arn"),
        mode: form.given("mode").unwrap_or("ALL"),
        modes: MODES,
        tags: form.tags(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}
