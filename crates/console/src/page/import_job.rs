//! *Create dataset import job*.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::dataset_group::{add_tags, type_name};
use super::role_choice::{self, RoleChoice, chosen};
use super::{Frame, dataset};
use crate::client::{Refusal, segment};
use crate::markup::fresh_name;
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

#[derive(Template)]
#[template(path = "import_job_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    dataset_arn: String,
    dataset_name: &'static str,
    name: String,
    role: &'a str,
    role_arn: &'a str,
    roles: Vec<RoleChoice>,
    location: &'a str,
    mode: &'a str,
    /// Whether there is data to replace or add to.
    has_imports: bool,
    records_path: String,
    tags: Vec<(String, String)>,
}

pub async fn create(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let form = &visit.form;
    let dataset_arn = dataset::arn(visit, group, kind);
    let mut problem = None;
    if visit.is_post() {
        let mode = form.given("mode").unwrap_or("FULL");
        let mut input = json!({
            "jobName": form.get("name"), "datasetArn": dataset_arn, "roleArn": chosen(form),
            "dataSource": { "dataLocation": form.get("location") }, "importMode": mode,
        });
        add_tags(&mut input, &form.tags());
        match client.personalize("CreateDatasetImportJob", input).await {
            Ok(_) => return Ok(reply::to(&format!("/console/jobs/import/{}", segment(form.get("name"))))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let query = format!("/jobs?datasetArn={}&maxResults=100", segment(&dataset_arn));
    let jobs = client.lade(Method::GET, &query).await?;
    let is_done = |job: &Value| job["type"] == "import" && job["status"] == "ACTIVE";
    let fresh = || fresh_name("import", visit.console.clock.now_ms());
    let page = Create {
        frame: visit.frame("Import data", &dataset::crumbs(group, kind)),
        problem: problem.as_ref(),
        dataset_name: type_name(kind),
        dataset_arn,
        name: form.given("name").map_or_else(fresh, str::to_owned),
        role: form.get("role"),
        role_arn: form.get("role-arn"),
        roles: role_choice::trusting(&client).await?,
        location: form.get("location"),
        mode: form.given("mode").unwrap_or("FULL"),
        has_imports: jobs["jobs"].as_array().is_some_and(|jobs| jobs.iter().any(is_done)),
        records_path: format!("{}/records", dataset::path(group, kind)),
        tags: form.tags(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}
