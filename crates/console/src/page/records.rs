//! *Create records*: up to ten, put as any client would.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::dataset_group::{text, type_name};
use super::{Frame, dataset};
use crate::client::{Answer, Client, Refusal};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

#[derive(Template)]
#[template(path = "records_create.html")]
struct Create<'a> {
    frame: Frame,
    dataset_name: &'static str,
    dataset_path: String,
    input: String,
    /// What was answered, when something was sent.
    response: Option<String>,
    problem: Option<&'a Refusal>,
    is_of_events: bool,
    has_tracker: bool,
}

pub async fn create(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let arn = dataset::arn(visit, group, kind);
    let tracker = if kind == "INTERACTIONS" { tracking_id(visit, &client, group).await? } else { None };
    let (mut problem, mut response) = (None, None);
    if visit.is_post() {
        match put(&client, kind, &arn, tracker.as_deref(), visit.form.raw("records")).await {
            Ok(count) => response = Some(format!("{count} record(s) are stored.")),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let input = match visit.form.raw("records") {
        "" => template(&client, kind, &arn).await?,
        given => given.to_owned(),
    };
    let page = Create {
        frame: visit.frame("Create records", &dataset::crumbs(group, kind)),
        dataset_name: type_name(kind),
        dataset_path: dataset::path(group, kind),
        input,
        response,
        problem: problem.as_ref(),
        is_of_events: kind == "INTERACTIONS",
        has_tracker: tracker.is_some(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

async fn tracking_id(visit: &Visit<'_>, client: &Client<'_>, group: &str) -> Answer<Option<String>> {
    let arn = visit.console.realm.dataset_group(group).to_string();
    let input = json!({ "datasetGroupArn": arn, "maxResults": 1 });
    let listed = client.personalize("ListEventTrackers", input).await?;
    let Some(tracker) = listed["eventTrackers"].as_array().and_then(|all| all.first()) else {
        return Ok(None);
    };
    let input = json!({ "eventTrackerArn": tracker["eventTrackerArn"] });
    let described = client.personalize("DescribeEventTracker", input).await?;
    Ok(Some(text(&described["eventTracker"], "trackingId")))
}

async fn put(
    client: &Client<'_>,
    kind: &str,
    dataset_arn: &str,
    tracking_id: Option<&str>,
    records: &str,
) -> Answer<usize> {
    let wrong = |message: String| Refusal { status: 400, code: "InvalidInput".to_owned(), message };
    let records: Value =
        serde_json::from_str(records).map_err(|cause| wrong(format!("This is no JSON: {cause}.")))?;
    let records = if records.is_array() { records } else { json!([records]) };
    let count = records.as_array().map_or(0, Vec::len);
    let (path, input) = match kind {
        "ITEMS" => ("/items", json!({ "datasetArn": dataset_arn, "items": records })),
        "USERS" => ("/users", json!({ "datasetArn": dataset_arn, "users": records })),
        "ACTIONS" => ("/actions", json!({ "datasetArn": dataset_arn, "actions": records })),
        "INTERACTIONS" => {
            let Some(tracking_id) = tracking_id else {
                return Err(wrong("Events need an event tracker; the group has none yet.".to_owned()));
            };
            return put_events(client, tracking_id, &records).await;
        }
        _ => return Err(wrong("Action interactions are put with PutActionInteractions.".to_owned())),
    };
    client.put_records(path, input).await?;
    Ok(count)
}

// Events of one user and session go together; the form takes them in any order.
async fn put_events(client: &Client<'_>, tracking_id: &str, records: &Value) -> Answer<usize> {
    let mut calls: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for record in records.as_array().into_iter().flatten() {
        let mut event = record.clone();
        let Some(members) = event.as_object_mut() else { continue };
        let user = members.remove("userId").unwrap_or_default();
        let session = members.remove("sessionId").unwrap_or_else(|| "console".into());
        match calls.iter_mut().find(|(of_user, of_session, _)| *of_user == user && *of_session == session) {
            Some((_, _, events)) => events.push(event),
            None => calls.push((user, session, vec![event])),
        }
    }
    let mut count = 0;
    for (user, session, events) in calls {
        count += events.len();
        let mut input = json!({ "trackingId": tracking_id, "sessionId": session, "eventList": events });
        if !user.is_null() {
            input["userId"] = user;
        }
        client.put_records("/events", input).await?;
    }
    Ok(count)
}

// A record with each field of the schema.
async fn template(client: &Client<'_>, kind: &str, arn: &str) -> Answer<String> {
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
    let input = json!({ "schemaArn": described["dataset"]["schemaArn"] });
    let schema = client.personalize("DescribeSchema", input).await?;
    let schema: Value = serde_json::from_str(&text(&schema["schema"], "schema")).unwrap_or_default();
    let fields = schema["fields"].as_array().cloned().unwrap_or_default();
    let mut properties = serde_json::Map::new();
    let mut record = serde_json::Map::new();
    for field in &fields {
        let (name, sample) = (camel(&text(field, "name")), sample(&field["type"]));
        match (kind, name.as_str()) {
            ("INTERACTIONS", "userId" | "itemId" | "eventType" | "eventValue") => {
                record.insert(name, sample);
            }
            ("INTERACTIONS", "timestamp") => {
                record.insert("sentAt".to_owned(), json!(1_700_000_000));
            }
            ("ITEMS", "itemId") => {
                record.insert(name, sample);
            }
            ("USERS", "userId") => {
                record.insert(name, sample);
            }
            ("ACTIONS", "actionId") => {
                record.insert(name, sample);
            }
            _ => {
                properties.insert(name, sample);
            }
        }
    }
    if kind == "INTERACTIONS" {
        record.entry("eventType").or_insert_with(|| json!("click"));
        record.insert("sessionId".to_owned(), json!("session-1"));
    }
    if kind.ends_with('S') && !properties.is_empty() {
        // As the service wants it: JSON as a text.
        record.insert("properties".to_owned(), json!(Value::Object(properties).to_string()));
    }
    Ok(serde_json::to_string_pretty(&json!([record])).unwrap_or_default())
}

fn camel(name: &str) -> String {
    let mut words = name.split('_').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |mut text, word| {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text + letters.as_str()
    })
}

fn sample(kind: &Value) -> Value {
    let word =
        kind.as_str().or_else(|| kind.as_array()?.iter().filter_map(Value::as_str).find(|k| *k != "null"));
    match word {
        Some("long" | "int") => json!(1),
        Some("float" | "double") => json!(1.5),
        Some("boolean") => json!(true),
        _ => json!("text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_calls_name_them() {
        assert_eq!(camel("CATEGORY_L1"), "categoryL1");
        assert_eq!(
            (sample(&json!(["null", "float"])), sample(&json!("string"))),
            (json!(1.5), json!("text"))
        );
    }
}
