//! Dataset groups: the list, a new one, and one with all that it holds.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::Frame;
use crate::client::{Refusal, segment};
use crate::markup::{Moment, status, tone};
use crate::reply;
use crate::route::{HOME, status_of};
use crate::visit::{Shown, Visit};

/// The types in the order in which they are made: interactions first.
pub const TYPES: [(&str, &str); 5] = [
    ("INTERACTIONS", "Item interactions"),
    ("ITEMS", "Items"),
    ("USERS", "Users"),
    ("ACTIONS", "Actions"),
    ("ACTION_INTERACTIONS", "Action interactions"),
];

const DOMAINS: [(&str, &str); 3] =
    [("ECOMMERCE", "E-commerce"), ("VIDEO_ON_DEMAND", "Video on demand"), ("", "Custom")];

/// How a dataset's type is written in AWS's own addresses and ARNs, and on pages.
pub fn type_name(kind: &str) -> &'static str {
    TYPES.iter().find(|(word, _)| *word == kind).map_or("Dataset", |(_, name)| name)
}

struct Row {
    name: String,
    path: String,
    status: String,
    tone: &'static str,
    domain: &'static str,
    created: Moment,
}

#[derive(Template)]
#[template(path = "dataset_groups.html")]
struct List {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dataset_group_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    name: &'a str,
    domain: &'a str,
    domains: [(&'static str, &'static str); 3],
    tags: Vec<(String, String)>,
}

struct DatasetRow {
    name: &'static str,
    /// `None`: it is not there.
    path: Option<String>,
    create_path: String,
    import_path: String,
    status: String,
    tone: &'static str,
}

struct TrackerRow {
    name: String,
    status: String,
    tone: &'static str,
    tracking_id: String,
}

#[derive(Template)]
#[template(path = "dataset_group.html")]
struct Show {
    frame: Frame,
    path: String,
    arn: String,
    status: String,
    tone: &'static str,
    domain: &'static str,
    created: Moment,
    failure: Option<String>,
    key_arn: Option<String>,
    datasets: Vec<DatasetRow>,
    has_interactions: bool,
    trackers: Vec<TrackerRow>,
}

pub fn path(group: &str) -> String {
    format!("{HOME}/{}", segment(group))
}

pub fn crumbs(group: &str) -> Vec<(&str, String)> {
    vec![("Dataset groups", HOME.to_owned()), (group, path(group))]
}

pub async fn list(visit: &Visit<'_>) -> Shown {
    let mut input = json!({ "maxResults": 100 });
    if let Some(token) = visit.query.given("next") {
        input["nextToken"] = token.into();
    }
    let listed = visit.client().personalize("ListDatasetGroups", input).await?;
    let rows = listed["datasetGroups"].as_array().into_iter().flatten().map(row).collect();
    let next = listed["nextToken"].as_str().map(segment);
    Ok(reply::page(StatusCode::OK, &List { frame: visit.frame("Dataset groups", &[]), rows, next }))
}

fn row(group: &Value) -> Row {
    let name = text(group, "name");
    let word = text(group, "status");
    Row {
        path: path(&name),
        status: status(&word),
        tone: tone(&word),
        domain: domain(group),
        created: Moment::of(&group["creationDateTime"]),
        name,
    }
}

fn domain(group: &Value) -> &'static str {
    let word = group["domain"].as_str().unwrap_or_default();
    DOMAINS.iter().find(|(known, _)| *known == word).map_or("Custom", |(_, name)| name)
}

pub async fn create(visit: &Visit<'_>) -> Shown {
    let name = visit.form.get("name");
    let domain = visit.form.get("domain");
    let mut problem = None;
    if visit.is_post() {
        let mut input = json!({ "name": name });
        if !domain.is_empty() {
            input["domain"] = domain.into();
        }
        add_tags(&mut input, &visit.form.tags());
        match visit.client().personalize("CreateDatasetGroup", input).await {
            Ok(_) => return Ok(reply::to(&path(name))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let frame = visit.frame("Create dataset group", &[("Dataset groups", HOME.to_owned())]);
    let (problem, tags) = (problem.as_ref(), visit.form.tags());
    let page = Create { frame, problem, name, domain, domains: DOMAINS, tags };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

/// Puts tags into the input of an operation, where there are any.
pub fn add_tags(input: &mut Value, tags: &[(String, String)]) {
    if !tags.is_empty() {
        let tag = |(key, value): &(String, String)| json!({ "tagKey": key, "tagValue": value });
        input["tags"] = tags.iter().map(tag).collect();
    }
}

pub async fn show(visit: &Visit<'_>, group: &str) -> Shown {
    let client = visit.client();
    let arn = visit.console.realm.dataset_group(group).to_string();
    let described = client.personalize("DescribeDatasetGroup", json!({ "datasetGroupArn": arn })).await?;
    let described = &described["datasetGroup"];
    let listed =
        client.personalize("ListDatasets", json!({ "datasetGroupArn": arn, "maxResults": 100 })).await?;
    let trackers =
        client.personalize("ListEventTrackers", json!({ "datasetGroupArn": arn, "maxResults": 100 })).await?;
    let empty = Vec::new();
    let found = listed["datasets"].as_array().unwrap_or(&empty);
    let datasets: Vec<DatasetRow> =
        TYPES.iter().map(|(kind, name)| dataset_row(group, kind, name, found)).collect();
    let mut rows = Vec::new();
    for tracker in trackers["eventTrackers"].as_array().unwrap_or(&empty) {
        let input = json!({ "eventTrackerArn": tracker["eventTrackerArn"] });
        let described = client.personalize("DescribeEventTracker", input).await?;
        let word = text(tracker, "status");
        rows.push(TrackerRow {
            name: text(tracker, "name"),
            status: status(&word),
            tone: tone(&word),
            tracking_id: text(&described["eventTracker"], "trackingId"),
        });
    }
    let word = text(described, "status");
    let page = Show {
        frame: visit.frame(group, &[("Dataset groups", HOME.to_owned())]),
        path: path(group),
        arn,
        status: status(&word),
        tone: tone(&word),
        domain: domain(described),
        created: Moment::of(&described["creationDateTime"]),
        failure: described["failureReason"].as_str().map(str::to_owned),
        key_arn: described["kmsKeyArn"].as_str().map(str::to_owned),
        has_interactions: datasets[0].path.is_some(),
        datasets,
        trackers: rows,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

fn dataset_row(group: &str, kind: &str, name: &'static str, found: &[Value]) -> DatasetRow {
    let is_so = |dataset: &&Value| {
        dataset["datasetType"].as_str().is_some_and(|word| word.eq_ignore_ascii_case(kind))
    };
    let dataset = found.iter().find(is_so);
    let word = dataset.map(|dataset| text(dataset, "status")).unwrap_or_default();
    let own = format!("{}/datasets/{kind}", path(group));
    DatasetRow {
        name,
        import_path: format!("{own}/import"),
        path: dataset.map(|_| own),
        create_path: format!("{}/create-dataset?type={kind}", path(group)),
        status: status(&word),
        tone: tone(&word),
    }
}

pub async fn delete(visit: &Visit<'_>, group: &str) -> Shown {
    let arn = visit.console.realm.dataset_group(group).to_string();
    visit.client().personalize("DeleteDatasetGroup", json!({ "datasetGroupArn": arn })).await?;
    Ok(reply::to(HOME))
}

pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}
