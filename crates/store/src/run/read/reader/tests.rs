use model::record::{Codec, Value, hash_of};
use model::{DatasetType, Schema};

use super::*;
use crate::{RunWriter, Sorter};

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Users","fields":[{"name":"USER_ID","type":"string"},
        {"name":"KIND","type":["string","null"],"categorical":true},
        {"name":"TEXT","type":["string","null"],"categorical":true}]}"#;
    Layout::new(DatasetType::Users, &Schema::parse(schema, None).unwrap())
}

const ROWS: u64 = 40_000;

/// Ten records a user; a few kinds, some null; texts that all differ and are too much for a dictionary.
fn records() -> Vec<Vec<u8>> {
    let codec = Codec::new(&layout());
    let record = |n: u64| {
        let text = format!("{n}-{}", "x".repeat(60));
        let kind = ["red", "blue"].get((n % 3) as usize);
        let values = [
            Value::String(format!("u{}", n / 10).into()),
            kind.map_or(Value::Null, |kind| Value::String((*kind).into())),
            Value::String(text.into()),
        ];
        let mut bytes = Vec::new();
        codec.encode(&values, &mut bytes);
        bytes
    };
    let mut records: Vec<Vec<u8>> = (0..ROWS).map(record).collect();
    records.sort();
    records
}

fn write(objects: &Objects, records: &[Vec<u8>]) -> OpenRun {
    let mut sorter = Sorter::new(std::path::Path::new("/nonexistent"), 1 << 30);
    records.iter().for_each(|record| sorter.push(record, Arrivals::once(1)).unwrap());
    let mut writer = RunWriter::create(objects, "run", &layout()).unwrap();
    let mut sorted = sorter.finish().unwrap();
    while let Some((bytes, arrivals)) = sorted.next_record().unwrap() {
        writer.push_record(bytes, arrivals).unwrap();
    }
    writer.finish().unwrap();
    OpenRun::open(objects, "run", &layout(), 0).unwrap()
}

fn read(run: &OpenRun, range: RangeInclusive<u64>) -> Vec<Vec<u8>> {
    let codec = Codec::new(&layout());
    let mut seen = Vec::new();
    for rows in run.read(range, false).unwrap() {
        let rows = rows.unwrap();
        for row in 0..rows.len() {
            let values: Vec<Value<'_>> = rows.columns.iter().map(|column| column.get(row)).collect();
            let mut bytes = Vec::new();
            codec.encode(&values, &mut bytes);
            assert_eq!(hash_of(&bytes), rows.hashes[row]);
            seen.push(bytes);
        }
    }
    seen
}

#[test]
fn ranges_hold_what_the_whole_run_holds_there() {
    let folder = tempfile::tempdir().unwrap();
    let records = records();
    let run = write(&Objects::open(folder.path()).unwrap(), &records);
    assert!(read(&run, EVERYTHING) == records);
    for (from, to) in [(0, 1), (1, 8191), (8192, 8193), (12_345, 20_000), (30_000, 39_999)] {
        let range = hash_of(&records[from])..=hash_of(&records[to]);
        let expected: Vec<_> = records.iter().filter(|r| range.contains(&hash_of(r))).cloned().collect();
        assert!(read(&run, range) == expected, "{from} to {to}");
    }
    let (first, last) = (hash_of(&records[0]), hash_of(&records[39_999]));
    assert!(read(&run, 0..=first - 1).is_empty());
    assert!(read(&run, last + 1..=u64::MAX).is_empty());
}

#[test]
fn strings_come_by_their_codes_where_all_of_them_stand_in_a_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(&Objects::open(folder.path()).unwrap(), &records());
    let batches: Vec<Arc<Rows>> = run.read(EVERYTHING, false).unwrap().map(Result::unwrap).collect();
    assert!(batches.len() > 2);
    let mut dictionaries = Vec::new();
    for rows in &batches {
        let [Values::Coded(_), Values::Coded(kinds), Values::Strings(_)] = &rows.columns[..] else {
            panic!("{:?}", rows.columns)
        };
        assert!(kinds.codes().iter().any(|code| code.is_none()));
        dictionaries.push(kinds.dictionary().clone());
    }
    assert!(dictionaries.iter().all(|dictionary| Arc::ptr_eq(dictionary, &dictionaries[0])));
}
