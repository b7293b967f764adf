//! *Create record(s)*: up to ten, each put as any client would.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::dataset_group::{self, text, type_name};
use super::{Frame, dataset};
use crate::client::{Answer, Client, Refusal, aside};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

/// The most records that the form takes at once.
const RECORDS_MAX: usize = 10;

/// What was answered to one record.
struct Told {
    number: usize,
    refusal: Option<Refusal>,
}

#[derive(Template)]
#[template(path = "records_create.html")]
struct Create<'a> {
    frame: Frame,
    title: &'static str,
    dataset_name: &'static str,
    dataset_path: String,
    input: String,
    told: Vec<Told>,
    stored: usize,
    problem: Option<&'a Refusal>,
    trackers_path: Option<String>,
}

/// What the page of a type is called.
fn title(kind: &str) -> &'static str {
    match kind {
        "INTERACTIONS" => "Create user-item interaction record(s)",
        "USERS" => "Create user record(s)",
        "ITEMS" => "Create item record(s)",
        "ACTIONS" => "Create action record(s)",
        _ => "Create action interaction record(s)",
    }
}

pub async fn create(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let arn = dataset::arn(visit, group, kind);
    let tracker = match kind {
        "INTERACTIONS" => tracking_id(visit, &client, group).await?,
        "ACTION_INTERACTIONS" => own_tracking_id(&client, &arn).await?,
        _ => None,
    };
    let typed = visit.form.raw("records");
    let (mut problem, mut told, mut input) = (None, Vec::new(), typed.to_owned());
    if visit.is_post() {
        match read(typed) {
            Ok(records) => {
                told = put_all(&client, kind, &arn, tracker.as_deref(), &records).await?;
                input = left(typed, &records, &told);
            }
            Err(refusal) => problem = Some(refusal),
        }
    }
    if input.is_empty() {
        input = template(&client, kind, &arn).await?;
    }
    let refused = told.iter().filter(|told| told.refusal.is_some()).count();
    let needs_tracker = kind == "INTERACTIONS" && tracker.is_none();
    let page = Create {
        frame: visit.frame(title(kind), &dataset::crumbs(group, kind)),
        title: title(kind),
        dataset_name: type_name(kind),
        dataset_path: dataset::path(group, kind),
        input,
        stored: told.len() - refused,
        told,
        problem: problem.as_ref(),
        trackers_path: needs_tracker.then(|| format!("{}/trackers/create", dataset_group::path(group))),
    };
    let status = if refused > 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(reply::page(problem.as_ref().map_or(status, status_of), &page))
}

fn read(text: &str) -> Answer<Vec<Value>> {
    let wrong = |cause| Refusal::invalid(format!("The record input is no JSON: {cause}."));
    let records = match serde_json::from_str(text).map_err(wrong)? {
        Value::Array(records) => records,
        record => vec![record],
    };
    match records.len() {
        1..=RECORDS_MAX => Ok(records),
        count => Err(Refusal::invalid(format!("Give 1 to {RECORDS_MAX} records; there are {count}."))),
    }
}

// Records that are stored are not sent a second time: what is left to mend stays in the form.
fn left(typed: &str, records: &[Value], told: &[Told]) -> String {
    let refused: Vec<&Value> = records
        .iter()
        .zip(told)
        .filter(|(_, told)| told.refusal.is_some())
        .map(|(record, _)| record)
        .collect();
    if refused.is_empty() || refused.len() == records.len() {
        return typed.to_owned();
    }
    serde_json::to_string_pretty(&refused).unwrap_or_default()
}

// One by one, so that each is stored or refused by itself.
async fn put_all(
    client: &Client<'_>,
    kind: &str,
    dataset_arn: &str,
    tracking_id: Option<&str>,
    records: &[Value],
) -> Answer<Vec<Told>> {
    let mut told = Vec::new();
    for (n, record) in records.iter().enumerate() {
        let done = match call(kind, dataset_arn, tracking_id, record) {
            Ok((path, input)) => aside(client.put_records(path, input).await)?.map(drop),
            Err(refusal) => Err(refusal),
        };
        told.push(Told { number: n + 1, refusal: done.err() });
    }
    Ok(told)
}

// Where a record is put, and with what.
fn call(
    kind: &str,
    dataset_arn: &str,
    tracking_id: Option<&str>,
    record: &Value,
) -> Answer<(&'static str, Value)> {
    let tracker = || tracking_id.ok_or_else(|| Refusal::invalid("The group has no event tracker yet."));
    Ok(match kind {
        "ITEMS" => ("/items", json!({ "datasetArn": dataset_arn, "items": [record] })),
        "USERS" => ("/users", json!({ "datasetArn": dataset_arn, "users": [record] })),
        "ACTIONS" => ("/actions", json!({ "datasetArn": dataset_arn, "actions": [record] })),
        "INTERACTIONS" => ("/events", event(tracker()?, record)),
        _ => ("/action-interactions", json!({ "trackingId": tracker()?, "actionInteractions": [record] })),
    })
}

// User and session stand beside the list of events.
fn event(tracking_id: &str, record: &Value) -> Value {
    let mut event = record.clone();
    let mut taken = |name: &str| event.as_object_mut().and_then(|members| members.remove(name));
    let (user, session) = (taken("userId"), taken("sessionId").unwrap_or_else(|| "console".into()));
    let mut input = json!({ "trackingId": tracking_id, "sessionId": session, "eventList": [event] });
    if let Some(user) = user {
        input["userId"] = user;
    }
    input
}

async fn own_tracking_id(client: &Client<'_>, arn: &str) -> Answer<Option<String>> {
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
    Ok(described["dataset"]["trackingId"].as_str().map(str::to_owned))
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
            ("ACTION_INTERACTIONS", "userId" | "actionId" | "eventType") => {
                record.insert(name, sample);
            }
            ("ACTION_INTERACTIONS", "timestamp") => {
                record.insert(name, json!(1_700_000_000));
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
    if kind == "ACTION_INTERACTIONS" {
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

    #[test]
    fn one_to_ten_records_are_taken() {
        assert_eq!(read("{}").map(|records| records.len()), Ok(1));
        assert_eq!(read("[1,2]").map(|records| records.len()), Ok(2));
        let many = format!("[{}1]", "1,".repeat(RECORDS_MAX));
        assert!(read(&many).is_err() && read("[]").is_err() && read("{").is_err());
    }

    #[test]
    fn only_what_was_refused_is_left_to_mend() {
        let records = [json!(1), json!(2)];
        let told = |which: [bool; 2]| {
            let one =
                |(n, is): (usize, bool)| Told { number: n + 1, refusal: is.then(|| Refusal::invalid("no")) };
            which.into_iter().enumerate().map(one).collect::<Vec<_>>()
        };
        assert_eq!(left("typed", &records, &told([false, true])), "[\n  2\n]");
        assert_eq!(left("typed", &records, &told([true, true])), "typed");
        assert_eq!(left("typed", &records, &told([false, false])), "typed");
    }

    #[test]
    fn user_and_session_stand_beside_the_event() {
        let input = event("t", &json!({ "userId": "u", "itemId": "i" }));
        let whole = json!({ "trackingId": "t", "userId": "u", "sessionId": "console", "eventList": [{ "itemId": "i" }] });
        assert_eq!(input, whole);
    }
}
