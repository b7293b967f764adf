//! Random sequences of imports, puts, flushes and compactions, exported in every mode and compared with a naive model.
//!
//! A failure prints the sequence, shrunk, and keeps its seed beside this file.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

mod dataset;
mod naive;

use std::collections::BTreeMap;

use model::{DatasetType, IngestionMode, Origin};
use proptest::prelude::*;

use dataset::{Row, TestDataset};
use naive::{Naive, later};

/// Interactions have room for three more columns.
const VERSIONS_MAX: u32 = 4;

#[derive(Clone, Debug)]
enum Operation {
    Put(Vec<Row>),
    ImportFull(Vec<Row>),
    ImportIncremental(Vec<Row>),
    /// An import whose last row breaks a rule.
    ImportBadly(Vec<Row>),
    Flush,
    Compact,
    ReplaceSchema,
    /// A put that was checked against the schema before the last one.
    PutLate(Vec<Row>),
}

fn row() -> impl Strategy<Value = Row> {
    let number = prop::option::of(prop::sample::select(vec![0.0, -0.0, 0.5, 1e16, -3.25]));
    let texts = vec!["", "a", "a,b", "say \"hi\"", "line\nbreak", " blank ", "a\\b", "=1+1", "日本\u{1F600}"];
    let added = prop::option::of(prop::bool::ANY);
    let parts = (0u8..5, 0i64..3, number, prop::sample::select(texts), added);
    parts.prop_map(|(id, at, number, text, added)| Row { id, at, number, text: text.to_owned(), added })
}

fn operation() -> impl Strategy<Value = Operation> {
    let rows = || prop::collection::vec(row(), 0..6);
    prop_oneof![
        4 => prop::collection::vec(row(), 1..5).prop_map(Operation::Put),
        2 => rows().prop_map(Operation::ImportFull),
        2 => rows().prop_map(Operation::ImportIncremental),
        1 => rows().prop_map(Operation::ImportBadly),
        2 => Just(Operation::Flush),
        1 => Just(Operation::Compact),
        1 => Just(Operation::ReplaceSchema),
        1 => prop::collection::vec(row(), 1..5).prop_map(Operation::PutLate),
    ]
}

fn apply(operation: &Operation, dataset: &mut TestDataset, naive: &mut Naive) {
    let version = dataset.schema_version();
    let lines_of = |rows: &[Row], version| {
        rows.iter().map(|r| (r.id(), r.line(dataset::KIND.get(), version))).collect::<Vec<_>>()
    };
    let lines = |rows: &[Row]| lines_of(rows, version);
    match operation {
        Operation::Put(rows) => {
            dataset.put(rows, version);
            naive.put(&lines(rows));
        }
        Operation::PutLate(rows) if version > 1 => {
            dataset.put(rows, version - 1);
            let raised = lines_of(rows, version - 1).into_iter().map(|(id, line)| (id, later(&line)));
            naive.put(&raised.collect::<Vec<_>>());
        }
        Operation::ReplaceSchema if version < VERSIONS_MAX => {
            dataset.replace_schema();
            naive.replace_schema();
        }
        Operation::PutLate(_) | Operation::ReplaceSchema => {}
        Operation::ImportFull(rows) => {
            dataset.import(rows, true);
            naive.import_full(&lines(rows));
        }
        Operation::ImportIncremental(rows) => {
            dataset.import(rows, false);
            naive.import_incremental(&lines(rows));
        }
        Operation::ImportBadly(rows) => dataset.import_badly(rows),
        Operation::Flush => dataset.flush(),
        Operation::Compact => dataset.compact(),
    }
}

fn by_id(rows: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut map: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, line) in rows {
        map.entry(id).or_default().push(line);
    }
    map
}

fn sorted(mut rows: Vec<(String, String)>) -> Vec<(String, String)> {
    rows.sort();
    rows
}

fn check(dataset: &TestDataset, naive: &Naive, mode: IngestionMode) -> Result<(), TestCaseError> {
    let is_keyed = dataset.is_keyed();
    let expected = naive.export(mode, is_keyed);
    let (exported, ledger) = dataset.export(mode, 1 << 30, 1);
    if is_keyed {
        // Within one id the order is that of arrival.
        prop_assert_eq!(by_id(&exported), by_id(&expected));
    }
    prop_assert_eq!(sorted(exported.clone()), sorted(expected));
    let count = |origin| if mode.takes(origin) { naive.count(origin) } else { 0 };
    prop_assert_eq!((ledger.read_bulk, ledger.read_put), (count(Origin::Bulk), count(Origin::Put)));
    prop_assert_eq!(ledger.written, exported.len() as u64);
    if mode == IngestionMode::All {
        // Cut into many files, the records and their order stay the same.
        prop_assert_eq!(dataset.export(mode, 40, 2).0, exported);
    }
    Ok(())
}

fn run(kind: DatasetType, operations: &[Operation]) -> Result<(), TestCaseError> {
    dataset::KIND.set(kind);
    let mut dataset = TestDataset::new(kind);
    let mut naive = Naive::default();
    for operation in operations {
        apply(operation, &mut dataset, &mut naive);
    }
    for mode in [IngestionMode::Bulk, IngestionMode::Put, IngestionMode::All] {
        check(&dataset, &naive, mode)?;
    }
    Ok(())
}

/// 10,000 for each type, or as many as LADE_TEST_CASES says.
fn config() -> ProptestConfig {
    let asked = std::env::var("LADE_TEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(10_000), max_shrink_iters: 2_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn interactions_export_what_the_model_says(operations in prop::collection::vec(operation(), 1..7)) {
        run(DatasetType::Interactions, &operations)?;
    }

    #[test]
    fn items_export_what_the_model_says(operations in prop::collection::vec(operation(), 1..7)) {
        run(DatasetType::Items, &operations)?;
    }
}
