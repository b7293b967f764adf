//! A dataset and its schema, and the tracker of its events, found as any client finds them: by asking the server.

use model::error::{Error, Result};
use model::{DatasetType, Schema};
use serde_json::{Value, json};

use crate::client::Client;

/// A dataset and its fields.
pub struct Dataset {
    pub arn: String,
    pub dataset_type: DatasetType,
    pub schema: Schema,
}

impl Dataset {
    /// The dataset that the events of a tracker go to.
    ///
    /// # Errors
    /// `Unavailable` when the server can't be reached; `Invalid` for what it answers, or when nothing bears the id.
    pub async fn of_tracker(client: &Client, tracking_id: &str) -> Result<Dataset> {
        let group = group_of(client, tracking_id).await?;
        let of_group = json!({ "datasetGroupArn": group });
        for listed in list(client, "ListDatasets", of_group, "datasets").await? {
            if text(&listed, "datasetType")?.eq_ignore_ascii_case(DatasetType::Interactions.as_str()) {
                return Dataset::by_arn(client, &text(&listed, "datasetArn")?).await;
            }
        }
        Err(Error::invalid("The dataset group of the event tracker has no Interactions dataset."))
    }

    /// # Errors
    /// As `of_tracker`.
    pub async fn by_arn(client: &Client, arn: &str) -> Result<Dataset> {
        let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
        let dataset = &described["dataset"];
        let schema = json!({ "schemaArn": text(dataset, "schemaArn")? });
        let described = client.personalize("DescribeSchema", schema).await?;
        let (schema, domain) =
            (text(&described["schema"], "schema")?, described["schema"]["domain"].as_str());
        let schema = Schema::parse(&schema, domain.and_then(model::Domain::parse));
        let named = text(dataset, "datasetType")?;
        Ok(Dataset {
            arn: arn.to_owned(),
            dataset_type: DatasetType::parse(&named).ok_or_else(|| strange("datasetType"))?,
            schema: schema.map_err(|problems| Error::invalid(problems.join(" ")))?,
        })
    }
}

/// The tracking id under which interactions come to a dataset: its own, else that of the event tracker in its group; `None` where the group has none.
///
/// # Errors
/// As `Dataset::of_tracker`; `Denied` for a key that may not list trackers.
pub async fn tracking_id_of(client: &Client, dataset_arn: &str) -> Result<Option<String>> {
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": dataset_arn })).await?;
    // Datasets of action interactions have one of their own.
    if let Some(tracking_id) = described["dataset"]["trackingId"].as_str() {
        return Ok(Some(tracking_id.to_owned()));
    }
    let of_group = json!({ "datasetGroupArn": text(&described["dataset"], "datasetGroupArn")? });
    let Some(listed) = list(client, "ListEventTrackers", of_group, "eventTrackers").await?.pop() else {
        return Ok(None);
    };
    let arn = json!({ "eventTrackerArn": text(&listed, "eventTrackerArn")? });
    let described = client.personalize("DescribeEventTracker", arn).await?;
    text(&described["eventTracker"], "trackingId").map(Some)
}

async fn group_of(client: &Client, tracking_id: &str) -> Result<String> {
    for listed in list(client, "ListEventTrackers", json!({}), "eventTrackers").await? {
        let arn = json!({ "eventTrackerArn": text(&listed, "eventTrackerArn")? });
        let described = client.personalize("DescribeEventTracker", arn).await?;
        let tracker = &described["eventTracker"];
        if tracker["trackingId"].as_str() == Some(tracking_id) {
            return text(tracker, "datasetGroupArn");
        }
    }
    Err(Error::invalid(format!("The given tracking ID does not exist: {tracking_id}")))
}

async fn list(client: &Client, operation: &str, mut input: Value, member: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    loop {
        let mut page = client.personalize(operation, input.clone()).await?;
        if let Some(entries) = page[member].as_array_mut() {
            all.append(entries);
        }
        match page["nextToken"].take() {
            Value::Null => return Ok(all),
            token => input["nextToken"] = token,
        }
    }
}

/// A member that an answer has to have.
///
/// # Errors
/// `Invalid` when it does not: no server of this API answers so.
pub fn text(answer: &Value, member: &str) -> Result<String> {
    answer[member].as_str().map(str::to_owned).ok_or_else(|| strange(member))
}

fn strange(member: &str) -> Error {
    Error::invalid(format!("The server's answer has no {member} that makes sense."))
}
