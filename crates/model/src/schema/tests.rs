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
fn a_wrong_envelope_hides_no_wrong_field() {
    let text = r#"{"type":"map","name":"People","fields":[{"name":"a b","type":"string"}]}"#;
    let found = Schema::parse(text, None).unwrap_err();
    assert_eq!(
        found,
        [
            "Schema must be an Avro record.",
            "Schema name must be one of Interactions, Items, Users, Actions, ActionInteractions.",
            "Invalid field name: a b.",
        ]
    );
}

#[test]
fn a_required_field_of_a_wrong_type_is_not_called_missing() {
    let fields = [string("USER_ID"), string("ITEM_ID"), r#"{"name":"TIMESTAMP","type":"bytes"}"#.into()];
    let found = problems("Interactions", &fields, None);
    assert_eq!(found, ["Unsupported type for field TIMESTAMP: \"bytes\"."]);
}

#[test]
fn a_time_of_ones_own_is_metadata() {
    let fields = [string("ITEM_ID"), r#"{"name":"LAST_SALE_TIMESTAMP","type":"long"}"#.into()];
    assert_eq!(problems("Items", &fields, None), Vec::<String>::new());
}

/// `NAME:type:attribute`; `type?` may be null, `[type]` is a union of one.
fn short(fields: &str) -> Vec<String> {
    let one = |text: &str| {
        let mut parts = text.split(':');
        let (name, kind) = (parts.next().unwrap(), parts.next().unwrap());
        let attribute = parts.next().map_or(String::new(), |a| format!(r#","{a}":true"#));
        let kind = match (kind.strip_suffix('?'), kind.strip_prefix('[')) {
            (Some(kind), _) => format!(r#"["null","{kind}"]"#),
            (_, Some(kind)) => format!(r#"["{}"]"#, kind.trim_end_matches(']')),
            _ => format!(r#""{kind}""#),
        };
        format!(r#"{{"name":"{name}","type":{kind}{attribute}}}"#)
    };
    fields.split_whitespace().map(one).collect()
}

const SHOP: Option<Domain> = Some(Domain::Ecommerce);
const VIDEO: Option<Domain> = Some(Domain::VideoOnDemand);

#[test]
fn the_published_default_schemas_are_accepted() {
    for (domain, name, fields) in [
        (SHOP, "Interactions", "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long"),
        (VIDEO, "Interactions", "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long"),
        (SHOP, "Users", "USER_ID:string MEMBERSHIP_STATUS:string:categorical"),
        (SHOP, "Items", "ITEM_ID:string PRICE:float CATEGORY_L1:[string]:categorical"),
        (VIDEO, "Users", "USER_ID:string SUBSCRIPTION_MODEL:string:categorical"),
        (VIDEO, "Items", "ITEM_ID:string GENRES:[string]:categorical CREATION_TIMESTAMP:long"),
        (
            None,
            "Items",
            "ITEM_ID:string GENRES:string?:categorical CREATION_TIMESTAMP:long DESCRIPTION:string?:textual",
        ),
        (None, "Users", "USER_ID:string AGE:int GENDER:string:categorical"),
        (
            None,
            "Actions",
            "ACTION_ID:string VALUE:long? MEMBERSHIP:string:categorical CREATION_TIMESTAMP:long",
        ),
        (None, "ActionInteractions", "USER_ID:string ACTION_ID:string EVENT_TYPE:string TIMESTAMP:long"),
    ] {
        assert_eq!(problems(name, &short(fields), domain), Vec::<String>::new(), "{domain:?} {name}");
    }
}

#[test]
fn words_with_a_meaning_keep_their_type_and_attributes() {
    let clicks = "USER_ID:string ITEM_ID:string TIMESTAMP:long";
    let shop = "ITEM_ID:string PRICE:float CATEGORY_L1:string:categorical";
    for (domain, name, base, field, problem) in [
        (None, "Interactions", clicks, "EVENT_VALUE:string", "EVENT_VALUE must be of type float"),
        (None, "Interactions", clicks, "EVENT_VALUE:double", "EVENT_VALUE must be of type float"),
        (None, "Interactions", clicks, "EVENT_TYPE:string?", "EVENT_TYPE must be of type string"),
        (None, "Interactions", clicks, "EVENT_TYPE:string:categorical", "EVENT_TYPE can't be categorical"),
        (None, "Interactions", clicks, "IMPRESSION:long", "IMPRESSION must be of type string"),
        (None, "Interactions", clicks, "NOTE:string:textual", "textual is only supported"),
        (SHOP, "Interactions", clicks, "DEVICE:string", "required fields: [EVENT_TYPE]"),
        (SHOP, "Items", shop, "CREATION_TIMESTAMP:float", "CREATION_TIMESTAMP must be of type long"),
        (SHOP, "Items", shop, "CATEGORY_L2:string", "CATEGORY_L2 must be categorical"),
        (SHOP, "Items", shop, "PRODUCT_DESCRIPTION:string", "PRODUCT_DESCRIPTION must be textual"),
        (
            None,
            "Items",
            "ITEM_ID:string P:int A:string:textual",
            "B:string:textual",
            "textual is only supported",
        ),
        (None, "Items", "ITEM_ID:string P:int", "Q:int:categorical", "Q can't be categorical"),
        (None, "Users", "USER_ID:string", "CITY:string", "between 1 and 25"),
        (None, "Users", "USER_ID:string?", "AGE:int", "USER_ID must be of type string"),
        (None, "Users", "USER_ID:string", "user_id:int", "unique"),
        (
            None,
            "Actions",
            "ACTION_ID:string A:int",
            "EXPIRATION_TIMESTAMP:string",
            "EXPIRATION_TIMESTAMP must be",
        ),
        (
            VIDEO,
            "Items",
            "ITEM_ID:string GENRES:string:categorical",
            "CREATION_TIMESTAMP:long?",
            "CREATION_TIMESTAMP",
        ),
    ] {
        let found = problems(name, &short(&format!("{base} {field}")), domain);
        assert!(found.iter().any(|p| p.contains(problem)), "{name} {field}: {found:?}");
    }
}

#[test]
fn metadata_is_counted() {
    let of = |n: usize| (0..n).map(|i| format!(" F{i}:int")).collect::<String>();
    for (name, base, most) in [
        ("Interactions", "USER_ID:string ITEM_ID:string TIMESTAMP:long EVENT_TYPE:string", 5),
        ("Users", "USER_ID:string", 25),
        ("Items", "ITEM_ID:string CREATION_TIMESTAMP:long", 100),
        ("Actions", "ACTION_ID:string", 10),
        ("ActionInteractions", "USER_ID:string ACTION_ID:string TIMESTAMP:long EVENT_TYPE:string", 5),
    ] {
        assert_eq!(
            problems(name, &short(&format!("{base}{}", of(most))), None),
            Vec::<String>::new(),
            "{name}"
        );
        let found = problems(name, &short(&format!("{base}{}", of(most + 1))), None);
        assert!(found.iter().any(|p| p.contains(&format!("and {most} metadata"))), "{name}: {found:?}");
    }
}

#[test]
fn unions_hold_one_type_and_at_most_one_null() {
    for kind in [
        r#"["string","int"]"#,
        r#"["null"]"#,
        r#""null""#,
        "[]",
        r#"["null","null"]"#,
        r#"["null","string","null"]"#,
        r#"{"type":"string"}"#,
        r#"[["string"]]"#,
        "5",
        r#""bytes""#,
    ] {
        let fields = [string("USER_ID"), format!(r#"{{"name":"X","type":{kind}}}"#)];
        let found = problems("Users", &fields, None);
        assert!(found.iter().any(|p| p.starts_with("Unsupported type for field X")), "{kind}: {found:?}");
    }
}

#[test]
fn nesting_of_any_depth_is_an_error_and_no_overflow() {
    assert!(Schema::parse(&"[".repeat(100_000), None).is_err());
}
