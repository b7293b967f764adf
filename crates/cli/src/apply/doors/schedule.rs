//! Export schedules, which are put as a whole.

use model::error::Result;
use serde_json::{Value, json};

use super::{Attributes, Found};
use crate::client::Client;

/// Members that are called alike here and there.
const SAME: [&str; 6] = ["ingestionMode", "cron", "timeZone", "keep", "missed", "enabled"];

pub async fn find(client: &Client, name: &str) -> Result<Option<Found>> {
    let Some(schedule) = client.schedule_if_any(name).await? else { return Ok(None) };
    let destination = &schedule["jobOutput"]["s3DataDestination"];
    let mut attributes = Attributes::from([
        ("dataset".to_owned(), schedule["datasetArn"].clone()),
        ("role".to_owned(), schedule["roleArn"].clone()),
        ("path".to_owned(), destination["path"].clone()),
        ("kmsKey".to_owned(), destination["kmsKeyArn"].clone()),
        ("tags".to_owned(), by_key(&schedule["tags"])),
    ]);
    attributes.extend(SAME.map(|member| (member.to_owned(), schedule[member].clone())));
    Ok(Some(Found { attributes, more: Vec::new() }))
}

pub async fn put(client: &Client, name: &str, wanted: &Attributes) -> Result<()> {
    let is_said = |name: &str| wanted.get(name).filter(|value| !value.is_null());
    let mut destination = json!({ "path": wanted.get("path") });
    if let Some(key) = is_said("kmsKey") {
        destination["kmsKeyArn"] = key.clone();
    }
    let tags = wanted.get("tags").and_then(Value::as_object).into_iter().flatten();
    let tags: Vec<Value> = tags.map(|(key, value)| json!({ "tagKey": key, "tagValue": value })).collect();
    let mut body = json!({
        "datasetArn": wanted.get("dataset"), "roleArn": wanted.get("role"), "tags": tags,
        "jobOutput": { "s3DataDestination": destination },
    });
    for member in SAME {
        if let Some(value) = is_said(member) {
            body[member] = value.clone();
        }
    }
    // Whoever has paused it is not overruled by a file that says nothing of it.
    if is_said("enabled").is_none()
        && let Some(known) = client.schedule_if_any(name).await?
    {
        body["enabled"] = known["enabled"].clone();
    }
    client.put_schedule(name, &body).await.map(drop)
}

fn by_key(tags: &Value) -> Value {
    let mut all = json!({});
    for tag in tags.as_array().into_iter().flatten() {
        all[tag["tagKey"].as_str().unwrap_or_default()] = tag["tagValue"].clone();
    }
    all
}
