use std::collections::BTreeMap;

use model::record::{Codec, Value};
use model::{DatasetType, Schema};
use proptest::prelude::*;

use super::*;
use crate::{Objects, OpenRun, RunReader, RunWriter, Sorter};

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"PRICE","type":["float","null"]},{"name":"NAME","type":["string","null"]}]}"#;
    Layout::new(DatasetType::Items, &Schema::parse(schema, None).unwrap())
}

type Item = (u8, Option<i8>, Option<u8>);

fn record((id, price, name): Item) -> Vec<u8> {
    let id = format!("i{id}");
    let name = name.map(|n| format!("n{n}"));
    let values = [
        Value::String(id.as_str().into()),
        price.map_or(Value::Null, |p| Value::Double(f64::from(p) / 2.0)),
        name.as_deref().map_or(Value::Null, |n| Value::String(n.into())),
    ];
    let mut out = Vec::new();
    Codec::new(&layout()).encode(&values, &mut out);
    out
}

fn write_run(objects: &Objects, name: &str, items: &[Item], first: u64) -> Batches {
    let mut sorter = Sorter::new(std::path::Path::new("/nonexistent"), 1 << 20);
    for (n, item) in (first..).zip(items) {
        sorter.push(&record(*item), Arrivals::once(n)).unwrap();
    }
    let mut writer = RunWriter::create(objects, name, &layout()).unwrap();
    let mut sorted = sorter.finish().unwrap();
    while let Some((bytes, arrivals)) = sorted.next_record().unwrap() {
        writer.push_record(bytes, arrivals).unwrap();
    }
    let file = writer.finish().unwrap();
    assert_eq!(file.records, items.len() as u64);
    Box::new(RunReader::open(objects, name, &layout(), 0).unwrap())
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec((0u8..5, prop::option::of(-2i8..3), prop::option::of(0u8..3)), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn runs_merge_into_what_a_map_holds(bulk in items(), put in items(), more in items()) {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path()).unwrap();
        let runs = vec![
            write_run(&objects, "a", &bulk, 0),
            write_run(&objects, "b", &put, 1000),
            write_run(&objects, "c", &more, 2000),
        ];
        let mut expected: BTreeMap<Vec<u8>, Arrivals> = BTreeMap::new();
        for (first, items) in [(0u64, &bulk), (1000, &put), (2000, &more)] {
            for (n, item) in (first..).zip(items) {
                expected.entry(record(*item))
                    .and_modify(|arrivals| arrivals.merge(Arrivals::once(n)))
                    .or_insert(Arrivals::once(n));
            }
        }
        let mut merge = Merge::new(&layout(), runs).unwrap();
        let codec = Codec::new(&layout());
        let mut seen = Vec::new();
        while let Some(m) = merge.next_record().unwrap() {
            let values: Vec<Value<'_>> = m.rows.columns.iter().map(|c| c.get(m.row)).collect();
            let mut bytes = Vec::new();
            codec.encode(&values, &mut bytes);
            seen.push((bytes, m.arrivals));
        }
        let expected: Vec<_> = expected.into_iter().collect();
        prop_assert_eq!(seen, expected.clone());
        let files = [("a", 0), ("b", 0), ("c", 0)].map(|(name, base)| {
            OpenRun::open(&objects, name, &layout(), base).unwrap()
        });
        let (whole, rows_read) = pieces(&files, 0..=u64::MAX);
        prop_assert_eq!(rows_read, files.iter().map(OpenRun::rows).sum::<u64>());
        prop_assert_eq!(&whole, &expected.iter().map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>());
        // Cut at any hash, the ranges together are the whole.
        let cut = whole.get(whole.len() / 2).map_or(1 << 63, |record| model::record::hash_of(record)).max(1);
        let (low, high) = (pieces(&files, 0..=cut - 1), pieces(&files, cut..=u64::MAX));
        prop_assert_eq!(low.1 + high.1, rows_read);
        prop_assert_eq!([low.0, high.0].concat(), whole);
    }
}

/// The records of a range of hashes, by pieces; and how many were read.
fn pieces(runs: &[OpenRun], range: std::ops::RangeInclusive<u64>) -> (Vec<Vec<u8>>, u64) {
    let open = |run: &OpenRun| Box::new(run.read(range.clone(), false).unwrap()) as Batches;
    let mut merge = Merge::new(&layout(), runs.iter().map(open).collect()).unwrap();
    let mut seen = Vec::new();
    while let Some(piece) = merge.next_piece().unwrap() {
        let (rows, span) = match piece {
            Piece::Span { rows, range, .. } => (rows, range),
            Piece::One(merged) => (merged.rows, merged.row..merged.row + 1),
        };
        for row in span {
            let values: Vec<Value<'_>> = rows.columns.iter().map(|c| c.get(row)).collect();
            let mut bytes = Vec::new();
            Codec::new(&layout()).encode(&values, &mut bytes);
            seen.push(bytes);
        }
    }
    (seen, merge.rows_read())
}

#[test]
fn a_damaged_run_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).unwrap();
    let items: Vec<Item> = (0..200).map(|n| (n, Some(1), None)).collect();
    drop(write_run(&objects, "a", &items, 0));
    let path = folder.path().join("a");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, &damaged).unwrap();
        let Ok(reader) = RunReader::open(&objects, "a", &layout(), 0) else { continue };
        let Ok(mut merge) = Merge::new(&layout(), vec![Box::new(reader)]) else { continue };
        while let Ok(Some(_)) = merge.next_record() {}
    }
}
