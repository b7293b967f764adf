//! Schemas, dataset groups, datasets and event trackers.

use std::time::{Duration, Instant};

use model::error::{Error, Result};
use serde_json::{Value, json};

use super::{Attributes, Found, document, if_any, put_tags, tags};
use crate::apply::item::text;
use crate::apply::names::Names;
use crate::client::Client;

const POLL: Duration = Duration::from_millis(100);
/// Nothing of this takes long, but an update waits for the imports of its dataset.
const PATIENCE: Duration = Duration::from_secs(300);

pub async fn schema(client: &Client, names: &Names, name: &str) -> Result<Option<Found>> {
    let arn = names.personalize(&format!("schema/{name}"));
    let described = if_any(client.personalize("DescribeSchema", json!({ "schemaArn": arn })).await)?;
    let Some(described) = described else { return Ok(None) };
    let schema = &described["schema"];
    let text = schema["schema"].as_str().unwrap_or_default();
    let mut attributes = Attributes::from([("schema".to_owned(), document(text)?)]);
    put(&mut attributes, "domain", &schema["domain"]);
    Ok(Some(Found { attributes, more: Vec::new() }))
}

pub async fn create_schema(client: &Client, name: &str, wanted: &Attributes) -> Result<()> {
    let document = wanted.get("schema").map(Value::to_string);
    let mut input = json!({ "name": name, "schema": document });
    give(&mut input, "domain", wanted, "domain");
    client.personalize("CreateSchema", input).await.map(drop)
}

pub async fn group(client: &Client, names: &Names, name: &str) -> Result<Option<Found>> {
    let arn = names.personalize(&format!("dataset-group/{name}"));
    let input = json!({ "datasetGroupArn": arn });
    let Some(group) = settled(client, "DescribeDatasetGroup", &input, "datasetGroup").await? else {
        return Ok(None);
    };
    let mut attributes = tags_of(client, &arn).await?;
    put(&mut attributes, "domain", &group["domain"]);
    put(&mut attributes, "role", &group["roleArn"]);
    put(&mut attributes, "kmsKey", &group["kmsKeyArn"]);
    Ok(Some(Found { attributes, more: Vec::new() }))
}

pub async fn create_group(client: &Client, names: &Names, name: &str, wanted: &Attributes) -> Result<()> {
    let mut input = json!({ "name": name, "tags": tags(wanted, "tagKey", "tagValue") });
    give(&mut input, "domain", wanted, "domain");
    give(&mut input, "roleArn", wanted, "role");
    give(&mut input, "kmsKeyArn", wanted, "kmsKey");
    client.personalize("CreateDatasetGroup", input).await?;
    group(client, names, name).await.map(drop)
}

pub async fn dataset(client: &Client, names: &Names, name: &str) -> Result<Option<Found>> {
    let arn = names.personalize(&format!("dataset/{name}"));
    let input = json!({ "datasetArn": arn });
    let Some(dataset) = settled(client, "DescribeDataset", &input, "dataset").await? else {
        return Ok(None);
    };
    let mut attributes = tags_of(client, &arn).await?;
    put(&mut attributes, "name", &dataset["name"]);
    put(&mut attributes, "schema", &dataset["schemaArn"]);
    Ok(Some(Found { attributes, more: Vec::new() }))
}

pub async fn create_dataset(client: &Client, names: &Names, name: &str, wanted: &Attributes) -> Result<()> {
    let (group, dataset_type) = name.split_once('/').unwrap_or((name, ""));
    let usual = format!("{group}-{}", dataset_type.to_lowercase().replace('_', "-"));
    let input = json!({
        "name": text(wanted, "name").unwrap_or(&usual), "schemaArn": wanted.get("schema"),
        "datasetGroupArn": names.personalize(&format!("dataset-group/{group}")), "datasetType": dataset_type,
        "tags": tags(wanted, "tagKey", "tagValue"),
    });
    client.personalize("CreateDataset", input).await?;
    dataset(client, names, name).await.map(drop)
}

