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
    for body in [&b"{"[..], b"[]", b" ", br#"{"trackingId":1}"#, b"\xff"] {
        assert_eq!(read_events(body).unwrap_err().kind, ErrorKind::Serialization);
    }
    for body in [&b"{}"[..], b""] {
        assert_eq!(read_events(body).unwrap_err().kind, ErrorKind::Invalid);
    }
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

#[test]
fn a_list_of_members_is_no_structure() {
    let listed = json!([null, "e", null, "i", null, 1, null, null, null]);
    for body in [json!(["t", null, "s", [event()]]).to_string().into_bytes(), call(listed)] {
        assert_eq!(read_events(&body).unwrap_err().kind, ErrorKind::Serialization);
    }
    assert_eq!(
        read_events(&with("metricAttribution", json!(["a"]))).unwrap_err().kind,
        ErrorKind::Serialization
    );
}

#[test]
fn of_members_that_are_there_twice_the_last_counts() {
    let body = br#"{"trackingId":1,"trackingId":"t","sessionId":"s","eventList":[],
        "eventList":[{"eventType":"a","eventType":"b","sentAt":1}]}"#;
    let put = read_events(body).unwrap();
    assert_eq!((&*put.tracking_id, &*put.event_list[0].event_type), ("t", "b"));
    let long = format!("{{\"eventList\":[\"{}\"],\"event\\u004cist\":[{{}}]}}", "x".repeat(11_000));
    assert!(check_sizes(&long.into()).is_ok());
}

// A member that nobody knows sends a call the long way, where it must not fare better or worse.
#[test]
fn both_ways_of_reading_say_the_same() {
    let calls = [
        call(event()),
        with("eventValue", json!(-0.5)),
        with("sentAt", json!("1553631782.9")),
        with("properties", json!("{\"a\":\"\\u00e4\"}")),
        with("impression", json!(["a", "ä\u{1F600}"])),
        with("metricAttribution", json!({"eventAttributionSource": "a b"})),
        with("itemId", json!("")),
        with("itemId", json!({})),
        with("eventType", Value::Null),
    ];
    let outcome = |body: &[u8]| format!("{:?}", read_events(body)).replace("Borrowed", "Owned");
    for call in calls {
        let text = String::from_utf8(call).unwrap();
        let long_way = text.replacen('{', "{\"color\":[1],", 1);
        assert_eq!(outcome(text.as_bytes()), outcome(long_way.as_bytes()), "{text}");
    }
}

#[test]
fn what_nobody_knows_must_be_json_too() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for color in [deep.as_str(), "\"\\ud800\"", "1e999"] {
        let text =
            String::from_utf8(call(event())).unwrap().replacen('{', &format!("{{\"color\":{color},"), 1);
        assert_eq!(read_events(text.as_bytes()).unwrap_err().kind, ErrorKind::Serialization, "{color:.9}");
    }
}
