//! From the bytes of a file to canonical records: a million interactions, and items of 100 columns with long text.

// A benchmark that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::hint::black_box;

use csv::value::recycle;
use csv::{ColumnMap, Dialect, Header, Position, RecordEnds, Records, Settings, Splitter};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use model::record::{Codec, Value};
use model::{DatasetType, Layout, Schema};

const CHUNK_BYTES: usize = 2 << 20;

fn main() {
    divan::main();
}

/// A file without its header, cut at the ends of records, and how it is read.
struct File {
    codec: Codec,
    columns: ColumnMap,
    chunks: Vec<Vec<u8>>,
    rows: usize,
}

impl File {
    fn new(layout: &Layout, row: impl Fn(u64, &mut String), rows: usize) -> File {
        let names: Vec<&str> = layout.columns.iter().map(|column| column.name()).collect();
        let mut splitter = Splitter::new(Dialect::Rfc4180, Settings::default());
        splitter.push(format!("{}\n", names.join(",")).as_bytes());
        let header = Header::read(&splitter.next_record().unwrap().unwrap()).unwrap();
        let mut chunks = vec![String::new()];
        for n in 0..rows as u64 {
            if chunks.last().unwrap().len() > CHUNK_BYTES {
                chunks.push(String::new());
            }
            row(n, chunks.last_mut().unwrap());
        }
        let columns = header.match_columns(layout).unwrap();
        let chunks = chunks.into_iter().map(String::into_bytes).collect();
        File { codec: Codec::new(layout), columns, chunks, rows }
    }

    fn size_bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    fn by_values(&self, dialect: Dialect) {
        let mut spare: Vec<Value<'static>> = Vec::new();
        let mut encoded = Vec::new();
        for chunk in &self.chunks {
            let mut splitter = Splitter::new(dialect, Settings::default());
            splitter.push(chunk);
            splitter.finish();
            while let Some(record) = splitter.next_record().unwrap() {
                let mut values = recycle(std::mem::take(&mut spare));
                self.columns.read_values(&record, &mut values).unwrap();
                encoded.clear();
                self.codec.encode(&values, &mut encoded);
                black_box(&encoded);
                spare = recycle(values);
            }
        }
    }

    fn encoded(&self, dialect: Dialect) {
        let settings = Settings { from: Position { line: 2, byte: 100 }, ..Settings::default() };
        let mut encoded = Vec::new();
        for chunk in &self.chunks {
            let mut records = Records::new(dialect, settings, chunk);
            while records.encode_next(&self.columns, &mut encoded).unwrap() {
                black_box(&encoded);
            }
        }
    }

    fn ends(&self, dialect: Dialect) {
        let mut ends = RecordEnds::new(dialect, Position::FILE_START);
        self.chunks.iter().for_each(|chunk| ends.push(chunk));
        black_box(ends.last());
    }
}

// A number that looks random and depends on nothing but its two arguments.
fn pick(n: u64, salt: u64) -> u64 {
    let mixed = (n ^ salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
}

fn interactions() -> File {
    let schema = r#"{"type":"record","name":"Interactions","namespace":"n","version":"1.0","fields":[
        {"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},{"name":"EVENT_TYPE","type":"string"},
        {"name":"TIMESTAMP","type":"long"},{"name":"EVENT_VALUE","type":"float"}]}"#;
    let layout = Layout::new(DatasetType::Interactions, &Schema::parse(schema, None).unwrap());
    let row = |n, out: &mut String| {
        let (user, item) = (pick(n, 1) % 50_000, pick(n, 2) % 50_000);
        let event = ["purchase", "cart", "click", "view"][pick(n, 3) as usize % 4];
        let (at, cents) = (1_700_000_000 + pick(n, 4) % 31_536_000, 100 + pick(n, 5) % 9900);
        writeln!(out, "u{user:07},item{item:05},{event},{at},{}", cents as f64 / 100.0).unwrap();
    };
    File::new(&layout, row, 1_000_000)
}

