use super::*;

fn schema(name: &str, fields: &str) -> String {
    format!(
        r#"{{"type":"record","name":"{name}","namespace":"com.amazonaws.personalize.schema","fields":[{fields}],"version":"1.0"}}"#
    )
}

fn string(name: &str) -> String {
    format!(r#"{{"name":"{name}","type":"string"}}"#)
}

fn problems(name: &str, fields: &[String], domain: Option<Domain>) -> Vec<String> {
    Schema::parse(&schema(name, &fields.join(",")), domain).err().unwrap_or_default()
}

#[test]
fn the_published_interactions_sample_is_accepted() {
    let text = schema(
        "Interactions",
        r#"{"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},{"name":"EVENT_TYPE","type":"string"},
           {"name":"EVENT_VALUE","type":["float","null"]},{"name":"LOCATION","type":"string","categorical":true},
           {"name":"DEVICE","type":["string","null"],"categorical":true},{"name":"TIMESTAMP","type":"long"},
           {"name":"IMPRESSION","type":"string"}"#,
    );
    let schema = Schema::parse(&text, None).unwrap();
    assert_eq!(schema.fields.len(), 8);
    assert!(schema.fields[3].nullable && !schema.fields[4].nullable && schema.fields[5].categorical);
}

#[test]
fn a_union_of_one_type_is_that_type() {
    let fields = [
        string("ITEM_ID"),
        r#"{"name":"PRICE","type":"float"}"#.into(),
        r#"{"name":"CATEGORY_L1","type":["string"],"categorical":true}"#.into(),
    ];
    assert_eq!(problems("Items", &fields, Some(Domain::Ecommerce)), Vec::<String>::new());
}

#[test]
fn every_problem_is_reported_at_once() {
    let fields = [
        string("USER_ID"),
        r#"{"name":"TIMESTAMP","type":"string"}"#.into(),
        r#"{"name":"MAP","type":{"type":"map","values":"string"}}"#.into(),
        r#"{"name":"a b","type":"string"}"#.into(),
    ];
    let found = problems("Interactions", &fields, None);
    for part in [
        "field name: a b",
        "type for field MAP",
        "required fields: [ITEM_ID]",
        "TIMESTAMP must be of type long",
    ] {
        assert!(found.iter().any(|p| p.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn names_that_differ_in_underscores_only_clash() {
    let fields =
        [string("ITEM_ID"), string("GENRES_1"), string("GENRES1"), r#"{"name":"P","type":"int"}"#.into()];
    assert_eq!(problems("Items", &fields, None), ["Schema field names must be unique: GENRES_1, GENRES1."]);
}

#[test]
fn the_old_name_of_video_genres_is_answered_with_the_new_one() {
    let fields = [
        string("ITEM_ID"),
        r#"{"name":"GENRES_L1","type":["string"],"categorical":true}"#.into(),
        r#"{"name":"CREATION_TIMESTAMP","type":"long"}"#.into(),
    ];
    let found = problems("Items", &fields, Some(Domain::VideoOnDemand));
    assert_eq!(found, ["Schema is missing the following required fields: [GENRES]."]);
}

#[test]
fn an_item_needs_metadata_that_says_something() {
    assert_eq!(
        problems(
            "Items",
            &[string("ITEM_ID"), r#"{"name":"CREATION_TIMESTAMP","type":"long"}"#.into()],
            None
        ),
        ["Schema for ITEMS must have between 1 and 100 metadata fields."]
    );
}

#[test]
fn broken_json_is_named_with_its_place() {
    let found = Schema::parse("{\"type\":\"record\",}", None).unwrap_err();
    assert_eq!(found, ["Schema is not valid JSON: line 1 column 18"]);
}

#[test]
fn nesting_of_any_depth_is_an_error_and_no_overflow() {
    assert!(Schema::parse(&"[".repeat(100_000), None).is_err());
}