pub async fn change_dataset(client: &Client, names: &Names, name: &str, wanted: &Attributes) -> Result<()> {
    let arn = names.personalize(&format!("dataset/{name}"));
    tag(client, &arn, wanted).await?;
    let Some(schema) = wanted.get("schema") else { return Ok(()) };
    client.personalize("UpdateDataset", json!({ "datasetArn": arn, "schemaArn": schema })).await?;
    dataset(client, names, name).await?;
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
    let update = &described["dataset"]["latestDatasetUpdate"];
    match update["status"].as_str() {
        Some("ACTIVE") => Ok(()),
        _ => Err(Error::invalid(format!(
            "the dataset {name} could not be given another schema: {}",
            update["failureReason"].as_str().unwrap_or("no reason was given")
        ))),
    }
}

/// The tracker of a group, of which there is one at most.
pub async fn tracker(client: &Client, names: &Names, group: &str) -> Result<Option<Found>> {
    let Some((arn, name)) = tracker_of(client, names, group).await? else { return Ok(None) };
    settled(client, "DescribeEventTracker", &json!({ "eventTrackerArn": arn }), "eventTracker").await?;
    let mut attributes = tags_of(client, &arn).await?;
    attributes.insert("name".to_owned(), json!(name));
    Ok(Some(Found { attributes, more: Vec::new() }))
}

async fn tracker_of(client: &Client, names: &Names, group: &str) -> Result<Option<(String, String)>> {
    let group = names.personalize(&format!("dataset-group/{group}"));
    let listed = if_any(client.personalize("ListEventTrackers", json!({ "datasetGroupArn": group })).await)?;
    let found = listed.as_ref().map(|listed| &listed["eventTrackers"][0]);
    let text = |tracker: &Value, member: &str| tracker[member].as_str().map(str::to_owned);
    Ok(found.and_then(|tracker| Some((text(tracker, "eventTrackerArn")?, text(tracker, "name")?))))
}

pub async fn create_tracker(client: &Client, names: &Names, group: &str, wanted: &Attributes) -> Result<()> {
    let input = json!({
        "name": wanted.get("name"), "datasetGroupArn": names.personalize(&format!("dataset-group/{group}")),
        "tags": tags(wanted, "tagKey", "tagValue"),
    });
    client.personalize("CreateEventTracker", input).await?;
    tracker(client, names, group).await.map(drop)
}

pub async fn change_tracker(client: &Client, names: &Names, group: &str, wanted: &Attributes) -> Result<()> {
    match tracker_of(client, names, group).await? {
        Some((arn, _)) => tag(client, &arn, wanted).await,
        None => Ok(()),
    }
}

pub async fn tag(client: &Client, arn: &str, wanted: &Attributes) -> Result<()> {
    let tags = tags(wanted, "tagKey", "tagValue");
    if tags.is_empty() {
        return Ok(());
    }
    client.personalize("TagResource", json!({ "resourceArn": arn, "tags": tags })).await.map(drop)
}

async fn tags_of(client: &Client, arn: &str) -> Result<Attributes> {
    let listed = client.personalize("ListTagsForResource", json!({ "resourceArn": arn })).await?;
    let mut attributes = Attributes::new();
    put_tags(&mut attributes, &listed["tags"], "tagKey", "tagValue");
    Ok(attributes)
}

/// What is described, once nothing more becomes of it by itself.
///
/// # Errors
/// `Invalid` when its creation failed; `Unavailable` when it goes on for too long.
async fn settled(client: &Client, operation: &str, input: &Value, member: &str) -> Result<Option<Value>> {
    let began = Instant::now();
    loop {
        let described = if_any(client.personalize(operation, input.clone()).await)?;
        let Some(found) = described.map(|mut described| described[member].take()) else { return Ok(None) };
        let status = found["status"].as_str().unwrap_or_default();
        let update = found["latestDatasetUpdate"]["status"].as_str().unwrap_or("ACTIVE");
        if status == "CREATE FAILED" {
            let why = found["failureReason"].as_str().unwrap_or("no reason was given");
            return Err(Error::invalid(format!(
                "{} could not be made: {why}; delete it first",
                found["name"]
            )));
        }
        if status == "ACTIVE" && !update.ends_with("PENDING") && !update.ends_with("IN_PROGRESS") {
            return Ok(Some(found));
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::unavailable(format!("{} is still {status} ({update})", found["name"])));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn put(attributes: &mut Attributes, name: &str, value: &Value) {
    if !value.is_null() {
        attributes.insert(name.to_owned(), value.clone());
    }
}

fn give(input: &mut Value, member: &str, wanted: &Attributes, attribute: &str) {
    if let Some(value) = wanted.get(attribute) {
        input[member] = value.clone();
    }
}
