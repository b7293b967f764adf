//! Runs looked at: what they hold, what damages them, and that looking changes nothing.

use std::fs;

use model::clock::SystemClock;
use model::record::{Codec, Value};
use model::{DatasetType, ErrorKind, Layout, Schema};
use seal::SealingKey;

use super::*;
use crate::Objects;
use crate::run::RunWriter;

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"PRICE","type":["double","null"]}]}"#;
    Layout::new(DatasetType::Items, &Schema::parse(schema, None).unwrap())
}

/// Writes 1,000 items, the nth of which arrived as number 2n and, once more, 2n + 1.
fn write(folder: &Path, keys: DataKeys) {
    let (layout, mut records) = (layout(), Vec::new());
    let codec = Codec::new(&layout);
    for n in 0..1000 {
        let mut bytes = Vec::new();
        codec.encode(&[Value::String(format!("i{n}").into()), Value::Double(f64::from(n))], &mut bytes);
        records.push(bytes);
    }
    records.sort_unstable();
    let objects = Objects::open(folder).unwrap().with_keys(keys);
    let mut run = RunWriter::create(&objects, "a-1.parquet", &layout).unwrap();
    for (n, record) in (0..).zip(&records) {
        let arrivals = Arrivals { sequence_min: 2 * n, sequence_max: 2 * n + 1, copies: 2 };
        run.push_record(record, arrivals).unwrap();
    }
    run.finish().unwrap();
}

#[test]
fn a_run_tells_its_columns_and_arrivals() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), DataKeys::default());
    let path = dir.path().join("a-1.parquet");
    let before = fs::read(&path).unwrap();
    let looked = look(&path, &DataKeys::default()).unwrap();
    let run = &looked.run;
    assert_eq!((run.rows, run.format.as_str(), run.schema_version), (1000, "2", Some(1)));
    assert_eq!(run.groups.iter().map(|group| group.rows).collect::<Vec<_>>(), [1000]);
    assert!(run.groups[0].border.is_some());
    let columns: Vec<_> =
        run.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str(), c.field_id)).collect();
    assert_eq!(columns[..2], [("ITEM_ID", "string", Some(1)), ("PRICE", "double", Some(2))]);
    assert_eq!(columns[2..].iter().map(|(name, ..)| *name).collect::<Vec<_>>(), [SEQUENCE, SPAN, COPIES]);
    assert!(run.columns.iter().all(|column| column.bytes > 0 && !column.encodings.is_empty()));
    let arrivals = Arrivals { sequence_min: 0, sequence_max: 1999, copies: 2000 };
    assert_eq!(looked.arrivals().unwrap(), Some(arrivals));
    assert_eq!(looked.first_damaged().unwrap(), None);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_page_is_named_by_its_offset() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), DataKeys::default());
    let path = dir.path().join("a-1.parquet");
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(look(&path, &DataKeys::default()).unwrap().first_damaged().unwrap(), Some(4));
    let end = bytes.len() - 20;
    bytes[end] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(look(&path, &DataKeys::default()).err().unwrap().kind, ErrorKind::Corrupt);
}

#[test]
fn a_sealed_run_needs_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = SealingKey::random(&SystemClock);
    write(dir.path(), DataKeys::sealing(key.clone(), Arc::new(SystemClock)));
    let path = dir.path().join("a-1.parquet");
    assert_eq!(look(&path, &DataKeys::default()).err().unwrap().kind, ErrorKind::Corrupt);
    let looked = look(&path, &DataKeys::opening(key.clone())).unwrap();
    assert_eq!((looked.run.rows, looked.first_damaged().unwrap()), (1000, None));
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(crate::objects::key_id_of(&bytes), Some(key.id()));
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(look(&path, &DataKeys::opening(key)).map_or(true, |run| run.first_damaged().unwrap().is_some()));
}

#[test]
fn another_parquet_file_is_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.parquet");
    let schema =
        Arc::new(parquet::schema::parser::parse_message_type("message m { required int32 a; }").unwrap());
    let file = File::create(&path).unwrap();
    let writer = parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default());
    writer.unwrap().close().unwrap();
    assert_eq!(look(&path, &DataKeys::default()).err().unwrap().kind, ErrorKind::Invalid);
    fs::write(&path, "text").unwrap();
    assert_eq!(look(&path, &DataKeys::default()).err().unwrap().kind, ErrorKind::Corrupt);
}
