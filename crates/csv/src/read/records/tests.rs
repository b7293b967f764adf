use model::record::{Codec, Value};
use proptest::prelude::*;

use super::*;
use crate::read::Header;
use crate::tests::interactions;
use crate::violation::Rule;

/// All that can be asked of a record.
#[derive(Debug, PartialEq)]
struct Seen {
    fields: Vec<Vec<u8>>,
    raw: Vec<u8>,
    position: Position,
    has_backslash_escapes: bool,
    text: Result<Vec<String>, Violation>,
    violations: Vec<Violation>,
}

impl Seen {
    fn of(record: &Record<'_>) -> Seen {
        let counts = [0, 3].map(|expected| record.expect_fields(expected));
        let columns = (0..record.field_count()).map(|n| record.violation(n, "C", Rule::NotWhole));
        Seen {
            fields: (0..record.field_count()).map(|n| record.field(n).unwrap().to_vec()).collect(),
            raw: record.raw().to_vec(),
            position: record.position(),
            has_backslash_escapes: record.has_backslash_escapes(),
            text: record.text().map(|text| text.fields().map(str::to_owned).collect()),
            violations: counts.into_iter().filter_map(Result::err).chain(columns).collect(),
        }
    }
}

type Item = Result<Seen, Violation>;

fn split(bytes: &[u8], dialect: Dialect, settings: Settings) -> Vec<Item> {
    let mut splitter = Splitter::new(dialect, settings);
    splitter.push(bytes);
    splitter.finish();
    let next = || match splitter.next_record() {
        Ok(record) => record.map(|record| Ok(Seen::of(&record))),
        Err(violation) => Some(Err(violation)),
    };
    std::iter::from_fn(next).collect()
}

fn records(bytes: &[u8], dialect: Dialect, settings: Settings) -> Vec<Item> {
    let mut records = Records::new(dialect, settings, bytes);
    let next = || match records.next_record() {
        Ok(record) => record.map(|record| Ok(Seen::of(&record))),
        Err(violation) => Some(Err(violation)),
    };
    std::iter::from_fn(next).collect()
}

fn behind_header() -> Settings {
    Settings { from: Position { line: 2, byte: 40 }, ..Settings::default() }
}

// How many records were given without the splitter.
fn plain(text: &str, dialect: Dialect) -> usize {
    let mut records = Records::new(dialect, behind_header(), text.as_bytes());
    std::iter::from_fn(|| records.find().map(drop)).count()
}

#[test]
fn what_is_plain_needs_no_splitter() {
    let text = "a,b\r\n\n\r\n\"c\",\"d\"\"e\"\n5\" disk,\"x\ny\"\r\n\"\",\n,\n\"é\"\"\",\"\\\\\\\"\"\n";
    assert_eq!(plain(text, Dialect::Aws), 6);
    assert_eq!(plain("\"\\\"\n", Dialect::Rfc4180), 1);
    assert_eq!(plain("\"\\\"\n", Dialect::Aws), 0);
    assert_eq!(plain("a\n\"b\"x\nc\n", Dialect::Aws), 1);
    assert_eq!(plain("a\nb", Dialect::Aws), 1);
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let settings = Settings { record_size_bytes_max: 9, ..behind_header() };
    let items = records(b"123456789\n1234567890\nnever\n", Dialect::Aws, settings);
    assert!(matches!(&items[..], [Ok(_), Err(Violation { line: 3, byte: 50, .. })]), "{items:?}");
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        6 => "[a-z0-9\\\\é]{0,14}",
        1 => "[a-z]{1,3}\"[a-z\"]{0,3}",
        6 => "\"([a-zé\n\r,]|\"\"){0,30}\"",
        2 => "\"([a-z\n,]|\\\\[a-z\\\\\"]|\"\"){0,30}\"",
        1 => "[a,\"\\\\\r\n]{0,3}",
        1 => "[a-z,\\\\]{60,70}",
    ];
    let end = prop_oneof![8 => Just(","), 4 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\"")];
    let values = prop::collection::vec((value, end).prop_map(|(value, end)| value + end), 0..40);
    let broken = prop_oneof![3 => Just(&b""[..]), 1 => Just(&b"\xff"[..]), 1 => Just("\u{feff}".as_bytes())];
    (values, broken, any::<prop::sample::Index>()).prop_map(|(values, broken, at)| {
        let mut text = values.concat().into_bytes();
        let at = at.index(text.len() + 1);
        text.splice(at..at, broken.iter().copied());
        text
    })
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"aa,,\"\"\\\r\n".to_vec()), 0..200)
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Aws), Just(Dialect::Rfc4180)]
}

fn settings() -> impl Strategy<Value = Settings> {
    let size_max = prop_oneof![3 => Just(16 << 20), 1 => 0..100_usize];
    let from = prop_oneof![3 => Just(Position { line: 2, byte: 40 }), 1 => Just(Position::FILE_START)];
    (size_max, from).prop_map(|(record_size_bytes_max, from)| Settings { record_size_bytes_max, from })
}

fn row() -> impl Strategy<Value = String> {
    let text = || prop_oneof![6 => "[a-z]{1,20}", 1 => "\"([a-z\0é,\n]|\"\"){0,9}\"", 1 => "[a\0é]{0,5}"];
    let time = prop_oneof![8 => "[0-9]{1,10}", 1 => "-?[0-9]{15,20}", 1 => "[0-9]{0,9}[-x. ]{0,1}"];
    let number = prop_oneof![8 => "[0-9]{0,3}\\.[0-9]{1,2}", 1 => "-?[0-9]{0,20}(e[0-9]{1,3})?", 1 => Just("-0.0".into())];
    let truth = prop_oneof![4 => "true|false|", 1 => "\"true\"", 1 => "[a-z]{4}"];
    let more = prop_oneof![20 => Just(""), 1 => Just(",")];
    (text(), text(), time, number, truth, more).prop_map(|(user, item, time, number, truth, more)| {
        format!("{time},{user},{truth},{number},{item}{more}\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn records_are_those_of_the_splitter(text in text(), dialect in dialect(), settings in settings()) {
        prop_assert_eq!(records(&text, dialect, settings), split(&text, dialect, settings));
    }

    #[test]
    fn hostile_records_are_those_of_the_splitter(text in hostile(), dialect in dialect(), settings in settings()) {
        prop_assert_eq!(records(&text, dialect, settings), split(&text, dialect, settings));
    }

    #[test]
    fn encoded_records_are_those_of_their_values(rows in prop::collection::vec(row(), 1..8)) {
        let layout = interactions();
        let mut splitter = Splitter::new(Dialect::Aws, Settings::default());
        splitter.push(b"TIMESTAMP,USER_ID,NEW,EVENT_VALUE,ITEM_ID\n");
        let header = Header::read(&splitter.next_record().unwrap().unwrap()).unwrap();
        let columns = header.match_columns(&layout).unwrap();
        let text = rows.concat();
        let mut records = Records::new(Dialect::Aws, behind_header(), text.as_bytes());
        while let Some(record) = records.next_record().unwrap() {
            let mut values: Vec<Value<'_>> = Vec::new();
            let read = columns.read_values(&record, &mut values);
            let expected = read.map(|()| {
                let mut expected = Vec::new();
                Codec::new(&layout).encode(&values, &mut expected);
                expected
            });
            let mut encoded = vec![1, 2, 3];
            prop_assert_eq!(columns.encode(&record, &mut encoded).map(|()| encoded), expected);
        }
    }
}
