//! Prints how fast a generated interactions file is split, parsed and encoded, in MB/s on one core. Judges nothing.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use csv::value::recycle;
use csv::{ColumnMap, Dialect, Header, Record, Settings, Splitter, write};
use model::record::Value;
use model::{DatasetType, Layout, Schema};

const ROWS: u64 = 100_000;
const PUSH_SIZE_BYTES: usize = 256 << 10;
const ROUNDS: usize = 50;

fn main() {
    for is_quoted in [false, true] {
        let text = generate(is_quoted);
        println!("{} rows, {} MB, strings quoted: {is_quoted}", ROWS, text.len() / 1_000_000);
        for dialect in [Dialect::Rfc4180, Dialect::Aws] {
            let split = || each_record(&text, dialect, |record| assert!(black_box(record.field_count()) > 0));
            measure(&format!("split {dialect:?}"), text.len(), split);
            measure(&format!("split and parse {dialect:?}"), text.len(), || parse(&text, dialect));
        }
    }
    let mut out = Vec::new();
    encode(&mut out);
    let size_bytes = out.len();
    measure("encode", size_bytes, || encode(&mut out));
}

fn layout() -> Layout {
    let schema = Schema::parse(
        r#"{"type":"record","name":"Interactions","namespace":"n","version":"1.0","fields":[
            {"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},
            {"name":"EVENT_TYPE","type":"string"},{"name":"EVENT_VALUE","type":["float","null"]},
            {"name":"DEVICE","type":["string","null"],"categorical":true},{"name":"TIMESTAMP","type":"long"}]}"#,
        None,
    );
    Layout::new(DatasetType::Interactions, &schema.expect("the schema is a published one"))
}

fn row(n: u64, see: impl FnOnce(&[Value<'_>])) {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (user, item) = (format!("user-{:08}", mixed >> 44), format!("item-{}", mixed % 50_000));
    let value =
        if n.is_multiple_of(3) { Value::Null } else { Value::Double((mixed % 20_000) as f64 / 100.0) };
    see(&[
        Value::String(user.into()),
        Value::String(item.into()),
        Value::String(if n.is_multiple_of(5) { "purchase" } else { "click" }.into()),
        value,
        Value::String("mobile phone".into()),
        Value::Long(1_600_000_000 + (mixed >> 40).cast_signed()),
    ]);
}

fn generate(is_quoted: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write::write_header(layout().columns.iter().map(|column| column.name()), &mut out);
    for n in 0..ROWS {
        row(n, |values| {
            if is_quoted { write_quoted(values, &mut out) } else { write::write_record(values, &mut out) }
        });
    }
    out
}

fn write_quoted(values: &[Value<'_>], out: &mut Vec<u8>) {
    for (n, value) in values.iter().enumerate() {
        let quote: &[u8] = if matches!(value, Value::String(_)) { b"\"" } else { b"" };
        out.extend_from_slice(if n > 0 { b"," } else { b"" });
        out.extend_from_slice(quote);
        write::write_value(value, out);
        out.extend_from_slice(quote);
    }
    out.push(b'\n');
}

fn each_record(text: &[u8], dialect: Dialect, mut see: impl FnMut(&Record<'_>)) {
    let mut splitter = Splitter::new(dialect, Settings::default());
    for part in text.chunks(PUSH_SIZE_BYTES) {
        splitter.push(part);
        while let Some(record) = splitter.next_record().expect("the file is well formed") {
            see(&record);
        }
    }
}

fn parse(text: &[u8], dialect: Dialect) {
    let layout = layout();
    let mut map: Option<ColumnMap> = None;
    let mut kept = Vec::new();
    each_record(text, dialect, |record| match &map {
        None => {
            let header = Header::read(record).expect("the header is UTF-8");
            map = Some(header.match_columns(&layout).expect("the header is whole"));
        }
        Some(map) => {
            let mut values = recycle(std::mem::take(&mut kept));
            map.read_values(record, &mut values).expect("the rows conform");
            black_box(&values);
            kept = recycle(values);
        }
    });
}

// Encodes the same thousand rows over and over, so that making them is not measured.
fn encode(out: &mut Vec<u8>) {
    thread_local! {
        static RECORDS: Vec<Vec<Value<'static>>> = (0..1000).map(owned_row).collect();
    }
    out.clear();
    RECORDS.with(|records| {
        for _ in 0..ROWS / 1000 {
            records.iter().for_each(|record| write::write_record(record, out));
        }
    });
}

fn owned_row(n: u64) -> Vec<Value<'static>> {
    let own = |value: &Value<'_>| match value {
        Value::String(text) => Value::String(text.to_string().into()),
        Value::Long(number) => Value::Long(*number),
        Value::Double(number) => Value::Double(*number),
        Value::Boolean(truth) => Value::Boolean(*truth),
        Value::Null => Value::Null,
    };
    let mut owned = Vec::new();
    row(n, |values| owned = values.iter().map(own).collect());
    owned
}

fn measure(name: &str, size_bytes: usize, mut work: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let (speed, time) = (size_bytes as f64 / best / 1e6, best * 1e9 / ROWS as f64);
    println!("  {name:<26} {speed:>6.0} MB/s  {time:>5.0} ns a row");
}