// The first columns, then categories, fractions, whole numbers, booleans and strings in turn, a fifth of them null.
fn items() -> File {
    let kinds = [
        r#"["string","null"],"categorical":true"#,
        r#"["float","null"]"#,
        r#"["int","null"]"#,
        r#"["boolean","null"]"#,
        r#"["string","null"]"#,
    ];
    let more: String =
        (5..100).map(|n| format!(r#",{{"name":"F{n:02}","type":{}}}"#, kinds[n % 5])).collect();
    let schema = format!(
        r#"{{"type":"record","name":"Items","namespace":"n","version":"1.0","fields":[
        {{"name":"ITEM_ID","type":"string"}},{{"name":"PRICE","type":"float"}},
        {{"name":"CREATION_TIMESTAMP","type":"long"}},{{"name":"TITLE","type":"string"}},
        {{"name":"DESCRIPTION","type":["string","null"],"textual":true}}{more}]}}"#
    );
    let layout = Layout::new(DatasetType::Items, &Schema::parse(&schema, None).unwrap());
    File::new(&layout, item, 20_000)
}

fn item(n: u64, out: &mut String) {
    const WORDS: [&str; 12] = [
        "plain",
        "words",
        "of a",
        "text",
        "he said \"\"no\"\"",
        "one, two",
        "über",
        "line\nbreak",
        "\"\"",
        "and",
        "so on",
        "10%",
    ];
    let (price, created) = (pick(n, 1) % 10_000, 1_600_000_000 + pick(n, 2) % 100_000_000);
    write!(out, "i{n:08},{},{created},\"Item \"\"{n}\"\", new\",\"", price as f64 / 100.0).unwrap();
    (0..60).for_each(|k| write!(out, "{} ", WORDS[pick(n, 1000 + k) as usize % 12]).unwrap());
    out.push('"');
    for k in 5..100 {
        let (null, number) = (pick(n, k + 300).is_multiple_of(5), pick(n, k));
        out.push(',');
        match k % 5 {
            _ if null => Ok(()),
            0 => write!(out, "c{}|d{}", number % 40, number % 7),
            1 => write!(out, "{}", (number % 100_000) as f64 / 8.0),
            2 => write!(out, "{}", number % 1000),
            3 => write!(out, "{}", number.is_multiple_of(2)),
            _ => write!(out, "s{}", number % 100_000),
        }
        .unwrap();
    }
    out.push('\n');
}

fn measure(bencher: Bencher<'_, '_>, file: &File, read: impl Fn(&File) + Sync) {
    let bencher = bencher.counter(ItemsCount::new(file.rows)).counter(BytesCount::new(file.size_bytes()));
    bencher.bench(|| read(file));
}

#[divan::bench(args = [Dialect::Rfc4180, Dialect::Aws])]
fn interactions_by_values(bencher: Bencher<'_, '_>, dialect: Dialect) {
    measure(bencher, &interactions(), |file| file.by_values(dialect));
}

#[divan::bench(args = [Dialect::Rfc4180, Dialect::Aws])]
fn items_by_values(bencher: Bencher<'_, '_>, dialect: Dialect) {
    measure(bencher, &items(), |file| file.by_values(dialect));
}

#[divan::bench(args = [Dialect::Rfc4180, Dialect::Aws])]
fn interactions_encoded(bencher: Bencher<'_, '_>, dialect: Dialect) {
    measure(bencher, &interactions(), |file| file.encoded(dialect));
}

#[divan::bench(args = [Dialect::Rfc4180, Dialect::Aws])]
fn items_encoded(bencher: Bencher<'_, '_>, dialect: Dialect) {
    measure(bencher, &items(), |file| file.encoded(dialect));
}

#[divan::bench(args = [Dialect::Rfc4180, Dialect::Aws])]
fn interactions_cut(bencher: Bencher<'_, '_>, dialect: Dialect) {
    measure(bencher, &interactions(), |file| file.ends(dialect));
}

#[divan::bench(args = [Dialect::Rfc4180, Dialect::Aws])]
fn items_cut(bencher: Bencher<'_, '_>, dialect: Dialect) {
    measure(bencher, &items(), |file| file.ends(dialect));
}
