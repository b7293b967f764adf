//! Sorted records → row groups: interactions, as the rule; items with a hundred columns and long text.

// A benchmark that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use model::clock::SystemClock;
use model::record::{Codec, Value};
use model::{DatasetType, Layout, Schema};
use seal::{DataKeys, SealingKey};
use store::log::Batch;
use store::run::RowGroups;
use store::{Arrivals, Objects, RunWriter};

fn main() {
    divan::main();
}

const INTERACTIONS: usize = 1_000_000;
const ITEMS: usize = 50_000;

#[divan::bench(sample_count = 5, sample_size = 1)]
fn interactions_imported(bencher: Bencher<'_, '_>) {
    let data = interactions();
    bench(bencher, &data, |_| Arrivals::once(0));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn interactions_put(bencher: Bencher<'_, '_>) {
    let data = interactions();
    bench(bencher, &data, |n| Arrivals::once(pick(n as u64, 9) % INTERACTIONS as u64));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn wide_items(bencher: Bencher<'_, '_>) {
    let data = items();
    bench(bencher, &data, |n| Arrivals::once(pick(n as u64, 9) % ITEMS as u64));
}

const OBJECT_BYTES: usize = 64 << 20;

/// The bytes of an object, plain and sealed.
#[divan::bench(args = [false, true], sample_count = 10, sample_size = 1)]
fn write_an_object(bencher: Bencher<'_, '_>, is_sealed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let keys = DataKeys::sealing(SealingKey::new([7; 32]), Arc::new(SystemClock));
    let objects = if is_sealed { objects.with_keys(keys) } else { objects };
    let page = vec![7; 100_000];
    bencher.counter(BytesCount::new(OBJECT_BYTES)).bench_local(|| {
        let mut writer = objects.create("object").unwrap();
        for _ in 0..OBJECT_BYTES / page.len() {
            writer.write_all(&page).unwrap();
        }
        // Dropped without `finish`: the disk's speed is not what is asked for.
        drop(writer);
    });
}

/// What a put's frame of 1.5 kB pays for being sealed.
#[divan::bench]
fn seal_a_frame(bencher: Bencher<'_, '_>) {
    let keys = DataKeys::sealing(SealingKey::new([7; 32]), Arc::new(SystemClock));
    let record = vec![7; 150];
    bencher
        .with_inputs(|| {
            let mut batch = Batch::new(1, 1);
            (0..10).for_each(|_| batch.push(&record).unwrap());
            batch
        })
        .bench_values(|batch| batch.sealed(keys.series().unwrap()));
}

struct Data {
    layout: Layout,
    /// All records, one behind the other, as they come from an arena.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Data {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| &self.bytes[start..end])
    }
}

fn bench(bencher: Bencher<'_, '_>, data: &Data, arrivals: impl Fn(usize) -> Arrivals + Sync) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let run = RunWriter::create(&objects, "run", &data.layout).unwrap();
    let encode = || {
        let mut groups = RowGroups::new(run.format()).unwrap();
        for (n, record) in data.records().enumerate() {
            if let Some(group) = groups.push_record(record, arrivals(n)).unwrap() {
                drop(black_box(group));
            }
        }
        drop(black_box(groups.finish().unwrap()));
    };
    bencher.counter(ItemsCount::new(data.ends.len())).bench_local(encode);
    report_size(&objects, data, &arrivals);
}

fn report_size(objects: &Objects, data: &Data, arrivals: &impl Fn(usize) -> Arrivals) {
    let mut run = RunWriter::create(objects, "measured", &data.layout).unwrap();
    for (n, record) in data.records().enumerate() {
        run.push_record(record, arrivals(n)).unwrap();
    }
    let file = run.finish().unwrap();
    let share = file.size_bytes as f64 / file.csv_bytes as f64;
    eprintln!("{} bytes at rest, {share:.4} of their size as CSV", file.size_bytes);
}

