use super::*;
use crate::events::request::read_events;
use model::{DatasetType, Schema};
use serde_json::{Value as Json, json};

fn mapping(dataset_type: DatasetType, fields: &Json) -> Mapping {
    let schema = json!({"type": "record", "name": dataset_type.record_name(), "namespace": "n", "version": "1.0", "fields": fields});
    Mapping::new(&Layout::new(dataset_type, &Schema::parse(&schema.to_string(), None).unwrap()))
}

/// The schema of the worked example.
fn interactions() -> Mapping {
    mapping(
        DatasetType::Interactions,
        &json!([
            {"name": "USER_ID", "type": "string"},
            {"name": "ITEM_ID", "type": "string"},
            {"name": "EVENT_TYPE", "type": "string"},
            {"name": "EVENT_VALUE", "type": ["float", "null"]},
            {"name": "NUM_RATINGS", "type": "int"},
            {"name": "DEVICE", "type": ["string", "null"], "categorical": true},
            {"name": "TIMESTAMP", "type": "long"},
            {"name": "IMPRESSION", "type": ["string", "null"]},
            {"name": "RECOMMENDATION_ID", "type": ["string", "null"]},
        ]),
    )
}

/// No event type, no event value, no impression.
fn bare() -> Mapping {
    mapping(
        DatasetType::Interactions,
        &json!([
            {"name": "USER_ID", "type": "string"},
            {"name": "ITEM_ID", "type": "string"},
            {"name": "TIMESTAMP", "type": "long"},
        ]),
    )
}

fn items() -> Mapping {
    mapping(
        DatasetType::Items,
        &json!([
            {"name": "ITEM_ID", "type": "string"},
            {"name": "PRICE", "type": "float"},
            {"name": "CATEGORY_L1", "type": ["string", "null"], "categorical": true},
            {"name": "DESCRIPTION", "type": ["string", "null"], "textual": true},
            {"name": "CREATION_TIMESTAMP", "type": ["long", "null"]},
        ]),
    )
}

fn body(event: &Json) -> String {
    let mut event = event.clone();
    let object = event.as_object_mut().unwrap();
    object.entry("eventType").or_insert(json!("rating"));
    object.entry("sentAt").or_insert(json!(7));
    // Properties are given as objects here, for legibility.
    if let Some(properties) = object.get_mut("properties").filter(|p| p.is_object()) {
        *properties = json!(properties.to_string());
    }
    let user = object.remove("userId").unwrap_or(json!("u"));
    json!({"trackingId": "t", "sessionId": "session1", "userId": user, "eventList": [event]}).to_string()
}

