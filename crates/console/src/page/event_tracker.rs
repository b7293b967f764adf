//! Event trackers: a new one for a group.

use askama::Template;
use http::StatusCode;
use serde_json::json;

use super::Frame;
use super::dataset_group::{self, add_tags};
use crate::client::Refusal;
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

#[derive(Template)]
#[template(path = "event_tracker_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    group_arn: String,
    name: String,
    tags: Vec<(String, String)>,
}

pub async fn create(visit: &Visit<'_>, group: &str) -> Shown {
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let mut problem = None;
    if visit.is_post() {
        let mut input = json!({ "name": visit.form.get("name"), "datasetGroupArn": group_arn });
        add_tags(&mut input, &visit.form.tags());
        match visit.client().personalize("CreateEventTracker", input).await {
            Ok(_) => return Ok(reply::to(&dataset_group::path(group))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let page = Create {
        frame: visit.frame("Configure tracker", &dataset_group::crumbs(group)),
        problem: problem.as_ref(),
        group_arn,
        name: visit.form.given("name").map_or_else(|| format!("{group}-tracker"), str::to_owned),
        tags: visit.form.tags(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}
