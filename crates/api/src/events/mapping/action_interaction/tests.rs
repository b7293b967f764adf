use super::super::Mapping;
use crate::events::request::action_interaction::PutActionInteractions;
use model::{DatasetType, Layout, Schema};
use serde_json::{Value as Json, json};

fn mapping(more: &[Json]) -> Mapping {
    let mut fields = vec![
        json!({"name": "USER_ID", "type": "string"}),
        json!({"name": "ACTION_ID", "type": "string"}),
        json!({"name": "EVENT_TYPE", "type": "string"}),
        json!({"name": "TIMESTAMP", "type": "long"}),
    ];
    fields.extend(more.iter().cloned());
    let schema = json!({"type": "record", "name": "ActionInteractions", "namespace": "n", "version": "1.0",
        "fields": fields});
    let schema = Schema::parse(&schema.to_string(), None).unwrap();
    Mapping::new(&Layout::new(DatasetType::ActionInteractions, &schema))
}

fn whole() -> Mapping {
    mapping(&[
        json!({"name": "DEVICE", "type": ["string", "null"], "categorical": true}),
        json!({"name": "COUNT", "type": "int"}),
        json!({"name": "IMPRESSION", "type": ["string", "null"]}),
        json!({"name": "RECOMMENDATION_ID", "type": ["string", "null"]}),
    ])
}

fn row_of(mapping: &Mapping, change: &Json) -> Result<String, String> {
    let mut interaction =
        json!({"actionId": "a", "userId": "u", "sessionId": "s", "timestamp": 7, "eventType": "Taken"});
    for (member, value) in change.as_object().unwrap() {
        // Properties are given as objects here, for legibility.
        interaction[member] = if value.is_object() { json!(value.to_string()) } else { value.clone() };
    }
    let put = json!({"trackingId": "t", "actionInteractions": [interaction]});
    let put: PutActionInteractions = serde_json::from_value(put).unwrap();
    let row = mapping.action_interaction(&put.action_interactions[0]).map_err(|e| e.message().to_owned())?;
    let mut line = Vec::new();
    csv::write::write_record(&row, &mut line);
    Ok(String::from_utf8(line).unwrap().trim_end().to_owned())
}

fn row(change: &Json) -> String {
    row_of(&whole(), change).unwrap()
}

fn refusal(change: &Json) -> String {
    row_of(&whole(), change).unwrap_err()
}

#[test]
fn members_and_properties_fill_their_columns() {
    let all = json!({"timestamp": 1_553_631_782.9, "eventType": "Viewed", "recommendationId": "RID", "impression": ["a", "b"],
        "properties": {"device": "Phone", "COUNT": "3", "color": "red"}});
    assert_eq!(row(&all), "u,a,Viewed,1553631782,Phone,3,a|b,RID");
    assert_eq!(row(&json!({})), "u,a,Taken,7,,,,");
}

#[test]
fn what_the_schema_has_no_column_for_is_dropped() {
    let all = json!({"recommendationId": "RID", "impression": ["a|b"], "properties": {"count": 1}});
    assert_eq!(row_of(&mapping(&[]), &all).unwrap(), "u,a,Taken,7");
}

#[test]
fn without_a_user_the_session_stands_in() {
    assert_eq!(row(&json!({"userId": null})), "s,a,Taken,7,,,,");
}

#[test]
fn event_types_are_known_in_every_spelling_and_stored_as_sent() {
    for sent in ["Viewed", "taken", "TAKEN", "Not taken", "Not Taken", "NOT_TAKEN", "nottaken"] {
        assert_eq!(row(&json!({"eventType": sent})), format!("u,a,{sent},7,,,,"));
    }
    for sent in ["click", "Not", "View", "taken!", " ", "not-taken"] {
        let text = format!("Invalid eventType: {sent}. It must be one of Viewed, Taken, Not taken.");
        assert_eq!(refusal(&json!({"eventType": sent})), text);
    }
}

#[test]
fn properties_that_are_members_are_refused_in_any_spelling() {
    for key in ["userId", "SESSION_ID", "EventType", "timestamp", "recommendationid", "impression"] {
        assert!(refusal(&json!({"properties": {key: "x"}})).contains(key), "{key}");
    }
    assert_eq!(row(&json!({"properties": {"actionId": "below"}})), "u,a,Taken,7,,,,");
}

#[test]
fn what_does_not_fit_its_column_is_refused() {
    for (key, value) in [("count", json!("many")), ("device", json!([1])), ("count", json!({}))] {
        assert!(refusal(&json!({"properties": {key: value}})).contains(key), "{key}");
    }
    assert!(refusal(&json!({"properties": "{\"device\":\"a\",\"DEVICE\":\"b\"}"})).contains("twice"));
    assert_eq!(refusal(&json!({"properties": "[]"})), "Error parsing properties json");
    assert!(refusal(&json!({"impression": ["a|b"]})).contains("vertical bar"));
    let long = json!({"impression": vec!["x".repeat(100); 11]});
    assert_eq!(refusal(&long), "Length cannot be more than 1000 characters for IMPRESSION.");
    assert_eq!(refusal(&json!({"timestamp": -1})), "The time in timestamp is out of range.");
}