/// A row as the line of a CSV file would show it.
fn line(row: &[Value<'_>]) -> String {
    let mut out = Vec::new();
    csv::write::write_record(row, &mut out);
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

fn row_of(mapping: &Mapping, event: &Json) -> Result<String, String> {
    let body = body(event);
    let put = read_events(body.as_bytes()).unwrap();
    mapping.event(&put, &put.event_list[0]).map(|row| line(&row)).map_err(|e| e.message().to_owned())
}

fn row(event: &Json) -> String {
    row_of(&interactions(), event).unwrap()
}

fn refusal(event: &Json) -> String {
    row_of(&interactions(), event).unwrap_err()
}

fn item(properties: &Json) -> Result<String, String> {
    let text = properties.to_string();
    items().thing("i1", Some(&text)).map(|row| line(&row)).map_err(|e| e.message().to_owned())
}

#[test]
fn the_worked_example_gives_its_two_rows() {
    let first = json!({"userId": "user555", "eventId": "event1", "sentAt": 1_553_631_760, "eventType": "like",
        "properties": "{\"itemId\":\"choc-panama\",\"eventValue\":4,\"numRatings\":0}"});
    assert_eq!(row(&first), "user555,choc-panama,like,4.0,0,,1553631760,,");
    let second = json!({"userId": "user555", "eventId": "event2", "sentAt": 1_553_631_782.9, "eventType": "rating",
        "itemId": "movie_ten", "eventValue": 3, "impression": ["a", "b", "movie_ten"], "recommendationId": "RID-1",
        "properties": "{\"numRatings\":\"13\",\"device\":\"Phone\",\"color\":\"red\"}"});
    assert_eq!(row(&second), "user555,movie_ten,rating,3.0,13,Phone,1553631782,a|b|movie_ten,RID-1");
}

#[test]
fn members_win_over_properties() {
    let event = json!({"itemId": "top", "eventValue": 1, "properties": {"itemId": "below", "eventValue": "no number"}});
    assert_eq!(row(&event), "u,top,rating,1.0,,,7,,");
}

#[test]
fn an_event_without_an_item_is_refused() {
    for event in [json!({}), json!({"properties": {"itemId": null}}), json!({"properties": {"itemId": ""}})] {
        assert_eq!(refusal(&event), "An event needs an itemId.");
    }
}

#[test]
fn without_a_user_the_session_stands_in() {
    assert!(row(&json!({"userId": null, "itemId": "i"})).starts_with("session1,i,"));
}

#[test]
fn properties_that_are_members_are_refused_in_any_spelling() {
    for key in [
        "userId",
        "USER_ID",
        "sessionId",
        "EventType",
        "Timestamp",
        "TIMESTAMP",
        "recommendationid",
        "impression",
    ] {
        assert!(refusal(&json!({"itemId": "i", "properties": {key: "x"}})).contains(key), "{key}");
    }
    assert_eq!(row(&json!({"itemId": "i", "properties": {"sentAt": 5}})), "u,i,rating,,,,7,,");
}

#[test]
fn keys_match_fields_in_any_spelling_but_once_only() {
    for key in ["numRatings", "NUM_RATINGS", "numratings"] {
        assert_eq!(row(&json!({"itemId": "i", "properties": {key: 5}})), "u,i,rating,,5,,7,,");
    }
    let twice = json!({"itemId": "i", "properties": "{\"device\":\"a\",\"DEVICE\":\"b\"}"});
    assert!(refusal(&twice).contains("twice"));
    let same = json!({"itemId": "i", "properties": "{\"device\":\"a\",\"device\":\"a\"}"});
    assert!(refusal(&same).contains("twice"));
}

#[test]
fn unknown_properties_are_dropped_whatever_they_hold() {
    assert_eq!(row(&json!({"itemId": "i", "properties": {"color": {"deep": [1]}}})), "u,i,rating,,,,7,,");
}

#[test]
fn a_value_that_does_not_fit_its_column_is_refused() {
    for (key, value) in [
        ("numRatings", json!("twelve")),
        ("numRatings", json!([1])),
        ("eventValue", json!("true")),
        ("device", json!({"a": 1})),
        ("device", json!("x".repeat(1001))),
    ] {
        let long = json!({"itemId": "i", "properties": {key: value}});
        // Properties above their own length never get here.
        if long["properties"].to_string().len() < 1024 {
            assert!(refusal(&long).contains(key), "{key}");
        }
    }
}

#[test]
fn what_the_schema_has_no_column_for_is_dropped() {
    let event = json!({"itemId": "i", "eventValue": 4, "recommendationId": "r", "impression": ["a|b"],
        "metricAttribution": {"eventAttributionSource": "s"}, "properties": {"eventValue": "true"}});
    assert_eq!(row_of(&bare(), &event).unwrap(), "u,i,7");
}

#[test]
fn properties_that_are_no_object_are_refused() {
    for properties in ["\"{\\\"itemId\\\":1}\"", "[]", "itemId=1"] {
        assert_eq!(
            refusal(&json!({"itemId": "i", "properties": properties})),
            "Error parsing properties json"
        );
    }
}

#[test]
fn times_are_floored_seconds_and_milliseconds_are_known_by_their_size() {
    let at = |sent: Json| row(&json!({"itemId": "i", "sentAt": sent})).split(',').nth(6).unwrap().to_owned();
    assert_eq!(at(json!(1_553_631_782.9)), "1553631782");
    assert_eq!(at(json!(99_999_999_999i64)), "99999999999");
    assert_eq!(at(json!(100_000_000_000i64)), "100000000");
    assert_eq!(at(json!(1_553_631_782_999i64)), "1553631782");
    assert_eq!(at(json!("0")), "0");
    for sent in [json!(-1), json!(-0.5), json!(1e30)] {
        assert!(refusal(&json!({"itemId": "i", "sentAt": sent})).contains("sentAt"));
    }
}

#[test]
fn impressions_are_joined_with_bars_in_their_order() {
    assert!(row(&json!({"itemId": "i", "impression": ["b", "a"]})).ends_with(",b|a,"));
    assert!(refusal(&json!({"itemId": "i", "impression": ["a|b"]})).contains("vertical bar"));
    let long = json!({"itemId": "i", "impression": vec!["x".repeat(100); 11]});
    assert_eq!(refusal(&long), "Length cannot be more than 1000 characters for IMPRESSION.");
}

#[test]
fn an_item_is_its_id_and_its_properties() {
    assert_eq!(
        item(&json!({"price": "9.5", "categoryL1": "a|b", "creationTimestamp": 12})).unwrap(),
        "i1,9.5,a|b,,12"
    );
    let text = "x".repeat(20_001);
    assert_eq!(item(&json!({"price": 1, "description": text})).unwrap(), format!("i1,1.0,,{text},"));
}

#[test]
fn an_item_names_nothing_but_fields() {
    assert!(item(&json!({"price": 1, "color": "red"})).unwrap_err().contains("color"));
}

#[test]
fn an_item_has_all_that_is_not_nullable() {
    for properties in [json!({}), json!({"price": null}), json!({"price": ""})] {
        assert_eq!(
            item(&properties).unwrap_err(),
            "The record is missing the following required fields: [PRICE]."
        );
    }
    assert_eq!(
        items().thing("i1", None).unwrap_err().message(),
        "The record is missing the following required fields: [PRICE]."
    );
}

#[test]
fn an_id_may_be_repeated_but_not_contradicted() {
    assert_eq!(item(&json!({"price": 1, "itemId": "i1"})).unwrap(), "i1,1.0,,,");
    assert!(item(&json!({"price": 1, "itemId": "i2"})).unwrap_err().contains("ITEM_ID"));
}

#[test]
fn a_row_survives_its_canonical_bytes() {
    let mapping = interactions();
    let body = body(&json!({"itemId": "i", "properties": {"numRatings": 3, "device": "Phone"}}));
    let put = read_events(body.as_bytes()).unwrap();
    let row = mapping.event(&put, &put.event_list[0]).unwrap();
    let (mut bytes, mut back) = (Vec::new(), Vec::new());
    mapping.encode(&row, &mut bytes);
    mapping.codec.decode(&bytes, &mut back).unwrap();
    assert_eq!(back, row);
}
