//! The way there and back: what is written is read as it was.

use std::borrow::Cow;

use model::record::Value;
use model::{DatasetType, Layout, Schema};
use proptest::prelude::*;

use crate::value::recycle;
use crate::{Dialect, Header, Record, Settings, Splitter, Violation, write};

/// USER_ID, ITEM_ID, TIMESTAMP, and of its own EVENT_VALUE (float or null) and NEW (boolean or null).
pub fn interactions() -> Layout {
    let schema = Schema::parse(
        r#"{"type":"record","name":"Interactions","namespace":"n","version":"1.0","fields":[
            {"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},
            {"name":"TIMESTAMP","type":"long"},{"name":"EVENT_VALUE","type":["float","null"]},
            {"name":"NEW","type":["boolean","null"]}]}"#,
        None,
    );
    Layout::new(DatasetType::Interactions, &schema.unwrap())
}

/// One column of each type, the strings without and with a limit, all nullable but the id.
fn items() -> Layout {
    let schema = Schema::parse(
        r#"{"type":"record","name":"Items","namespace":"n","version":"1.0","fields":[
            {"name":"TITLE","type":["string","null"]},
            {"name":"ITEM_ID","type":"string"},
            {"name":"TEXT","type":["string","null"],"textual":true},
            {"name":"SIZE","type":["int","null"]},
            {"name":"AGE","type":["null","long"]},
            {"name":"WEIGHT","type":["double","null"]},
            {"name":"SOLD","type":["boolean","null"]}]}"#,
        None,
    );
    Layout::new(DatasetType::Items, &schema.unwrap())
}

/// Shows each record of a whole file.
pub fn all_records(text: &[u8], mut see: impl FnMut(&Record<'_>)) {
    let mut splitter = Splitter::new(Dialect::Rfc4180, Settings::default());
    splitter.push(text);
    splitter.finish();
    while let Some(record) = splitter.next_record().unwrap() {
        see(&record);
    }
}

/// Reads a whole file with its header.
pub fn all_rows(text: &[u8], layout: &Layout) -> Vec<Result<Vec<Value<'static>>, Violation>> {
    let mut map = None;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    all_records(text, |record| {
        let Some(map) = &map else {
            map = Some(Header::read(record).unwrap().match_columns(layout).unwrap());
            return;
        };
        let mut read = recycle(std::mem::take(&mut values));
        rows.push(map.read_values(record, &mut read).map(|()| read.iter().map(own).collect()));
        values = recycle(read);
    });
    rows
}

fn own(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::String(text) => Value::String(Cow::Owned(text.to_string())),
        Value::Long(number) => Value::Long(*number),
        Value::Double(number) => Value::Double(*number),
        Value::Boolean(truth) => Value::Boolean(*truth),
    }
}

fn written(layout: &Layout, rows: &[Vec<Value<'_>>]) -> Vec<u8> {
    let mut out = Vec::new();
    write::write_header(layout.columns.iter().map(|c| c.name()), &mut out);
    for row in rows {
        write::write_record(row, &mut out);
    }
    out
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\"\\\\\r\n, \ta\0😀=é]{1,12}",
        "[a-z\"\\\\]{1,40}",
        Just("=cmd|' /C calc'!A0".to_owned()),
        Just("\u{feff}".to_owned()),
        "\\PC{1,30}",
    ]
}

fn optional<T: std::fmt::Debug + Clone + 'static>(
    some: impl Strategy<Value = T> + 'static,
    value: impl Fn(T) -> Value<'static> + 'static,
) -> impl Strategy<Value = Value<'static>> {
    prop_oneof![1 => Just(Value::Null), 4 => some.prop_map(value)]
}

fn string(text: String) -> Value<'static> {
    Value::String(Cow::Owned(text))
}

// Minus zero is written as zero.
fn double(number: f64) -> Value<'static> {
    Value::Double(if number == 0.0 { 0.0 } else { number })
}

fn row() -> impl Strategy<Value = Vec<Value<'static>>> {
    let number =
        prop_oneof![any::<f64>(), (any::<i32>(), 0..5).prop_map(|(n, e)| f64::from(n) / 10f64.powi(e))];
    let finite = number.prop_filter("numbers are finite", |n| n.is_finite());
    let columns = (
        optional(hostile(), string),
        hostile().prop_map(string),
        optional(hostile(), string),
        optional(any::<i32>(), |n| Value::Long(n.into())),
        optional(any::<i64>(), Value::Long),
        optional(finite, double),
        optional(any::<bool>(), Value::Boolean),
    );
    columns.prop_map(|(a, b, c, d, e, f, g)| vec![a, b, c, d, e, f, g])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn written_records_are_read_back(rows in prop::collection::vec(row(), 1..4)) {
        let text = written(&items(), &rows);
        let read: Result<Vec<_>, _> = all_rows(&text, &items()).into_iter().collect();
        prop_assert_eq!(read.unwrap(), rows, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_written_file_looks_as_published() {
    let row = vec![
        string("Tea, \"green\"".into()),
        string("7\\\\8".into()),
        string(" =1+1\r\nb".into()),
        Value::Long(-3),
        Value::Null,
        Value::Double(15.0),
        Value::Boolean(true),
    ];
    assert_eq!(
        String::from_utf8(written(&items(), &[row])).unwrap(),
        "TITLE,ITEM_ID,TEXT,SIZE,AGE,WEIGHT,SOLD\n\
         \"Tea, \"\"green\"\"\",7\\\\8,\" =1+1\r\nb\",-3,,15.0,true\n"
    );
}
