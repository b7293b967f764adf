//! Properties of reading: no text, however odd, is a panic; a refusal says where; patterns match as a plain one does.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::policy::pattern::{Token, takes};

const ELEMENTS: [&str; 12] = [
    "Version",
    "Id",
    "Statement",
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];
const TEXTS: [&str; 16] = [
    "",
    "*",
    "Allow",
    "Deny",
    "2012-10-17",
    "s3:GetObject",
    "s3:*",
    "arn:aws:s3:::b/*",
    "arn:aws:iam::1:root",
    "${",
    "${aws:username}",
    "StringEquals",
    "Null",
    "aws:username",
    "AWS",
    "::::::",
];

/// JSON that looks more or less like a policy.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof![
            prop::sample::select(&ELEMENTS[..]).prop_map(str::to_owned),
            prop::sample::select(&TEXTS[..]).prop_map(str::to_owned),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

fn parse_all(text: &str) {
    for result in [
        Document::parse_identity_policy(text),
        Document::parse_trust_policy(text),
        Document::parse_resource_policy(text, "b"),
        Document::parse_key_policy(text),
    ] {
        match result {
            Ok(document) => {
                decide([&document], &Request::new(session(), "s3:GetObject", "arn:aws:s3:::b/k"));
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Invalid);
                assert!(error.message().ends_with('.') && error.message().len() > 10, "{error}");
            }
        }
    }
}

// Written plainly: every way to cut the text is tried.
fn plain(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|n| plain(rest, &text[n..])),
        Some((c, rest)) => {
            text.split_first().is_some_and(|(first, others)| (*c == '?' || c == first) && plain(rest, others))
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        parse_all(&text);
    }

    #[test]
    fn no_json_panics(json in any_json()) {
        parse_all(&json.to_string());
    }

    #[test]
    fn no_statement_panics(members in prop::collection::vec((prop::sample::select(&ELEMENTS[..]), any_json()), 0..8)) {
        let statement: Value = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        parse_all(&json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string());
    }

    #[test]
    fn a_cut_policy_is_refused(at in 0usize..140) {
        let whole = r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":["s3:Get*"],"Resource":"arn:aws:s3:::b/*"}]}"#;
        let cut = &whole[..at.min(whole.len() - 1)];
        prop_assert!(Document::parse_identity_policy(cut).is_err());
    }

    #[test]
    fn a_pattern_takes_what_the_plain_one_takes(pattern in "[ab*?é]{0,8}", text in "[abé*]{0,10}") {
        let tokens: Vec<Token> = pattern.chars().map(Token::of).collect();
        let (pattern, letters): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(takes(&tokens, &text), plain(&pattern, &letters));
    }

    #[test]
    fn one_wrong_element_is_named_with_its_statement(
        n in 0usize..5,
        wrong in prop::sample::select(&[
            ("Effect", "Effect"), ("Action", "Action"), ("Resource", "Resource"), ("Sid", "Sid"), ("Condition", "Condition"),
            ("Extra", "Extra"), ("Principal", "Principal"), ("NotAction", "NotAction"),
        ][..]),
    ) {
        let good = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
        let mut statements = vec![good; 5];
        statements[n][wrong.0] = json!({});
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let error = Document::parse_identity_policy(&text).unwrap_err();
        prop_assert!(error.message().starts_with(&format!("Statement {}: ", n + 1)), "{}", error);
        prop_assert!(error.message().contains(wrong.1), "{}", error);
    }
}
