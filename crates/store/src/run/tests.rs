mod damage;

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use model::record::{Codec, Value};
use model::{DatasetType, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;

use super::*;

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"NAME","type":["string","null"]},{"name":"PRICE","type":["double","null"]},
        {"name":"COUNT","type":["long","null"]},{"name":"NEW","type":["boolean","null"]}]}"#;
    Layout::new(DatasetType::Items, &Schema::parse(schema, None).unwrap())
}

type Record = Vec<Value<'static>>;

fn text(text: impl Into<String>) -> Value<'static> {
    Value::String(text.into().into())
}

/// Records in record order, with the arrivals of each.
fn sorted(records: &[Record]) -> Vec<(Vec<u8>, Arrivals)> {
    let codec = Codec::new(&layout());
    let encode = |record: &Record| {
        let mut bytes = Vec::new();
        codec.encode(record, &mut bytes);
        bytes
    };
    let mut encoded: Vec<Vec<u8>> = records.iter().map(encode).collect();
    encoded.sort_unstable();
    encoded.dedup();
    let arrivals = |n: u64| Arrivals {
        sequence_min: n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2,
        sequence_max: (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2) + n % 3,
        copies: 1 + n % 2,
    };
    encoded.into_iter().zip((0..).map(arrivals)).collect()
}

fn write(folder: &Path, records: &[(Vec<u8>, Arrivals)]) {
    let mut run = RunWriter::create(&Objects::open(folder).unwrap(), "run", &layout()).unwrap();
    records.iter().for_each(|(record, arrivals)| run.push_record(record, *arrivals).unwrap());
    let file = run.finish().unwrap();
    assert_eq!(file.rows, records.len() as u64);
}

fn read(folder: &Path) -> Vec<(Vec<u8>, Arrivals)> {
    read_object(&Objects::open(folder).unwrap()).unwrap()
}

fn read_object(objects: &Objects) -> Result<Vec<(Vec<u8>, Arrivals)>> {
    let codec = Codec::new(&layout());
    let mut found = Vec::new();
    for rows in RunReader::open(objects, "run", &layout(), 0)? {
        let rows = rows?;
        for row in 0..rows.len() {
            let values: Vec<Value<'_>> = rows.columns.iter().map(|column| column.get(row)).collect();
            let mut bytes = Vec::new();
            codec.encode(&values, &mut bytes);
            found.push((bytes, rows.arrivals(row)));
        }
    }
    Ok(found)
}

fn assert_read_back(records: &[Record]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let records = sorted(records);
    write(folder.path(), &records);
    let found = read(folder.path());
    assert_eq!(found.len(), records.len());
    for (found, expected) in found.iter().zip(&records) {
        assert_eq!(found, expected);
    }
    folder
}

/// The encoding of the values of each column, in the first row group.
fn encodings(folder: &Path) -> Vec<Encoding> {
    let file = std::fs::File::open(folder.join("run")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let group = reader.get_row_group(0).unwrap();
    let of_column = |n| {
        let pages = group.get_column_page_reader(n).unwrap().map(Result::unwrap);
        let mut encodings: Vec<Encoding> =
            pages.filter(|page| page.is_data_page()).map(|page| page.encoding()).collect();
        encodings.dedup();
        let stated = group.metadata().column(n).page_encoding_stats_mask().unwrap();
        assert!(stated.is_only(encodings[0]), "the pages of column {n} are not what the footer says");
        assert_eq!(encodings.len(), 1, "the pages of column {n} differ");
        encodings[0]
    };
    (0..group.num_columns()).map(of_column).collect()
}

fn nullable(value: impl Strategy<Value = Value<'static>> + 'static) -> BoxedStrategy<Value<'static>> {
    prop_oneof![1 => Just(Value::Null), 4 => value].boxed()
}

/// Of few different values, or of any.
fn record() -> impl Strategy<Value = Record> {
    let names = prop_oneof!["[a-c]{1,2}", "\\PC{1,40}", "[\u{0}-\u{3}]{1,20}"].prop_map(text);
    let prices = prop_oneof![
        (-3i8..3).prop_map(|n| f64::from(n) / 4.0),
        any::<f64>().prop_filter("no number that CSV has", |n| n.is_finite())
    ];
    let counts = prop_oneof![-2i64..3, any::<i64>(), Just(i64::MIN), Just(i64::MAX)];
    let columns = (
        prop_oneof!["[a-z]{1}", "[a-z0-9]{1,30}"].prop_map(text),
        nullable(names),
        nullable(prices.prop_map(Value::Double)),
        nullable(counts.prop_map(Value::Long)),
        nullable(any::<bool>().prop_map(Value::Boolean)),
    );
    columns.prop_map(|(id, name, price, count, new)| vec![id, name, price, count, new])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_records_are_read_back(records in prop::collection::vec(record(), 0..400)) {
        assert_read_back(&records);
    }
}

