//! Event trackers of a group: the list, a new one, and *Install the SDK*, with what to copy into programs.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::Frame;
use super::confirm::Question;
use super::dataset_group::{self, add_tags, text};
use crate::client::{Answer, Refusal, segment};
use crate::markup::{Moment, status, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

struct TrackerRow {
    name: String,
    path: String,
    status: String,
    tone: &'static str,
    created: Moment,
}

#[derive(Template)]
#[template(path = "event_trackers.html")]
struct List {
    frame: Frame,
    rows: Vec<TrackerRow>,
    create_path: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "event_tracker_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    group_arn: String,
    name: String,
    tags: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "event_tracker.html")]
struct Show<'a> {
    frame: Frame,
    path: String,
    arn: String,
    name: String,
    status: String,
    tone: &'static str,
    is_active: bool,
    created: Moment,
    tracking_id: String,
    origin: &'a str,
    region: &'a str,
    records_path: String,
}

fn home(group: &str) -> String {
    format!("{}/trackers", dataset_group::path(group))
}

// The last part of the ARN stands in the address.
fn path(group: &str, arn: &str) -> String {
    format!("{}/{}", home(group), segment(arn.rsplit('/').next().unwrap_or_default()))
}

fn arn(visit: &Visit<'_>, id: &str) -> String {
    visit.console.realm.event_tracker(id).to_string()
}

fn crumbs(group: &str) -> Vec<(&str, String)> {
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push(("Event trackers", home(group)));
    crumbs
}

pub async fn list(visit: &Visit<'_>, group: &str) -> Shown {
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let mut input = json!({ "datasetGroupArn": group_arn, "maxResults": 100 });
    if let Some(token) = visit.query.given("next") {
        input["nextToken"] = token.into();
    }
    let listed = visit.client().personalize("ListEventTrackers", input).await?;
    let row = |tracker: &Value| {
        let word = text(tracker, "status");
        TrackerRow {
            path: path(group, &text(tracker, "eventTrackerArn")),
            name: text(tracker, "name"),
            status: status(&word),
            tone: tone(&word),
            created: Moment::of(&tracker["creationDateTime"]),
        }
    };
    let page = List {
        frame: visit.frame("Event trackers", &dataset_group::crumbs(group)),
        rows: listed["eventTrackers"].as_array().into_iter().flatten().map(row).collect(),
        create_path: format!("{}/create", home(group)),
        next: listed["nextToken"].as_str().map(segment),
    };
    Ok(reply::page(StatusCode::OK, &page))
}

pub async fn create(visit: &Visit<'_>, group: &str) -> Shown {
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let mut problem = None;
    if visit.is_post() {
        let mut input = json!({ "name": visit.form.get("name"), "datasetGroupArn": group_arn });
        add_tags(&mut input, &visit.form.tags());
        match visit.client().personalize("CreateEventTracker", input).await {
            Ok(made) => return Ok(reply::to(&path(group, &text(&made, "eventTrackerArn")))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let page = Create {
        frame: visit.frame("Configure tracker", &crumbs(group)),
        problem: problem.as_ref(),
        group_arn,
        name: visit.form.given("name").map_or_else(|| format!("{group}-tracker"), str::to_owned),
        tags: visit.form.tags(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

/// *Install the SDK*: the tracking ID, and programs that put an event with it.
pub async fn show(visit: &Visit<'_>, group: &str, id: &str) -> Shown {
    let arn = arn(visit, id);
    let tracker = describe(visit, &arn).await?;
    let word = text(&tracker, "status");
    let page = Show {
        frame: visit.frame("Install the SDK", &crumbs(group)),
        path: path(group, &arn),
        name: text(&tracker, "name"),
        status: status(&word),
        tone: tone(&word),
        is_active: word == "ACTIVE",
        created: Moment::of(&tracker["creationDateTime"]),
        tracking_id: text(&tracker, "trackingId"),
        origin: &visit.origin,
        region: &visit.console.realm.region,
        records_path: format!("{}/datasets/INTERACTIONS/records", dataset_group::path(group)),
        arn,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

async fn describe(visit: &Visit<'_>, arn: &str) -> Answer<Value> {
    let input = json!({ "eventTrackerArn": arn });
    Ok(visit.client().personalize("DescribeEventTracker", input).await?["eventTracker"].take())
}

pub async fn delete(visit: &Visit<'_>, group: &str, id: &str) -> Shown {
    let arn = arn(visit, id);
    let mut problem = None;
    if visit.is_post() {
        match visit.client().personalize("DeleteEventTracker", json!({ "eventTrackerArn": arn })).await {
            Ok(_) => return Ok(reply::to(&home(group))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let tracker = describe(visit, &arn).await?;
    let title = format!("Delete event tracker {}?", text(&tracker, "name"));
    let lost = format!(
        "Programs that put events with the tracking ID {} are refused from then on; a new tracker has another ID.",
        text(&tracker, "trackingId")
    );
    Question {
        frame: visit.frame(&title, &crumbs(group)),
        problem: problem.as_ref(),
        losses: vec![lost, "The events that it recorded stay in the dataset.".to_owned()],
        word: "Delete event tracker",
        back: path(group, &arn),
        call: Some(("aws personalize delete-event-tracker --event-tracker-arn {arn}", arn)),
        fields: vec![],
    }
    .ask()
}
