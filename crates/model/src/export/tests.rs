use super::*;
use crate::record::Value;
use crate::{DatasetType, Schema};

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"AGE","type":["int","null"]},{"name":"PRICE","type":["float","null"]},
        {"name":"NEW","type":["boolean","null"]}]}"#;
    Layout::new(DatasetType::Items, &Schema::parse(schema, None).unwrap())
}

fn asked(options: &[(&str, &str)]) -> Asked {
    options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn read(options: &[(&str, &str)]) -> Result<ExportOptions> {
    ExportOptions::read(&asked(options), &layout())
}

fn term(text: &str) -> Term {
    Term::read("lade:where", text, &layout()).unwrap()
}

#[test]
fn without_options_an_export_is_what_the_service_writes() {
    assert_eq!(read(&[]).unwrap(), ExportOptions::default());
    assert_eq!(read(&[]).unwrap().columns(&layout()).len(), 4);
}

#[test]
fn options_are_read() {
    let options = read(&[
        ("lade:format", "jsonl"),
        ("lade:compression", "zstd"),
        ("lade:columns", "PRICE  _SEQ ITEM_ID _ORIGIN"),
        ("lade:file-size", "2GiB"),
        ("lade:hash", "sha256"),
        ("lade:losers", "true"),
        ("lade:where", "AGE:ge:18"),
        ("lade:where-2", "ITEM_ID:prefix:a:b c"),
    ])
    .unwrap();
    let columns =
        [OutputColumn::Field(2), OutputColumn::Sequence, OutputColumn::Field(0), OutputColumn::Origin];
    assert_eq!(options.columns(&layout()), columns);
    assert_eq!((options.format, options.compression), (Format::Jsonl, Compression::Zstd));
    assert_eq!(options.file_size_bytes_max, Some(2 << 30));
    assert!(options.has_sha256 && options.has_losers && !options.has_no_manifest);
    assert_eq!(options.condition.terms[1].values, [Value::String("a:b c".into())]);
}

#[test]
fn a_refusal_names_key_value_and_what_is_allowed() {
    for (key, value, allowed) in [
        ("lade:format", "xml", "csv, jsonl or parquet"),
        ("lade:compression", "lz4", "none, gzip or zstd"),
        ("lade:csv", "excel", "rfc4180 or aws"),
        ("lade:columns", "ITEM_ID NO", "some of ITEM_ID, AGE, PRICE, NEW, _SEQ, _ORIGIN"),
        ("lade:columns", "AGE AGE", "each once"),
        ("lade:columns", " ", "some of"),
        ("lade:file-size", "1KiB", "1MiB"),
        ("lade:file-size", "large", "1MiB"),
        ("lade:hash", "md5", "sha256"),
        ("lade:losers", "yes", "true or false"),
        ("lade:manifest", "no", "on or off"),
        ("lade:allow", "all", "actions"),
        ("lade:since", "", "export job"),
        ("lade:formats", "csv", "lade:format"),
        ("lade:where-10", "AGE:null", "lade:where"),
        ("lade:where-1", "AGE:null", "lade:where"),
        ("lade:", "x", "lade:where"),
        ("lade:FORMAT", "csv", "lade:format"),
    ] {
        let text = read(&[(key, value)]).unwrap_err().message().to_owned();
        assert!(
            text.contains(key) && text.contains(&format!("\"{value}\"")) && text.contains(allowed),
            "{text}"
        );
    }
}

#[test]
fn wrong_conditions_are_refused_with_what_is_allowed() {
    for (value, allowed) in [
        ("NO:eq:1", "a FIELD of ITEM_ID, AGE, PRICE, NEW"),
        ("AGE", "an operator of eq, ne"),
        ("AGE:like:1", "an operator of eq, ne"),
        ("AGE:prefix:1", "AGE is a int"),
        ("NEW:lt:true", "an operator of eq, ne, null, notnull"),
        ("AGE:eq:old", "type int"),
        ("AGE:eq", "type int"),
        ("AGE:in: ", "blanks between"),
        ("PRICE:eq:inf", "type float"),
        ("NEW:eq:yes", "type boolean"),
        ("AGE:null:x", "nothing behind it"),
        ("ITEM_ID:eq:", "type string"),
    ] {
        let text = read(&[("lade:where", value)]).unwrap_err().message().to_owned();
        assert!(text.contains(allowed) && text.contains(value), "{text}");
    }
}

#[test]
fn what_excludes_each_other_is_refused() {
    for pair in [
        [("lade:csv", "aws"), ("lade:format", "parquet")],
        [("lade:compression", "gzip"), ("lade:format", "parquet")],
        [("lade:losers", "true"), ("lade:manifest", "off")],
        [("lade:hash", "sha256"), ("lade:manifest", "off")],
    ] {
        let text = read(&pair).unwrap_err().message().to_owned();
        assert!(pair.iter().all(|(key, value)| text.contains(&format!("{key}={value}"))), "{text}");
    }
}

#[test]
fn conditions_hold_for_what_they_say() {
    let long = |n| Value::Long(n);
    for (text, holding, failing) in [
        ("AGE:eq:5", vec![long(5)], vec![long(4), Value::Null]),
        ("AGE:ne:5", vec![long(4)], vec![long(5), Value::Null]),
        ("AGE:lt:5", vec![long(4)], vec![long(5), Value::Null]),
        ("AGE:le:5", vec![long(4), long(5)], vec![long(6), Value::Null]),
        ("AGE:gt:-5", vec![long(4)], vec![long(-5), Value::Null]),
        ("AGE:ge:5", vec![long(5)], vec![long(4), Value::Null]),
        ("AGE:in:5 7", vec![long(5), long(7)], vec![long(6), Value::Null]),
        ("AGE:null", vec![Value::Null], vec![long(0)]),
        ("AGE:notnull", vec![long(0)], vec![Value::Null]),
    ] {
        assert!(holding.iter().all(|value| term(text).holds(value)), "{text}");
        assert!(!failing.iter().any(|value| term(text).holds(value)), "{text}");
    }
}

#[test]
fn texts_compare_by_their_bytes() {
    let text = |text: &str| Value::String(text.to_owned().into());
    assert!(term("ITEM_ID:prefix:ab").holds(&text("abc")) && !term("ITEM_ID:prefix:ab").holds(&text("Abc")));
    assert!(term("ITEM_ID:lt:a").holds(&text("Z")) && term("ITEM_ID:gt:z").holds(&text("é")));
    assert!(term("PRICE:eq:-0.0").holds(&Value::Double(0.0)));
    assert!(term("NEW:eq:true").holds(&Value::Boolean(true)));
}
