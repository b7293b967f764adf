use super::*;
use serde_json::{Value, json};

fn call(event: Value) -> Vec<u8> {
    json!({"trackingId": "t", "sessionId": "s", "eventList": [event]}).to_string().into_bytes()
}

fn event() -> Value {
    json!({"eventType": "e", "sentAt": 1})
}

fn with(member: &str, value: Value) -> Vec<u8> {
    let mut event = event();
    event[member] = value;
    call(event)
}

#[test]
fn a_time_is_a_number_or_its_text() {
    for (sent, seconds) in
        [(json!(5), 5.0), (json!(5.75), 5.75), (json!("1553631760"), 1_553_631_760.0), (json!("1.5"), 1.5)]
    {
        let body = with("sentAt", sent);
        assert_eq!(read_events(&body).unwrap().event_list[0].sent_at.0, seconds);
    }
    for sent in [json!("soon"), json!(true), json!("NaN"), json!({})] {
        assert_eq!(read_events(&with("sentAt", sent)).unwrap_err().kind, ErrorKind::Serialization);
    }
}

#[test]
fn plain_strings_are_borrowed_and_escaped_ones_are_read() {
    let body = br#"{"trackingId":"t","sessionId":"a\u0041","eventList":[{"eventType":"e","sentAt":1}]}"#;
    let put = read_events(body).unwrap();
    assert!(matches!(put.tracking_id.0, Cow::Borrowed("t")));
    assert_eq!(&*put.session_id, "aA");
}

#[test]
fn null_is_absent_and_unknown_members_are_ignored() {
    for member in
        ["eventId", "eventValue", "itemId", "properties", "impression", "metricAttribution", "color"]
    {
        assert!(read_events(&with(member, Value::Null)).is_ok(), "{member}");
    }
    assert!(read_events(&with("color", json!({"red": [1]}))).is_ok());
}

// The short way must take nothing that the table refuses, and the table must take what only it can tell.
#[test]
fn each_constraint_of_the_table_holds() {
    let refused = [
        ("eventType", json!("")),
        ("eventType", json!("x".repeat(257))),
        ("eventId", json!("")),
        ("itemId", json!("x".repeat(257))),
        ("properties", json!("")),
        ("properties", json!("x".repeat(1025))),
        ("recommendationId", json!("x".repeat(41))),
        ("impression", json!([])),
        ("impression", json!(vec!["a"; 26])),
        ("impression", json!([""])),
        ("metricAttribution", json!({"eventAttributionSource": "  "})),
        ("metricAttribution", json!({"eventAttributionSource": "ä"})),
        ("metricAttribution", json!({})),
        ("eventType", Value::Null),
    ];
    for (member, value) in refused {
        assert_eq!(
            read_events(&with(member, value.clone())).unwrap_err().kind,
            ErrorKind::Invalid,
            "{member} {value}"
        );
    }
    let taken = [
        ("eventType", json!("ä".repeat(256))),
        ("properties", json!("ä".repeat(1024))),
        ("recommendationId", json!("ä".repeat(40))),
        ("impression", json!(vec!["ä".repeat(256); 25])),
        ("metricAttribution", json!({"eventAttributionSource": " x"})),
    ];
    for (member, value) in taken {
        assert!(read_events(&with(member, value.clone())).is_ok(), "{member} {value}");
    }
}

#[test]
fn eleven_events_are_refused_with_the_text_of_the_constraint() {
    let body = json!({"trackingId": "t", "sessionId": "s", "eventList": vec![event(); 11]}).to_string();
    let message = read_events(body.as_bytes()).unwrap_err().message().to_owned();
    assert!(message.ends_with(
        "at 'eventList' failed to satisfy constraint: Member must have length less than or equal to 10"
    ));
}

#[test]
fn wrong_types_and_broken_json_are_told_apart_from_constraints() {
    for body in [&b"{"[..], b"[]", b"", br#"{"trackingId":1}"#, b"\xff"] {
        assert_eq!(read_events(body).unwrap_err().kind, ErrorKind::Serialization);
    }
    assert_eq!(read_events(b"{}").unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn an_event_above_ten_kilobytes_is_refused() {
    let sizes = |text: &str| check_sizes(&Bytes::from(with("note", json!(text))));
    assert!(sizes(&"x".repeat(10_000)).is_ok());
    let error = sizes(&"x".repeat(10_300)).unwrap_err();
    assert!(error.message().contains("eventList.1.member"));
    let small = event();
    let many = json!({"eventList": [small, {"note": "x".repeat(6000)}, {"note": "x".repeat(6000)}]});
    assert!(check_sizes(&Bytes::from(many.to_string())).is_ok());
}