#[test]
fn few_values_become_codes() {
    let row = |n: usize| {
        let name = text(format!("a name that is longer than sixteen bytes {}", n % 50));
        let price = Value::Double((n % 900) as f64);
        vec![text(format!("i{}", n / 30)), name, price, Value::Long(i64::MIN + (n % 70) as i64), Value::Null]
    };
    // Two pages and a piece.
    let folder = assert_read_back(&(0..70_000).map(row).collect::<Vec<_>>());
    assert_eq!(encodings(folder.path())[..4], [Encoding::RLE_DICTIONARY; 4]);
}

#[test]
fn many_values_stay_as_they_are() {
    let row = |n: usize| {
        let odd = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let is_null = n.is_multiple_of(7);
        let name = if is_null { Value::Null } else { text(format!("{odd:020}").repeat(1 + n % 3)) };
        let price = if is_null { Value::Null } else { Value::Double((odd >> 12) as f64) };
        vec![
            text(format!("i{n}")),
            name,
            price,
            Value::Long(odd.cast_signed()),
            Value::Boolean(n.is_multiple_of(3)),
        ]
    };
    let folder = assert_read_back(&(0..70_000).map(row).collect::<Vec<_>>());
    let [text, fraction, whole, truth] =
        [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED, Encoding::PLAIN];
    assert_eq!(encodings(folder.path())[..5], [text, text, fraction, whole, truth]);
}

#[test]
fn a_column_without_values_is_all_null() {
    let row = |n| vec![text(format!("i{n}")), Value::Null, Value::Null, Value::Null, Value::Null];
    assert_read_back(&(0..40_000).map(row).collect::<Vec<_>>());
}

#[test]
fn sparse_and_dense_stretches_meet_at_the_ends_of_pages() {
    let value = |n: usize, value| if n % 40_000 < 32_768 { Value::Null } else { value };
    let row = |n: usize| {
        let name = value(n, text(format!("n{}", n % 3)));
        vec![
            text("i"),
            name,
            value(n, Value::Double(n as f64)),
            Value::Long(n as i64),
            value(n, Value::Boolean(true)),
        ]
    };
    assert_read_back(&(0..100_000).map(row).collect::<Vec<_>>());
}

#[test]
fn texts_that_seem_few_and_turn_out_many_are_read_back() {
    let row = |n: usize| {
        let name = if n < 5000 { format!("n{}", n % 5) } else { format!("{n}").repeat(60) };
        vec![text(format!("i{:06}", n / 1000)), text(name), Value::Null, Value::Long(n as i64), Value::Null]
    };
    assert_read_back(&(0..40_000).map(row).collect::<Vec<_>>());
}

#[test]
fn what_never_differs_costs_next_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let row = |n| vec![text("one"), Value::Null, Value::Null, Value::Long(n), Value::Null];
    let records = sorted(&(0..100_000).map(row).collect::<Vec<_>>());
    let once: Vec<_> = records.into_iter().map(|(record, _)| (record, Arrivals::once(7))).collect();
    write(folder.path(), &once);
    let file = std::fs::File::open(folder.path().join("run")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let group = reader.metadata().row_group(0);
    for column in [0, 5, 6, 7] {
        assert!(group.column(column).compressed_size() < 500, "{:?}", group.column(column).column_path());
    }
}

#[test]
fn sequence_numbers_are_unsigned_to_other_readers() {
    let folder = tempfile::tempdir().unwrap();
    let once = [(
        sorted(&[vec![text("i"), Value::Null, Value::Null, Value::Null, Value::Null]]).remove(0).0,
        Arrivals::once(u64::MAX - 1),
    )];
    write(folder.path(), &once);
    let file = std::fs::File::open(folder.path().join("run")).unwrap();
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.column(5).as_primitive::<UInt64Type>().value(0), u64::MAX - 1);
}
