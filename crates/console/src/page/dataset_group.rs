//! Dataset groups: the list, a new one, and one with all that it holds.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::confirm::Question;
use super::role_choice::{self, RoleChoice};
use super::{Frame, key};
use crate::client::{Answer, Client, Refusal, segment};
use crate::form::Form;
use crate::markup::{Moment, number, status, tone};
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
    key_arn: &'a str,
    keys: Vec<String>,
    role: &'a str,
    role_arn: &'a str,
    roles: Vec<RoleChoice>,
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
    /// Records of import jobs, and put ones; `None` where they may not be seen.
    rows: Option<(String, String)>,
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
    let (client, form) = (visit.client(), &visit.form);
    let mut problem = None;
    if visit.is_post() {
        match client.personalize("CreateDatasetGroup", input(form)).await {
            Ok(_) => return Ok(reply::to(&path(form.get("name")))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let problem = problem.as_ref();
    let page = Create {
        frame: visit.frame("Create dataset group", &[("Dataset groups", HOME.to_owned())]),
        problem,
        name: form.get("name"),
        domain: form.get("domain"),
        domains: DOMAINS,
        key_arn: form.get("key-arn"),
        keys: key::arns(&client).await,
        role: form.get("role"),
        role_arn: form.get("role-arn"),
        roles: role_choice::trusting(&client).await?,
        tags: form.tags(),
    };
    Ok(reply::page(problem.map_or(StatusCode::OK, status_of), &page))
}

// A role is sent with a key only: the service takes it for nothing else here.
fn input(form: &Form) -> Value {
    let mut input = json!({ "name": form.get("name") });
    if let Some(domain) = form.given("domain") {
        input["domain"] = domain.into();
    }
    if let Some(key_arn) = form.given("key-arn") {
        input["kmsKeyArn"] = key_arn.into();
        input["roleArn"] = role_choice::chosen(form).into();
    }
    add_tags(&mut input, &form.tags());
    input
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
    let of_group = json!({ "datasetGroupArn": arn, "maxResults": 100 });
    let listed = client.personalize("ListDatasets", of_group.clone()).await?;
    let trackers = client.personalize("ListEventTrackers", of_group).await?;
    // Counts are an extra: without them the page is as useful as it can be.
    let of_group = format!("/datasets?datasetGroupArn={}", segment(&arn));
    let counted = client.lade(Method::GET, &of_group).await.unwrap_or_default();
    let dataset = |(kind, name): &(&str, &'static str)| dataset_row(group, kind, name, &listed, &counted);
    let datasets: Vec<DatasetRow> = TYPES.iter().map(dataset).collect();
    let mut rows = Vec::new();
    for tracker in trackers["eventTrackers"].as_array().into_iter().flatten() {
        rows.push(tracker_row(&client, tracker).await?);
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

async fn tracker_row(client: &Client<'_>, tracker: &Value) -> Answer<TrackerRow> {
    let input = json!({ "eventTrackerArn": tracker["eventTrackerArn"] });
    let described = client.personalize("DescribeEventTracker", input).await?;
    let word = text(tracker, "status");
    Ok(TrackerRow {
        name: text(tracker, "name"),
        status: status(&word),
        tone: tone(&word),
        tracking_id: text(&described["eventTracker"], "trackingId"),
    })
}

fn dataset_row(group: &str, kind: &str, name: &'static str, listed: &Value, counted: &Value) -> DatasetRow {
    let all = |value: &Value| value["datasets"].as_array().cloned().unwrap_or_default();
    let is_so =
        |dataset: &Value| dataset["datasetType"].as_str().is_some_and(|word| word.eq_ignore_ascii_case(kind));
    let dataset = all(listed).into_iter().find(is_so);
    let word = dataset.as_ref().map(|dataset| text(dataset, "status")).unwrap_or_default();
    let is_of_it = |counts: &Value| dataset.as_ref().is_some_and(|d| d["datasetArn"] == counts["datasetArn"]);
    let rows = all(counted).into_iter().find(is_of_it).map(|counts| {
        let count = |origin: &str| counts["rows"][origin].as_u64().unwrap_or_default();
        (number(count("bulk")), number(count("put") + count("waiting")))
    });
    let own = format!("{}/datasets/{kind}", path(group));
    DatasetRow {
        name,
        import_path: format!("{own}/import"),
        path: dataset.map(|_| own),
        create_path: format!("{}/create-dataset?type={kind}", path(group)),
        status: status(&word),
        tone: tone(&word),
        rows,
    }
}

/// Asks, then deletes a group that holds nothing.
pub async fn delete(visit: &Visit<'_>, group: &str) -> Shown {
    let arn = visit.console.realm.dataset_group(group).to_string();
    let mut problem = None;
    if visit.is_post() {
        match visit.client().personalize("DeleteDatasetGroup", json!({ "datasetGroupArn": arn })).await {
            Ok(_) => return Ok(reply::to(HOME)),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let losses = [
        format!("The dataset group {group} is deleted."),
        "Delete its datasets, event tracker and metric attribution first.".to_owned(),
    ];
    Question {
        frame: visit.frame("Delete dataset group", &crumbs(group)),
        problem: problem.as_ref(),
        losses: losses.into(),
        word: "Delete",
        back: path(group),
        call: Some(("aws personalize delete-dataset-group --dataset-group-arn {arn}", arn)),
        fields: vec![],
    }
    .ask()
}

pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}
