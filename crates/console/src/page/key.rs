//! Keys of KMS: the list and a new one, and one with its policy.

use askama::Template;
use http::StatusCode;
use serde_json::json;

use super::confirm::Question;
use super::dataset_group::text;
use super::role_choice::{self, RoleChoice};
use super::{Frame, policies};
use crate::client::{Answer, Client, Refusal, segment};
use crate::markup::{Moment, pretty, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

const HOME: &str = "/console/keys";
/// For how long a key waits for its deletion.
const WAITING_DAYS: u8 = 30;

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
    /// When it will be gone, for a key that waits for that.
    deletion: Option<Moment>,
    created: Moment,
    path: String,
    policy: String,
    roles: Vec<RoleChoice>,
    /// The role for which the policy has a statement more than what is kept.
    added: Option<&'a str>,
    /// What such a role needs, too.
    role_statement: String,
}

pub async fn list(visit: &Visit<'_>) -> Shown {
    let client = visit.client();
    let description = visit.form.get("description");
    let mut problem = None;
    if visit.is_post() {
        match client.kms("CreateKey", json!({ "Description": description })).await {
            Ok(made) => {
                let id = text(&made["KeyMetadata"], "KeyId");
                return Ok(reply::to(&path(&id)));
            }
            Err(refusal) => problem = Some(refusal),
        }
    }
    let listed = client.kms("ListKeys", json!({ "Limit": 1000 })).await?;
    let row = |key: &serde_json::Value| {
        let id = text(key, "KeyId");
        KeyRow { path: path(&id), arn: text(key, "KeyArn"), id }
    };
    let rows = listed["Keys"].as_array().into_iter().flatten().map(row).collect();
    let problem = problem.as_ref();
    let page = List { frame: visit.frame("KMS keys", &[]), problem, description, rows };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

/// The ARNs of the keys that a visitor may list; none where that is refused.
pub async fn arns(client: &Client<'_>) -> Vec<String> {
    let listed = client.kms("ListKeys", json!({ "Limit": 1000 })).await.unwrap_or_default();
    listed["Keys"].as_array().into_iter().flatten().map(|key| text(key, "KeyArn")).collect()
}

pub async fn show(visit: &Visit<'_>, id: &str) -> Shown {
    let client = visit.client();
    let mut problem = None;
    if visit.is_post() {
        match change(visit, &client, id).await {
            Ok(()) => return Ok(reply::to(&path(id))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let key = client.kms("DescribeKey", json!({ "KeyId": id })).await?;
    let key = &key["KeyMetadata"];
    let kept = client.kms("GetKeyPolicy", json!({ "KeyId": id, "PolicyName": "default" })).await?;
    let (kept, arn) = (text(&kept, "Policy"), text(key, "Arn"));
    let added = visit.query.given("role").filter(|_| !visit.is_post());
    let with_role = added.and_then(|role| policies::with_statement(&kept, &policies::of_key(role)));
    let policy = match visit.form.raw("policy") {
        "" => with_role.unwrap_or_else(|| pretty(&kept)),
        given => given.to_owned(),
    };
    let (state, deletion) = (text(key, "KeyState"), Moment::of(&key["DeletionDate"]));
    let problem = problem.as_ref();
    let page = Show {
        frame: visit.frame(id, &[("KMS keys", HOME.to_owned())]),
        problem,
        role_statement: policies::of_role_key(&arn),
        arn,
        description: text(key, "Description"),
        tone: tone(&state),
        is_enabled: state == "Enabled",
        deletion: Some(deletion).filter(|_| state == "PendingDeletion"),
        state,
        created: Moment::of(&key["CreationDate"]),
        path: path(id),
        policy,
        roles: role_choice::trusting(&client).await?,
        added,
    };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

async fn change(visit: &Visit<'_>, client: &Client<'_>, id: &str) -> Answer<()> {
    let (operation, input) = match visit.form.get("do") {
        "enable" => ("EnableKey", json!({ "KeyId": id })),
        "disable" => ("DisableKey", json!({ "KeyId": id })),
        "keep" => ("CancelKeyDeletion", json!({ "KeyId": id })),
        _ => {
            let policy = visit.form.raw("policy");
            ("PutKeyPolicy", json!({ "KeyId": id, "PolicyName": "default", "Policy": policy }))
        }
    };
    client.kms(operation, input).await.map(drop)
}

/// Asks, then lets a key wait for its deletion.
pub async fn delete(visit: &Visit<'_>, id: &str) -> Shown {
    let mut problem = None;
    if visit.is_post() {
        let input = json!({ "KeyId": id, "PendingWindowInDays": WAITING_DAYS });
        match visit.client().kms("ScheduleKeyDeletion", input).await {
            Ok(_) => return Ok(reply::to(&path(id))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let losses = [
        format!("From now on nothing can be encrypted or read with the key {id}."),
        format!(
            "After {WAITING_DAYS} days it is gone, and so is all that was encrypted with it: exports, objects, whole dataset groups."
        ),
        "Until then, the deletion can be cancelled on the key's page.".to_owned(),
    ];
    Question {
        frame: visit.frame("Schedule key deletion", &[("KMS keys", HOME.to_owned()), (id, path(id))]),
        problem: problem.as_ref(),
        losses: losses.into(),
        word: "Schedule deletion",
        back: path(id),
        call: Some((
            "aws kms schedule-key-deletion --key-id {arn} --pending-window-in-days 30",
            id.to_owned(),
        )),
        fields: vec![],
    }
    .ask()
}

fn path(id: &str) -> String {
    format!("{HOME}/{}", segment(id))
}
