use proptest::prelude::*;

use super::*;
use crate::{Dialect, Settings, Splitter};

fn string(text: &str) -> String {
    let mut out = Vec::new();
    write_string(text, &mut out);
    String::from_utf8(out).unwrap()
}

fn double(number: f64) -> String {
    let mut out = Vec::new();
    write_double(number, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn only_texts_that_need_quotes_have_them() {
    for text in
        ["", "a", "a b", "it's", "=1+1", "a\tb", "horror|comedy", "\\\\", "\0", "naïve 😀 text", "-1;2.3/4+5"]
    {
        assert_eq!(string(text), text);
    }
    for text in [",", "a\n", "a\rb", " a", "a ", "\ta", "a\t", " "] {
        assert_eq!(string(text), format!("\"{text}\""));
    }
    assert_eq!(string("\"a\"\"b"), "\"\"\"a\"\"\"\"b\"");
}

#[test]
fn a_special_byte_is_seen_wherever_it_stands() {
    for len in 1..40 {
        for at in 0..len {
            let mut text = vec![b'x'; len];
            text[at] = b',';
            let text = String::from_utf8(text).unwrap();
            assert_eq!(string(&text), format!("\"{text}\""));
        }
    }
}

#[test]
fn doubles_always_have_a_point() {
    for (number, text) in [
        (15.0, "15.0"),
        (0.75, "0.75"),
        (19.99, "19.99"),
        (-0.0, "0.0"),
        (-12.0, "-12.0"),
        (16777217.0, "16777217.0"),
        (1e-5, "0.00001"),
        (9.9e-6, "9.9e-6"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5.0e-324"),
        (1e15, "1000000000000000.0"),
        (9999999999999998.0, "9999999999999998.0"),
        (1e16, "1.0e16"),
        (-1e22, "-1.0e22"),
        (f64::MAX, "1.7976931348623157e308"),
    ] {
        assert_eq!(double(number), text);
    }
}

// What the splitter makes of a text that was written between two others.
fn read_back(text: &str, dialect: Dialect) -> Option<String> {
    let mut splitter = Splitter::new(dialect, Settings::default());
    splitter.push(format!("a,{},b\n", string(text)).as_bytes());
    splitter.finish();
    let record = splitter.next_record().ok()??;
    record.expect_fields(3).ok()?;
    record.text().ok()?.field(1).map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn a_text_needs_rfc4180_when_the_other_dialect_changes_it(text in "[a\"\\\\, \r\n]{0,8}") {
        let is_read_back = |dialect| read_back(&text, dialect).as_ref() == Some(&text);
        prop_assert!(is_read_back(Dialect::Rfc4180));
        prop_assert_eq!(needs_rfc4180(&text), !is_read_back(Dialect::Aws));
    }

    #[test]
    fn doubles_are_written_as_the_shortest_text(
        number in prop_oneof![any::<f64>(), -1e17..1e17, -1.0..1.0, -1e-4..1e-4]
    ) {
        prop_assume!(number.is_finite() && number != 0.0);
        let is_plain = (1e-5..1e16).contains(&number.abs());
        let mut expected = if is_plain { format!("{number}") } else { format!("{number:e}") };
        if !expected.contains('.') {
            expected.insert_str(expected.find('e').unwrap_or(expected.len()), ".0");
        }
        let written = double(number);
        prop_assert_eq!(written.parse(), Ok(number));
        // Of two texts that are as short and as near, the standard library may take the other one.
        prop_assert_eq!((written.len(), written.find(['.', 'e'])), (expected.len(), expected.find(['.', 'e'])));
    }

    #[test]
    fn short_decimals_are_written_as_they_were(whole in -1_000_000_i64..1_000_000, cents in 1..100_i64) {
        let number: f64 = format!("{whole}.{cents:02}").parse().unwrap();
        prop_assert_eq!(double(number), format!("{number:?}"));
    }
}
