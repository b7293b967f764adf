use super::*;
use serde_json::json;

static NAME: Pattern = Pattern::new(r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*");
static WORD: Pattern = Pattern::new("[a-z]+");

static EVENT: Structure = Structure::new(&[
    required("eventType", text(1, 4)),
    required("sentAt", Shape::Timestamp),
    optional("properties", text(1, 8)),
    optional("eventValue", Shape::Float),
    optional("impression", list(1, 2, &text(1, 3))),
]);
static REQUEST: Structure = Structure::new(&[
    required("name", matching(1, 5, &NAME)),
    optional("mode", Shape::Enum(&["BULK", "PUT", "ALL"])),
    optional("maxResults", Shape::Integer { min: 1, max: 100 }),
    optional("publish", Shape::Boolean),
    optional("words", list(0, 9, &matching(0, 9, &WORD))),
    optional("eventList", list(1, 10, &Shape::Structure(&EVENT))),
]);

fn refusal(input: Value) -> (ErrorKind, String) {
    let error = check(&REQUEST, &input).unwrap_err();
    (error.kind, error.message().to_owned())
}

fn one(input: Value, finding: &str) {
    let expected = format!("1 validation error detected: {finding}");
    assert_eq!(refusal(input), (ErrorKind::Invalid, expected));
}

#[test]
fn a_value_at_every_border_passes() {
    for name in ["a", "a-_b5", "00000"] {
        let input = json!({"name": name, "mode": "ALL", "maxResults": 100, "publish": false, "words": [], "eventList": [
            {"eventType": "ÄÖÜß", "sentAt": 1.5, "properties": "12345678", "eventValue": -1, "impression": ["a", "日本語"]},
            {"eventType": "e", "sentAt": "1553631760"}]});
        check(&REQUEST, &input).unwrap();
    }
}

#[test]
fn null_is_absent_and_unknown_members_are_ignored() {
    check(&REQUEST, &json!({"name": "a", "mode": null, "eventList": null, "color": {"red": [1]}})).unwrap();
    one(json!({"name": null}), "Value null at 'name' failed to satisfy constraint: Member must not be null");
}

#[test]
fn each_broken_constraint_has_its_text() {
    let at = |member: &str, value: Value| json!({"name": "a", member: value});
    let fails = "failed to satisfy constraint: Member must";
    one(json!({}), &format!("Value null at 'name' {fails} not be null"));
    one(
        at("mode", json!("put")),
        &format!("Value 'put' at 'mode' {fails} satisfy enum value set: [BULK, PUT, ALL]"),
    );
    one(
        at("maxResults", json!(101)),
        &format!("Value '101' at 'maxResults' {fails} have value less than or equal to 100"),
    );
    one(
        at("maxResults", json!(0)),
        &format!("Value '0' at 'maxResults' {fails} have value greater than or equal to 1"),
    );
    one(
        at("eventList", json!([])),
        &format!("Value '[]' at 'eventList' {fails} have length greater than or equal to 1"),
    );
    one(
        json!({"name": "abcdef"}),
        &format!("Value 'abcdef' at 'name' {fails} have length less than or equal to 5"),
    );
}

#[test]
fn a_pattern_holds_for_the_whole_value() {
    let text = r"failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9][a-zA-Z0-9\-_]*";
    for name in ["a b", "-a", "a\n"] {
        one(json!({"name": name}), &format!("Value '{name}' at 'name' {text}"));
    }
}

#[test]
fn a_digit_is_one_of_ten() {
    static ACCOUNT: Pattern = Pattern::new(r"[a-z\d-]+:\d{3}");
    assert!(ACCOUNT.matches("a-1:012"));
    assert!(!ACCOUNT.matches("a:٠١٢") && !ACCOUNT.matches("a١:012"));
}

#[test]
fn what_the_table_does_not_name_can_be_removed() {
    let mut input = json!({"name": "a", "color": {"red": [1]}, "words": ["b"], "eventList": [
        {"eventType": "e", "sentAt": 1, "name": "x", "impression": null}]});
    keep_known(&REQUEST, &mut input);
    let known = json!({"name": "a", "words": ["b"], "eventList": [{"eventType": "e", "sentAt": 1, "impression": null}]});
    assert_eq!(input, known);
}

#[test]
fn elements_are_named_by_their_place() {
    one(
        json!({"name": "a", "eventList": [{"eventType": "e", "sentAt": 1}, {"eventType": "e", "sentAt": 1, "properties": ""}]}),
        "Value '' at 'eventList.2.member.properties' failed to satisfy constraint: \
         Member must have length greater than or equal to 1",
    );
    one(
        json!({"name": "a", "eventList": [{"eventType": "e", "sentAt": 1, "impression": ["a", "long"]}]}),
        "Value 'long' at 'eventList.1.member.impression.2.member' failed to satisfy constraint: \
         Member must have length less than or equal to 3",
    );
    one(
        json!({"name": "a", "words": ["a", null]}),
        "Value null at 'words.2.member' failed to satisfy constraint: Member must not be null",
    );
}

#[test]
fn several_failures_come_in_one_answer() {
    let (kind, message) = refusal(json!({"mode": "X", "eventList": [{"sentAt": 1}]}));
    assert_eq!(kind, ErrorKind::Invalid);
    assert_eq!(
        message,
        "3 validation errors detected: \
         Value null at 'name' failed to satisfy constraint: Member must not be null; \
         Value 'X' at 'mode' failed to satisfy constraint: Member must satisfy enum value set: [BULK, PUT, ALL]; \
         Value null at 'eventList.1.member.eventType' failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn a_wrong_json_type_is_no_constraint_failure() {
    let cases = [
        (json!([]), "The body must be an object."),
        (json!({"name": 5}), "The member name must be a string."),
        (json!({"name": "a", "mode": []}), "The member mode must be a string."),
        (json!({"name": "a", "maxResults": 1.5}), "The member maxResults must be a whole number."),
        (json!({"name": "a", "publish": "true"}), "The member publish must be true or false."),
        (json!({"name": "a", "eventList": {}}), "The member eventList must be a list."),
        (json!({"name": "a", "eventList": [7]}), "The member eventList.1.member must be an object."),
        (
            json!({"name": "a", "eventList": [{"eventType": "e", "sentAt": "soon"}]}),
            "The member eventList.1.member.sentAt must be a number of seconds.",
        ),
        (
            json!({"name": "a", "eventList": [{"eventType": "e", "sentAt": 1, "eventValue": "true"}]}),
            "The member eventList.1.member.eventValue must be a number.",
        ),
    ];
    for (input, message) in cases {
        assert_eq!(refusal(input), (ErrorKind::Serialization, message.to_owned()));
    }
}

#[test]
fn a_long_value_is_shown_by_its_beginning() {
    let (_, message) = refusal(json!({"name": "a".repeat(5000)}));
    assert!(message.contains(&format!("'{}…'", "a".repeat(1024))), "{message}");
}

#[test]
fn a_single_finding_can_be_made_by_hand() {
    let error = broken(None, "roleArn", "Member must not be null");
    let text = "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null";
    assert_eq!(error.message(), text);
}
