//! Keys of KMS: the list and a new one, and one with its policy.

use askama::Template;
use http::StatusCode;
use serde_json::json;

use super::Frame;
use super::bucket::pretty;
use super::dataset_group::text;
use crate::client::{Refusal, segment};
use crate::markup::{Moment, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

const HOME: &str = "/console/keys";

struct KeyRow {
    id: String,
    path: String,
    arn: String,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct List<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    description: &'a str,
    rows: Vec<KeyRow>,
}

#[derive(Template)]
#[template(path = "key.html")]
struct Show<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    arn: String,
    description: String,
    state: String,
    tone: &'static str,
    is_enabled: bool,
    created: Moment,
    policy: String,
}

pub async fn list(visit: &Visit<'_>) -> Shown {
    let client = visit.client();
    let description = visit.form.get("description");
    let mut problem = None;
    if visit.is_post() {
        match client.kms("CreateKey", json!({ "Description": description })).await {
            Ok(made) => {
                let id = text(&made["KeyMetadata"], "KeyId");
                return Ok(reply::to(&format!("{HOME}/{}", segment(&id))));
            }
            Err(refusal) => problem = Some(refusal),
        }
    }
    let listed = client.kms("ListKeys", json!({ "Limit": 1000 })).await?;
    let row = |key: &serde_json::Value| {
        let id = text(key, "KeyId");
        KeyRow { path: format!("{HOME}/{}", segment(&id)), arn: text(key, "KeyArn"), id }
    };
    let rows = listed["Keys"].as_array().into_iter().flatten().map(row).collect();
    let problem = problem.as_ref();
    let page = List { frame: visit.frame("KMS keys", &[]), problem, description, rows };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

pub async fn show(visit: &Visit<'_>, id: &str) -> Shown {
    let client = visit.client();
    let mut problem = None;
    if visit.is_post() {
        let done = match visit.form.get("do") {
            "enable" => client.kms("EnableKey", json!({ "KeyId": id })).await,
            "disable" => client.kms("DisableKey", json!({ "KeyId": id })).await,
            _ => {
                let policy = visit.form.raw("policy");
                client
                    .kms("PutKeyPolicy", json!({ "KeyId": id, "PolicyName": "default", "Policy": policy }))
                    .await
            }
        };
        match done {
            Ok(_) => return Ok(reply::to(&format!("{HOME}/{}", segment(id)))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let key = client.kms("DescribeKey", json!({ "KeyId": id })).await?;
    let key = &key["KeyMetadata"];
    let policy = client.kms("GetKeyPolicy", json!({ "KeyId": id, "PolicyName": "default" })).await?;
    let state = text(key, "KeyState");
    let given = visit.form.raw("policy");
    let problem = problem.as_ref();
    let page = Show {
        frame: visit.frame(id, &[("KMS keys", HOME.to_owned())]),
        problem,
        arn: text(key, "Arn"),
        description: text(key, "Description"),
        tone: tone(&state),
        is_enabled: state == "Enabled",
        state,
        created: Moment::of(&key["CreationDate"]),
        policy: if problem.is_some() && !given.is_empty() {
            given.to_owned()
        } else {
            pretty(&text(&policy, "Policy"))
        },
    };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}