fn layout(dataset_type: DatasetType, name: &str, fields: &str) -> Layout {
    let schema = format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#);
    Layout::new(dataset_type, &Schema::parse(&schema, None).unwrap())
}

fn sorted(layout: Layout, count: usize, values: impl Fn(u64) -> Vec<Value<'static>>) -> Data {
    let codec = Codec::new(&layout);
    let encode = |n| {
        let mut record = Vec::new();
        codec.encode(&values(n), &mut record);
        record
    };
    let mut records: Vec<Vec<u8>> = (0..count as u64).map(encode).collect();
    records.sort_unstable();
    let mut data = Data { layout, bytes: Vec::new(), ends: Vec::new() };
    for record in records {
        data.bytes.extend_from_slice(&record);
        data.ends.push(data.bytes.len());
    }
    data
}

/// Twenty for each user.
fn interactions() -> Data {
    let fields = r#"{"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},
        {"name":"EVENT_TYPE","type":"string"},{"name":"TIMESTAMP","type":"long"},
        {"name":"EVENT_VALUE","type":["float","null"]}"#;
    const TYPES: [&str; 10] =
        ["purchase", "cart", "cart", "click", "click", "click", "view", "view", "view", "view"];
    let values = |n| {
        vec![
            text(format!("u{:07}", pick(n, 1) % (INTERACTIONS as u64 / 20))),
            text(format!("item{:05}", pick(n, 2) % 50_000)),
            text(TYPES[(pick(n, 3) % 10) as usize].to_owned()),
            Value::Long(1_700_000_000 + (pick(n, 4) % 31_536_000) as i64),
            Value::Double((100 + pick(n, 5) % 9900) as f64 / 100.0),
        ]
    };
    sorted(layout(DatasetType::Interactions, "Interactions", fields), INTERACTIONS, values)
}

/// A hundred columns of all kinds, a fifth of the values null.
fn items() -> Data {
    let kinds = [
        r#"["string","null"],"categorical":true"#,
        r#"["float","null"]"#,
        r#"["int","null"]"#,
        r#"["boolean","null"]"#,
        r#"["string","null"]"#,
    ];
    let mut fields = r#"{"name":"ITEM_ID","type":"string"},{"name":"TITLE","type":"string"},
        {"name":"DESCRIPTION","type":"string","textual":true}"#
        .to_owned();
    for column in 3..100 {
        fields += &format!(r#",{{"name":"F{column:02}","type":{}}}"#, kinds[column % kinds.len()]);
    }
    let words =
        ["plain", "words", "of a", "text", "he said \"no\"", "one, two", "über", "line\nbreak", "10%"];
    let value = move |n, column: u64| match (pick(n, column + 300) % 5, column % 5) {
        (0, _) => Value::Null,
        (_, 0) => text(format!("c{}|d{}", pick(n, column) % 40, pick(n, column + 500) % 7)),
        (_, 1) => Value::Double((pick(n, column) % 100_000) as f64 / 8.0),
        (_, 2) => Value::Long((pick(n, column) % 1000) as i64),
        (_, 3) => Value::Boolean(pick(n, column).is_multiple_of(2)),
        _ => text(format!("s{}", pick(n, column) % 100_000)),
    };
    let values = |n| {
        let word = |k: u64| words[(pick(n, 1000 + k) % words.len() as u64) as usize];
        let description = (0..60).map(word).collect::<Vec<_>>().join(" ");
        let head = [text(format!("i{n:08}")), text(format!("Item \"{n}\", new")), text(description)];
        head.into_iter().chain((3..100).map(|column| value(n, column))).collect()
    };
    sorted(layout(DatasetType::Items, "Items", &fields), ITEMS, values)
}

fn text(text: String) -> Value<'static> {
    Value::String(text.into())
}

/// A whole number that looks random and depends on nothing but its two arguments.
fn pick(n: u64, salt: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..2 {
        x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
    (x ^ (x >> 32)) >> 1
}
