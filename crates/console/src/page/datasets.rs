//! Datasets of a group: what each holds, and those that can still be made.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::{self, TYPES, text};
use super::dataset_overview::Contents;
use crate::client::{Refusal, aside, segment};
use crate::markup::{status, tone};
use crate::reply;
use crate::visit::{Shown, Visit};

struct Row {
    name: &'static str,
    /// `None`: it is not there.
    path: Option<String>,
    create_path: String,
    dataset_name: String,
    status: String,
    tone: &'static str,
    contents: Option<Contents>,
}

#[derive(Template)]
#[template(path = "datasets.html")]
struct List {
    frame: Frame,
    rows: Vec<Row>,
    has_interactions: bool,
    /// Why there are no counts.
    uncounted: Option<Refusal>,
}

pub async fn list(visit: &Visit<'_>, group: &str) -> Shown {
    let client = visit.client();
    let arn = visit.console.realm.dataset_group(group).to_string();
    let listed =
        client.personalize("ListDatasets", json!({ "datasetGroupArn": arn, "maxResults": 100 })).await?;
    let place = format!("/datasets?datasetGroupArn={}", segment(&arn));
    let counted = aside(client.lade(Method::GET, &place).await)?;
    let counts = counted.as_ref().ok();
    let row = |(kind, name): &(&str, &'static str)| row(group, kind, name, &listed, counts);
    let rows: Vec<Row> = TYPES.iter().map(row).collect();
    let page = List {
        frame: visit.frame("Datasets", &dataset_group::crumbs(group)),
        has_interactions: rows[0].path.is_some(),
        rows,
        uncounted: counted.err(),
    };
    Ok(reply::page(StatusCode::OK, &page))
}

fn row(group: &str, kind: &str, name: &'static str, listed: &Value, counted: Option<&Value>) -> Row {
    let all = |value: &'_ Value| value["datasets"].as_array().cloned().unwrap_or_default();
    let is_so =
        |dataset: &Value| dataset["datasetType"].as_str().is_some_and(|word| word.eq_ignore_ascii_case(kind));
    let dataset = all(listed).into_iter().find(is_so);
    let is_of_it = |counts: &Value| dataset.as_ref().is_some_and(|d| d["datasetArn"] == counts["datasetArn"]);
    let contents = counted.and_then(|counted| all(counted).into_iter().find(is_of_it));
    let word = dataset.as_ref().map(|dataset| text(dataset, "status")).unwrap_or_default();
    Row {
        name,
        dataset_name: dataset.as_ref().map(|dataset| text(dataset, "name")).unwrap_or_default(),
        path: dataset.is_some().then(|| super::dataset::path(group, kind)),
        create_path: format!("{}/create-dataset?type={kind}", dataset_group::path(group)),
        status: status(&word),
        tone: tone(&word),
        contents: contents.as_ref().map(Contents::read),
    }
}
