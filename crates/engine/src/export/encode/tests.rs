use arrow_array::{BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use model::record::Value;
use proptest::prelude::*;
use store::rows::{Coded, Dictionary, Values};

use super::*;

fn rows(columns: Vec<Values>, len: usize) -> Arc<Rows> {
    Arc::new(Rows { hashes: vec![0; len], columns, arrivals: vec![] })
}

fn strings(texts: &[Option<&str>]) -> Values {
    Values::Strings(StringArray::from(texts.to_vec()))
}

/// The same strings by their codes; each distinct one has the code of its first place.
fn coded(texts: &[Option<&str>]) -> Values {
    let mut distinct: Vec<&str> = Vec::new();
    for text in texts.iter().flatten() {
        if !distinct.contains(text) {
            distinct.push(text);
        }
    }
    let dictionary = Arc::new(Dictionary::new(StringArray::from(distinct.clone())));
    let code = |text: &str| distinct.iter().position(|known| *known == text).unwrap() as i32;
    let codes: Int32Array = texts.iter().map(|text| text.map(code)).collect();
    Values::Coded(Coded::new(codes, dictionary))
}

fn numbers(len: usize) -> Values {
    Values::Longs((0..len as i64).collect::<Int64Array>())
}

fn encode(spans: &[(&Arc<Rows>, Range<usize>)]) -> String {
    let (pool, mut bytes) = (Pool::default(), Vec::new());
    let mut take = |piece: Vec<u8>| {
        bytes.extend_from_slice(&piece);
        pool.give_back(piece);
        Ok(())
    };
    let mut encoder = Encoder::new(&pool, &mut take);
    for (rows, range) in spans {
        encoder.write(rows, range.clone()).unwrap();
    }
    encoder.end().unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What the records are, written one value at a time.
fn naive(rows: &Rows, range: Range<usize>) -> String {
    let mut out = Vec::new();
    for row in range {
        let values: Vec<Value<'_>> = rows.columns.iter().map(|column| column.get(row)).collect();
        csv::write::write_record(&values, &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn quotes_stand_where_they_are_needed_and_nowhere_else() {
    let texts = [Some("a"), None, Some("b,c"), Some(" d"), Some("say \"e\"")];
    for column in [strings(&texts), coded(&texts)] {
        let rows = rows(vec![column, numbers(5), Values::Absent], 5);
        assert_eq!(encode(&[(&rows, 0..2)]), "a,0,\n,1,\n");
        assert_eq!(encode(&[(&rows, 1..5)]), ",1,\n\"b,c\",2,\n\" d\",3,\n\"say \"\"e\"\"\",4,\n");
    }
}

#[test]
fn a_span_of_any_length_is_encoded_whole() {
    let texts: Vec<String> = (0..100_000).map(|n| format!("t{n}")).collect();
    let column = strings(&texts.iter().map(|t| Some(t.as_str())).collect::<Vec<_>>());
    let rows = rows(vec![column, numbers(100_000), Values::Absent], 100_000);
    let expected: String = (0..100_000).map(|n| format!("t{n},{n},\n")).collect();
    assert_eq!(encode(&[(&rows, 0..100_000)]), expected);
}

#[test]
fn values_of_any_length_are_encoded_whole() {
    let lengths = [0, 1, 14, 15, 16, 30, 31, 32, 33, 62, 63, 64, 65, 1000, 300_000];
    for filling in ["x", "\"", "x,"] {
        let texts: Vec<String> = lengths.iter().map(|len| filling.repeat(*len)).collect();
        let texts: Vec<Option<&str>> =
            texts.iter().map(|t| Some(t.as_str()).filter(|t| !t.is_empty())).collect();
        for first in [strings(&texts), coded(&texts)] {
            let rows = rows(vec![first, coded(&texts), strings(&texts), numbers(15)], 15);
            let expected = naive(&rows, 0..15);
            // The first time a dictionary is used as it is, the second time it has slots.
            let again = Arc::new(Rows::clone(&rows));
            assert!(encode(&[(&rows, 0..15), (&again, 0..15)]) == expected.repeat(2), "{filling}");
        }
    }
}

#[test]
fn slots_are_as_large_as_most_values_need() {
    for (len, size) in [(3, 16), (14, 16), (15, 32), (30, 32), (31, 64), (62, 64)] {
        let mut texts: Vec<String> = (0..20).map(|n| format!("{n:0len$}")).collect();
        texts[7] = "x".repeat(500);
        let dictionary = Dictionary::new(StringArray::from(texts));
        let slots = slots::Slots::new(&dictionary, b',', 1 << 20);
        assert_eq!(slots.map(|slots| slots.size_bytes()), Some(20 * size), "{len}");
        assert!(slots::Slots::new(&dictionary, b',', 20 * size - 1).is_none());
    }
    let long = Dictionary::new(StringArray::from(vec!["x".repeat(63); 20]));
    assert!(slots::Slots::new(&long, b',', 1 << 20).is_none());
}

#[test]
fn a_column_may_change_its_dictionary_between_batches() {
    let first = rows(vec![coded(&[Some("a"), Some("b"), None]), numbers(3)], 3);
    let second = rows(vec![coded(&[Some("c"), Some("a"), Some("c")]), numbers(3)], 3);
    let third = rows(vec![strings(&[Some("b"), None, Some("a")]), numbers(3)], 3);
    let nothing = rows(vec![coded(&[None, None]), numbers(2)], 2);
    let spans =
        [(&first, 0..2), (&second, 0..3), (&first, 2..3), (&third, 0..3), (&nothing, 0..2), (&second, 1..2)];
    let expected: String = spans.iter().map(|(rows, range)| naive(rows, range.clone())).collect();
    assert_eq!(encode(&spans), expected);
}

#[test]
fn a_line_is_what_writing_the_record_gives() {
    let rows = rows(vec![coded(&[Some("a"), Some("b,")]), numbers(2)], 2);
    let (pool, mut bytes) = (Pool::default(), Vec::new());
    let mut take = |piece: Vec<u8>| {
        bytes.extend(piece);
        Ok(())
    };
    let mut encoder = Encoder::new(&pool, &mut take);
    encoder.write(&rows, 0..1).unwrap();
    let line = encoder.line(&rows, 1).to_vec();
    encoder.write(&rows, 0..1).unwrap();
    encoder.write_line(&line).unwrap();
    assert_eq!(encoder.end().unwrap(), 3);
    assert_eq!(String::from_utf8(bytes).unwrap(), "a,0\na,0\n\"b,\",1\n");
}

fn text() -> impl Strategy<Value = Option<String>> {
    let short =
        prop::sample::select(vec!["view", "click", "a b", " c", "d\"", "ü", "\r"]).prop_map(str::to_owned);
    prop::option::of(prop_oneof![short, "[a-z,\" ]{1,80}", "[a-z0-9]{1,40}"])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn all_columns_are_written_as_single_values_are(
        records in prop::collection::vec(
            (text(), text(), any::<Option<i64>>(), prop::option::of(-1e9..1e9), any::<Option<bool>>()), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let len = records.len();
        let first: Vec<Option<&str>> = records.iter().map(|r| r.0.as_deref()).collect();
        let second: Vec<Option<&str>> = records.iter().map(|r| r.1.as_deref()).collect();
        let columns = vec![
            coded(&first),
            strings(&second),
            Values::Longs(records.iter().map(|r| r.2).collect::<Int64Array>()),
            Values::Doubles(records.iter().map(|r| r.3.map(|n: f64| (n * 1e4).round() / 1e4)).collect::<Float64Array>()),
            Values::Booleans(records.iter().map(|r| r.4).collect::<BooleanArray>()),
            Values::Absent,
            coded(&second),
        ];
        let rows = rows(columns, len);
        let again = Arc::new(Rows::clone(&rows));
        let cut = cut.index(len);
        let spans = [(&rows, 0..cut), (&again, 0..len), (&rows, cut..len)];
        let expected: String = spans.iter().map(|(rows, range)| naive(rows, range.clone())).collect();
        prop_assert_eq!(encode(&spans), expected);
    }
}
