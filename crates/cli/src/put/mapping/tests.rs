//! What columns become, type by type.

use std::borrow::Cow;

use model::Schema;

use super::super::source::Place;
use super::*;

fn layout(dataset_type: DatasetType, fields: &str) -> Layout {
    let fields = fields.split(' ').map(|field| {
        let (name, kind) = field.split_once(':').unwrap();
        json!({ "name": name, "type": kind })
    });
    let name = dataset_type.record_name();
    let schema = json!({ "type": "record", "name": name, "fields": fields.collect::<Vec<_>>() });
    Layout::new(dataset_type, &Schema::parse(&schema.to_string(), None).unwrap())
}

fn row<'a>(values: Vec<Value<'a>>, session: Option<&'a str>) -> Row<'a> {
    Row { values, session: session.map(Cow::Borrowed), place: Place { file: "f".into(), line: 2 } }
}

fn text(text: &str) -> Value<'_> {
    Value::String(text.into())
}

fn whole(carried: &Carried) -> (Json, Json) {
    let head = serde_json::from_str(&format!("{{{}}}", carried.head)).unwrap();
    let mut record: Json = serde_json::from_str(&carried.json).unwrap();
    if let Some(properties) = record["properties"].as_str() {
        record["properties"] = serde_json::from_str(properties).unwrap();
    }
    (head, record)
}

#[test]
fn an_event_has_members_and_properties() {
    let fields = "USER_ID:string ITEM_ID:string EVENT_TYPE:string EVENT_VALUE:float TIMESTAMP:long IMPRESSION:string \
        EVENT_ATTRIBUTION_SOURCE:string RATINGS:int LIKED:boolean";
    let mapping = Mapping::new(&layout(DatasetType::Interactions, fields), "arn", "t", None);
    assert_eq!((mapping.path(), mapping.operation(), mapping.list()), ("/events", "PutEvents", "eventList"));
    let values = vec![
        text("u"),
        text("i\"1"),
        text("click"),
        Value::Double(4.1),
        Value::Long(17),
        text("a|b"),
        text("mail"),
        Value::Long(-3),
        Value::Boolean(true),
    ];
    let carried = mapping.carry(&row(values, Some("s"))).unwrap();
    let (head, record) = whole(&carried);
    assert_eq!(head, json!({ "trackingId": "t", "userId": "u", "sessionId": "s" }));
    let expected = json!({ "itemId": "i\"1", "eventType": "click", "eventValue": 4.1, "sentAt": 17,
        "impression": ["a", "b"], "metricAttribution": { "eventAttributionSource": "mail" },
        "properties": { "RATINGS": -3, "LIKED": true } });
    assert_eq!((record, carried.is_filled), (expected, false));
}

#[test]
fn without_a_session_the_user_is_it_and_without_a_type_it_is_unknown() {
    let layout = layout(DatasetType::Interactions, "USER_ID:string ITEM_ID:string TIMESTAMP:long");
    let values = || vec![text("u"), text("i"), Value::Long(1)];
    for (given, told) in [(None, "unknown"), (Some("seen"), "seen")] {
        let mapping = Mapping::new(&layout, "arn", "t", given);
        assert!(mapping.fills_event_types());
        let carried = mapping.carry(&row(values(), Some(""))).unwrap();
        let (head, record) = whole(&carried);
        assert_eq!((&head["sessionId"], &record["eventType"]), (&json!("u"), &json!(told)));
        assert!(carried.is_filled && record.get("properties").is_none());
    }
}

#[test]
fn an_item_is_its_id_and_properties() {
    let layout = layout(DatasetType::Items, "ITEM_ID:string PRICE:float NAME:string");
    let mapping = Mapping::new(&layout, "arn", "", None);
    assert!(!mapping.fills_event_types());
    let one = mapping.carry(&row(vec![text("i"), Value::Double(1.5), Value::Null], None)).unwrap();
    let (head, record) = whole(&one);
    assert_eq!(head, json!({ "datasetArn": "arn" }));
    assert_eq!(record, json!({ "itemId": "i", "properties": { "PRICE": 1.5 } }));
    // Records of one id go over one connection.
    let same = mapping.carry(&row(vec![text("i"), Value::Double(2.5), Value::Null], None)).unwrap();
    let other = mapping.carry(&row(vec![text("j"), Value::Double(2.5), Value::Null], None)).unwrap();
    assert!(one.hash == same.hash && one.hash != other.hash);
}

#[test]
fn an_action_interaction_names_its_user_and_needs_its_type() {
    let fields = "USER_ID:string ACTION_ID:string EVENT_TYPE:string TIMESTAMP:long";
    let mapping = Mapping::new(&layout(DatasetType::ActionInteractions, fields), "arn", "t", None);
    assert!(!mapping.fills_event_types());
    let values = |kind| vec![text("u"), text("a"), kind, Value::Long(5)];
    let (head, record) = whole(&mapping.carry(&row(values(text("Taken")), None)).unwrap());
    assert_eq!(head, json!({ "trackingId": "t" }));
    let expected =
        json!({ "userId": "u", "sessionId": "u", "actionId": "a", "eventType": "Taken", "timestamp": 5 });
    assert_eq!(record, expected);
    let refused = mapping.carry(&row(values(Value::Null), None)).err().unwrap();
    assert!(refused.message().starts_with("f, line 2, column EVENT_TYPE: a value is required"), "{refused}");
}
