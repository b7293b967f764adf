use std::collections::HashSet;

use model::record::{Codec, Value};
use model::{DatasetType, Layout, Schema};

use super::*;
use crate::objects::Objects;
use crate::{Arrivals, RunWriter, Sorter};

const ROWS: u64 = 20_000;
const KIND: usize = 1;
const TEXT: usize = 2;

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Users","fields":[{"name":"USER_ID","type":"string"},
        {"name":"KIND","type":["string","null"],"categorical":true},
        {"name":"TEXT","type":["string","null"],"categorical":true}]}"#;
    Layout::new(DatasetType::Users, &Schema::parse(schema, None).unwrap())
}

/// Each record under its number; a hundred kinds and some null, texts that all differ and are too much for a dictionary.
fn run(objects: &Objects) -> OpenRun {
    let codec = Codec::new(&layout());
    let mut sorter = Sorter::new(std::path::Path::new("/nonexistent"), 1 << 30);
    for n in 0..ROWS {
        let kind = if n % 101 == 100 { Value::Null } else { Value::String(format!("k{}", n % 101).into()) };
        let values = [Value::String(format!("u{n}").into()), kind, Value::String(text(n).into())];
        let mut bytes = Vec::new();
        codec.encode(&values, &mut bytes);
        sorter.push(&bytes, Arrivals::once(n)).unwrap();
    }
    let mut writer = RunWriter::create(objects, "run", &layout()).unwrap();
    let mut sorted = sorter.finish().unwrap();
    while let Some((bytes, arrivals)) = sorted.next_record().unwrap() {
        writer.push_record(bytes, arrivals).unwrap();
    }
    writer.finish().unwrap();
    OpenRun::open(objects, "run", &layout(), 7).unwrap()
}

fn text(n: u64) -> String {
    format!("{n}-{}", "x".repeat(60))
}

/// The numbers of the records at some places.
fn numbers(run: &OpenRun, places: &[Place]) -> HashSet<u64> {
    let rows = run.read_places(0, places).unwrap().map(|rows| rows.unwrap());
    rows.flat_map(|rows| (0..rows.len()).map(move |row| rows.arrivals(row).sequence_max - 7)).collect()
}

#[test]
fn records_are_found_by_a_text_of_a_dictionary_or_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&Objects::open(folder.path()).unwrap());
    let all = run.places_of(0, KIND, "k3", usize::MAX).unwrap();
    let expected: HashSet<u64> = (0..ROWS).filter(|n| n % 101 == 3).collect();
    assert_eq!((all.len(), numbers(&run, &all)), (expected.len(), expected));
    assert_eq!(run.places_of(0, KIND, "k3", 5).unwrap(), all[..5]);
    assert_eq!(numbers(&run, &run.places_of(0, TEXT, &text(12_345), 5).unwrap()), [12_345].into());
    for (column, text) in [(KIND, "k100"), (KIND, ""), (TEXT, "x")] {
        assert!(run.places_of(0, column, text, 5).unwrap().is_empty(), "{text}");
    }
}

#[test]
fn the_newest_records_come_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&Objects::open(folder.path()).unwrap());
    let newest = run.newest(0..1, 3).unwrap();
    let sequences: Vec<u64> = newest.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, [ROWS + 6, ROWS + 5, ROWS + 4]);
    assert_eq!(numbers(&run, &[newest[1].1]), [ROWS - 2].into());
    assert_eq!(run.newest(0..0, 3).unwrap(), []);
}

#[test]
fn the_first_records_are_those_that_a_reader_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&Objects::open(folder.path()).unwrap());
    let first: Vec<u64> = run.read_first(9).unwrap().flat_map(|rows| rows.unwrap().hashes.clone()).collect();
    let all = run.read(super::super::EVERYTHING, false).unwrap().next().unwrap().unwrap();
    assert_eq!(first, all.hashes[..9]);
}
