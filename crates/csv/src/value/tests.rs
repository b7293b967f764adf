use proptest::prelude::*;

use super::number::{parse_double, parse_long};
use super::*;
use model::schema::Field;

fn column(name: &str, kind: Kind, nullable: bool) -> Column {
    let field = Field { name: name.to_owned(), kind, nullable, categorical: false, textual: name == "TEXT" };
    Column { field_id: 1, since: 1, field }
}

fn read(kind: Kind, text: &str) -> Result<Value<'_>, Rule> {
    ValueReader::new(&column("X", kind, true)).read(text)
}

#[test]
fn no_text_is_null_where_null_is_allowed() {
    for kind in [Kind::String, Kind::Int, Kind::Long, Kind::Float, Kind::Double, Kind::Boolean] {
        assert_eq!(read(kind, ""), Ok(Value::Null));
        assert_eq!(ValueReader::new(&column("X", kind, false)).read(""), Err(Rule::Missing));
    }
}

#[test]
fn words_for_nothing_are_text_in_strings_and_wrong_in_numbers() {
    for word in ["null", "NULL", "NaN", "None"] {
        assert_eq!(read(Kind::String, word), Ok(Value::String(word.into())));
        assert_eq!(read(Kind::Long, word), Err(Rule::NotWhole));
        assert_eq!(read(Kind::Double, word), Err(Rule::NotDecimal));
    }
}

#[test]
fn blanks_are_kept() {
    assert_eq!(read(Kind::String, " a "), Ok(Value::String(" a ".into())));
    assert_eq!(read(Kind::Long, " 1"), Err(Rule::NotWhole));
    assert_eq!(read(Kind::Float, "1.5 "), Err(Rule::NotDecimal));
}

#[test]
fn whole_numbers_are_digits_within_their_range() {
    for (text, number) in
        [("0", 0), ("-0", 0), ("007", 7), ("-2147483648", i64::from(i32::MIN)), ("2147483647", 2147483647)]
    {
        assert_eq!(read(Kind::Int, text), Ok(Value::Long(number)));
    }
    assert_eq!(read(Kind::Int, "2147483648"), Err(Rule::OutOfRange { kind: Kind::Int }));
    assert_eq!(read(Kind::Long, "9223372036854775807"), Ok(Value::Long(i64::MAX)));
    assert_eq!(read(Kind::Long, "-9223372036854775808"), Ok(Value::Long(i64::MIN)));
    assert_eq!(read(Kind::Long, "9223372036854775808"), Err(Rule::OutOfRange { kind: Kind::Long }));
    assert_eq!(read(Kind::Long, "00000000000000000000000000001"), Ok(Value::Long(1)));
    for text in ["12.0", "1e3", "+5", "-", "--1", "0x10", "1_000", "1,000", "٣"] {
        assert_eq!(read(Kind::Long, text), Err(Rule::NotWhole), "{text}");
    }
}

#[test]
fn decimal_numbers_keep_their_value() {
    for text in [
        "19.99",
        "-0.5",
        "15",
        "16777217",
        "1e3",
        "1.5E-7",
        "1e+2",
        ".5",
        "5.",
        "0.1",
        "123456789012345678901",
    ] {
        assert_eq!(read(Kind::Float, text), Ok(Value::Double(text.parse().unwrap())), "{text}");
    }
    for text in [
        "NaN",
        "inf",
        "-Infinity",
        "+1",
        "1e",
        "e1",
        ".",
        "-",
        "-.",
        "1.2.3",
        "0x1p3",
        "1e1.5",
        "1d",
        "--1",
        "1e+-1",
    ] {
        assert_eq!(read(Kind::Double, text), Err(Rule::NotDecimal), "{text}");
    }
    assert_eq!(read(Kind::Double, "-1e999"), Err(Rule::OutOfRange { kind: Kind::Double }));
    assert_eq!(read(Kind::Double, "1e-999"), Ok(Value::Double(0.0)));
}

#[test]
fn booleans_are_lower_case() {
    assert_eq!(read(Kind::Boolean, "true"), Ok(Value::Boolean(true)));
    assert_eq!(read(Kind::Boolean, "false"), Ok(Value::Boolean(false)));
    for text in ["True", "FALSE", "1", "yes", "true "] {
        assert_eq!(read(Kind::Boolean, text), Err(Rule::NotBoolean), "{text}");
    }
}

#[test]
fn lengths_count_characters() {
    for (name, characters_max) in [("USER_ID", 256), ("IMPRESSION", 1000)] {
        let reader = ValueReader::new(&column(name, Kind::String, false));
        for character in ["a", "é", "😀"] {
            let fits = character.repeat(characters_max);
            assert_eq!(reader.read(&fits), Ok(Value::String(fits.as_str().into())));
            assert_eq!(reader.read(&format!("{fits}x")), Err(Rule::TooLong { characters_max }));
        }
    }
    let text = "a".repeat(30_000);
    assert!(ValueReader::new(&column("TEXT", Kind::String, false)).read(&text).is_ok());
}

#[test]
fn a_recycled_vector_keeps_its_memory() {
    let text = "a".to_owned();
    let mut values = Vec::with_capacity(10);
    values.push(Value::String(text.as_str().into()));
    let recycled: Vec<Value<'static>> = recycle(values);
    assert!(recycled.is_empty() && recycled.capacity() == 10);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn decimal_text_gives_the_nearest_number(
        text in "-?([0-9]{1,12}\\.[0-9]{0,12}|\\.[0-9]{1,20}|[0-9]{1,25})([eE][+-]?[0-9]{1,2})?"
    ) {
        let expected: f64 = text.parse().unwrap();
        prop_assert_eq!(parse_double(&text).unwrap().to_bits(), expected.to_bits());
    }

    #[test]
    fn whole_text_gives_its_number(number: i64, zeros in 0..4_usize) {
        let sign = if number < 0 { "-" } else { "" };
        let text = format!("{sign}{}{}", "0".repeat(zeros), number.unsigned_abs());
        prop_assert_eq!(parse_long(&text), Ok(number));
    }

    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,20}|[-+.eE0-9 ]{0,30}") {
        let is_double = parse_double(&text).is_ok();
        prop_assert!(!is_double || text.parse::<f64>().is_ok());
        let is_long = parse_long(&text).is_ok();
        prop_assert!(!is_long || text.parse::<i64>().is_ok());
    }
}
