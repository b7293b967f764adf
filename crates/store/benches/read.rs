//! Reading runs of interactions, alone and merged: a dictionary for each string, numbers as they are.

// What fails here fails the benchmark.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use model::clock::SystemClock;
use model::record::{Codec, Value};
use model::{DatasetType, Layout, Schema};
use seal::{DataKeys, SealingKey};
use store::merge::{Batches, Merge, Piece};
use store::run::EVERYTHING;
use store::{Arrivals, Objects, OpenRun, RunWriter, Sorter};

fn main() {
    divan::main();
}

const ROWS: u64 = 1_000_000;
const PUT_ROWS: u64 = 20_000;

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Interactions","fields":[{"name":"USER_ID","type":"string"},
        {"name":"ITEM_ID","type":"string"},{"name":"EVENT_TYPE","type":"string"},
        {"name":"TIMESTAMP","type":"long"},{"name":"EVENT_VALUE","type":"float"}]}"#;
    Layout::new(DatasetType::Interactions, &Schema::parse(schema, None).unwrap())
}

/// Numbers that look random: the same ones every time.
fn pick(n: u64, salt: u64) -> u64 {
    let mixed = (n ^ salt << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

/// An interaction: 20 records a user, 50,000 items, a year.
fn record(codec: &Codec, n: u64, users: u64, out: &mut Vec<u8>) {
    let kinds = ["purchase", "cart", "cart", "click", "click", "click", "view", "view", "view", "view"];
    let values = [
        Value::String(format!("u{:07}", pick(n, 1) % users).into()),
        Value::String(format!("item{:05}", pick(n, 2) % 50_000).into()),
        Value::String(kinds[(pick(n, 3) % 10) as usize].into()),
        Value::Long(1_700_000_000 + (pick(n, 4) % 31_536_000) as i64),
        Value::Double((100 + pick(n, 5) % 9900) as f64 / 100.0),
    ];
    out.clear();
    codec.encode(&values, out);
}

fn write_run(objects: &Objects, name: &str, numbers: std::ops::Range<u64>) -> OpenRun {
    let (layout, codec) = (layout(), Codec::new(&layout()));
    let mut sorter = Sorter::new(std::path::Path::new("/nonexistent"), 2 << 30);
    let mut bytes = Vec::new();
    for n in numbers {
        record(&codec, n, ROWS / 20, &mut bytes);
        sorter.push(&bytes, Arrivals::once(n)).unwrap();
    }
    let mut writer = RunWriter::create(objects, name, &layout).unwrap();
    let mut sorted = sorter.finish().unwrap();
    while let Some((bytes, arrivals)) = sorted.next_record().unwrap() {
        writer.push_record(bytes, arrivals).unwrap();
    }
    writer.finish().unwrap();
    OpenRun::open(objects, name, &layout, 0).unwrap()
}

fn read(run: &OpenRun) -> usize {
    run.read(EVERYTHING, false).unwrap().map(|rows| black_box(rows.unwrap()).len()).sum()
}

#[divan::bench(sample_count = 20)]
fn read_a_run(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&Objects::open(folder.path()).unwrap(), "bulk", 0..ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| assert_eq!(read(&run) as u64, run.rows()));
}

/// The same run, sealed.
#[divan::bench(sample_count = 20)]
fn read_a_sealed_run(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&sealed(&Objects::open(folder.path()).unwrap()), "bulk", 0..ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| assert_eq!(read(&run) as u64, run.rows()));
}

fn sealed(objects: &Objects) -> Objects {
    objects.with_keys(DataKeys::sealing(SealingKey::new([7; 32]), Arc::new(SystemClock)))
}

const OBJECT_BYTES: usize = 64 << 20;

/// The bytes of an object, plain and sealed, in pieces as pages have them.
#[divan::bench(args = [false, true], sample_count = 20)]
fn read_an_object(bencher: Bencher<'_, '_>, is_sealed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let objects = if is_sealed { sealed(&objects) } else { objects };
    let mut writer = objects.create("object").unwrap();
    writer.write_all(&vec![7; OBJECT_BYTES]).unwrap();
    writer.finish().unwrap();
    let object = objects.open_object("object").unwrap();
    let mut page = vec![0; 100_000];
    bencher.counter(BytesCount::new(OBJECT_BYTES)).bench_local(|| {
        for from in (0..OBJECT_BYTES - page.len()).step_by(page.len()) {
            object.read_exact_at(black_box(&mut page), from as u64).unwrap();
        }
    });
}

/// As an export does it: each row group by itself.
#[divan::bench(sample_count = 20)]
fn read_a_run_in_ranges(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&Objects::open(folder.path()).unwrap(), "bulk", 0..ROWS);
    let starts: Vec<u64> = (0..16).map(|n| n << 60).collect();
    let range = |n: usize| starts[n]..=starts.get(n + 1).map_or(u64::MAX, |next| next - 1);
    let read =
        |n| run.read(range(n), false).unwrap().map(|rows| black_box(rows.unwrap()).len()).sum::<usize>();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        assert_eq!((0..starts.len()).map(read).sum::<usize>() as u64, run.rows());
    });
}

#[divan::bench(sample_count = 20)]
fn merge_a_run_with_three_small_ones(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let mut runs = vec![write_run(&objects, "bulk", 0..ROWS)];
    // The first of these is a repeat of what came in bulk.
    for (n, from) in [(1, 0), (2, ROWS), (3, 2 * ROWS)] {
        runs.push(write_run(&objects, &format!("put-{n}"), from..from + PUT_ROWS));
    }
    let layout = layout();
    bencher.counter(ItemsCount::new(ROWS + 3 * PUT_ROWS)).bench(|| {
        let batches = runs.iter().map(|run| Box::new(run.read(EVERYTHING, false).unwrap()) as Batches);
        let mut merge = Merge::new(&layout, batches.collect()).unwrap();
        let mut rows = 0;
        while let Some(piece) = merge.next_piece().unwrap() {
            rows += match black_box(piece) {
                Piece::Span { range, .. } => range.len(),
                Piece::One(_) => 1,
            };
        }
        rows
    });
}
