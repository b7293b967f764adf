use proptest::prelude::*;

use super::*;

/// A record's values, its line and its byte; or a violation.
type Item = Result<(Vec<Vec<u8>>, u64, u64), Violation>;

fn settings(record_size_bytes_max: usize) -> Settings {
    Settings { record_size_bytes_max, ..Settings::default() }
}

fn drain(splitter: &mut Splitter, items: &mut Vec<Item>) {
    loop {
        match splitter.next_record() {
            Ok(None) => return,
            Ok(Some(record)) => {
                let fields = (0..record.field_count()).map(|n| record.field(n).unwrap().to_vec()).collect();
                items.push(Ok((fields, record.position().line, record.position().byte)));
            }
            Err(violation) => items.push(Err(violation)),
        }
    }
}

fn split_in<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    dialect: Dialect,
    settings: Settings,
) -> Vec<Item> {
    let mut splitter = Splitter::new(dialect, settings);
    let mut items = Vec::new();
    for part in parts {
        splitter.push(part);
        drain(&mut splitter, &mut items);
    }
    splitter.finish();
    drain(&mut splitter, &mut items);
    items
}

fn split(text: &[u8], dialect: Dialect) -> Vec<Item> {
    split_in([text], dialect, Settings::default())
}

fn fields(text: &str, dialect: Dialect) -> Vec<Vec<String>> {
    let text_of = |field: &Vec<u8>| String::from_utf8(field.clone()).unwrap();
    let items = split(text.as_bytes(), dialect).into_iter();
    items.map(|item| item.unwrap().0.iter().map(text_of).collect()).collect()
}

fn clauses(text: &str, settings: Settings) -> Vec<String> {
    let items = split_in([text.as_bytes()], Dialect::Aws, settings).into_iter();
    items.filter_map(|item| Some(item.err()?.to_string())).collect()
}

/// The rules again, byte by byte over a whole file and without any haste.
fn reference(text: &[u8], dialect: Dialect) -> Vec<Item> {
    let is_line_end = |at: usize| matches!(&text[at..], [] | [b'\r'] | [b'\n', ..] | [b'\r', b'\n', ..]);
    let line_behind =
        |at: usize| text[at..].iter().position(|&b| b == b'\n').map_or(text.len(), |n| at + n + 1);
    let line = |at: usize| 1 + text[..at].iter().filter(|&&b| b == b'\n').count() as u64;
    let violation = |at: usize, rule| Violation {
        line: line(at),
        byte: at as u64,
        column: None,
        value_shortened: String::new(),
        rule,
    };
    let mut items = Vec::new();
    let mut start = 0;
    'records: while start < text.len() {
        if is_line_end(start) {
            start = line_behind(start);
            continue;
        }
        let mut at = start;
        let mut fields = Vec::new();
        loop {
            let mut field = Vec::new();
            if text.get(at) == Some(&b'"') {
                let opened = at;
                at += 1;
                loop {
                    match &text[at..] {
                        [] => {
                            items.push(Err(violation(opened, Rule::UnclosedQuote)));
                            return items;
                        }
                        [b'"', b'"', ..] => {
                            field.push(b'"');
                            at += 2;
                        }
                        [b'"', ..] => break,
                        [b'\\', escaped @ (b'"' | b'\\'), ..] if dialect == Dialect::Aws => {
                            field.push(*escaped);
                            at += 2;
                        }
                        [byte, ..] => {
                            field.push(*byte);
                            at += 1;
                        }
                    }
                }
                at += 1;
                if !is_line_end(at) && text[at] != b',' {
                    items.push(Err(violation(at, Rule::TextAfterQuote)));
                    start = line_behind(at);
                    continue 'records;
                }
            } else {
                while !is_line_end(at) && text[at] != b',' {
                    field.push(text[at]);
                    at += 1;
                }
            }
            fields.push(field);
            if is_line_end(at) {
                break;
            }
            at += 1;
        }
        items.push(Ok((fields, line(start), start as u64)));
        start = line_behind(at);
    }
    items
}

fn without_values(items: Vec<Item>) -> Vec<Item> {
    let bare = |violation| Violation { value_shortened: String::new(), ..violation };
    items.into_iter().map(|item| item.map_err(bare)).collect()
}

#[test]
fn a_backslash_escapes_in_the_documented_dialect_only() {
    let text = "\"a\\\"b\",\"c\\\\\",\"d\"\"e\",\"f\\g\",h\\\\\"\n";
    assert_eq!(fields(text, Dialect::Aws), [["a\"b", "c\\", "d\"e", "f\\g", "h\\\\\""]]);
    assert_eq!(fields("\"c\\\\\",\"\\\"\n", Dialect::Rfc4180), [["c\\\\", "\\"]]);
}

#[test]
fn lines_end_in_three_ways() {
    assert_eq!(
        fields("a,b\r\n\r\n\nc,\"d\"\r\n,\"\"\ne", Dialect::Aws),
        [vec!["a", "b"], vec!["c", "d"], vec!["", ""], vec!["e"]]
    );
    assert_eq!(fields("a\rb\r\r\n\" \"\r", Dialect::Aws), [["a\rb\r"], [" "]]);
    assert_eq!(fields("a,", Dialect::Aws), [["a", ""]]);
    assert_eq!(fields("\"\"\n \n", Dialect::Aws), [[""], [" "]]);
}

#[test]
fn a_quote_within_a_value_is_text() {
    assert_eq!(fields("5\" disk, \"x\",a\"b\n", Dialect::Rfc4180), [["5\" disk", " \"x\"", "a\"b"]]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_only() {
    let items = split("\u{feff}\"a\"\n\u{feff}b".as_bytes(), Dialect::Aws);
    assert_eq!(items[0], Ok((vec![b"a".to_vec()], 1, 3)));
    assert_eq!(items[1], Ok((vec!["\u{feff}b".into()], 2, 7)));
    assert_eq!(fields("\u{feff}", Dialect::Aws), Vec::<Vec<String>>::new());
    let from = Position { line: 9, byte: 100 };
    let later = split_in(["\u{feff}b\n".as_bytes()], Dialect::Aws, Settings { from, ..Settings::default() });
    assert_eq!(later, [Ok((vec!["\u{feff}b".into()], 9, 100))]);
}

#[test]
fn text_after_a_closing_quote_costs_its_line_only() {
    let text = "a\n\"x\ny\" ,b\nc\n\"d\"\r,\ne\n";
    assert_eq!(
        clauses(text, Settings::default()),
        ["line 3, byte 7: text after a closing quote", "line 5, byte 16: text after a closing quote"]
    );
    assert_eq!(split(text.as_bytes(), Dialect::Aws).len(), 5);
}

#[test]
fn an_unclosed_quote_is_named_where_it_opened() {
    assert_eq!(
        clauses("a,b\n\"1\n2\",\"c\nd,e\nf", Settings::default()),
        ["line 3, byte 10: unclosed quote"]
    );
    assert_eq!(clauses("\"a\\\"", Settings::default()), ["line 1, byte 0: unclosed quote"]);
}

#[test]
fn a_record_that_is_too_long_ends_the_file() {
    let text = "a\n12345678\r\n\"2345678\nand,more\n\nnever\n";
    assert_eq!(
        clauses(text, settings(9)),
        ["line 3, byte 12: a record of more than 9 bytes (is a closing quote missing?)"]
    );
    assert_eq!(split_in([text.as_bytes()], Dialect::Aws, settings(9)).len(), 3);
}

#[test]
fn a_hundred_long_texts_are_one_record() {
    let text = "é".repeat(20_000);
    let line = format!("\"{text}\",").repeat(100);
    assert_eq!(fields(&line, Dialect::Aws)[0].len(), 101);
}

#[test]
fn memory_stays_small_behind_a_violation() {
    let mut splitter = Splitter::new(Dialect::Aws, settings(100));
    splitter.push(b"\"a\"x");
    assert!(splitter.next_record().is_err());
    for _ in 0..1000 {
        splitter.push(&[b'y'; 1000]);
        assert!(splitter.next_record().unwrap().is_none());
    }
    assert!(splitter.buffer.capacity() < 10_000);
}

#[test]
fn escapes_by_backslash_are_reported() {
    let mut splitter = Splitter::new(Dialect::Aws, Settings::default());
    splitter.push(b"\"a\"\"\\n\",\\\\\n\"a\\\\\"\nb\n");
    let mut seen = || splitter.next_record().unwrap().unwrap().has_backslash_escapes();
    assert_eq!([seen(), seen(), seen()], [false, true, false]);
}

#[test]
fn a_record_knows_its_bytes() {
    let mut splitter = Splitter::new(Dialect::Aws, Settings::default());
    splitter.push(b"\r\n\"a\n\\\"\",b\r\n");
    let record = splitter.next_record().unwrap().unwrap();
    assert_eq!(record.raw(), b"\"a\n\\\"\",b");
    assert_eq!(record.field(2), None);
    let text = record.text().unwrap();
    assert_eq!(text.fields().collect::<Vec<_>>(), ["a\n\"", "b"]);
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Aws), Just(Dialect::Rfc4180)]
}

fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"aa,,\"\"\\\r\n".to_vec()), 0..60)
}

fn size_max() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(1 << 20), 1 => 0..20_usize]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn the_splitter_agrees_with_the_reference(text in hostile_bytes(), dialect in dialect()) {
        prop_assert_eq!(without_values(split(&text, dialect)), reference(&text, dialect));
    }

    #[test]
    fn cuts_make_no_difference(text in hostile_bytes(), dialect in dialect(), size_max in size_max(), mark: bool) {
        let mark: &[u8] = if mark { "\u{feff}".as_bytes() } else { b"" };
        let text = [mark, &text].concat();
        let whole = split_in([&text[..]], dialect, settings(size_max));
        prop_assert_eq!(&split_in(text.chunks(1), dialect, settings(size_max)), &whole);
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            prop_assert_eq!(&split_in([head, tail], dialect, settings(size_max)), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(
        text in prop::collection::vec(any::<u8>(), 0..200), dialect in dialect(), size_max in size_max()
    ) {
        let mut splitter = Splitter::new(dialect, settings(size_max));
        splitter.push(&text);
        splitter.finish();
        loop {
            match splitter.next_record() {
                Ok(Some(record)) => drop(record.text().map(|text| text.fields().count())),
                Ok(None) => break,
                Err(violation) => prop_assert!(violation.to_string().contains("byte")),
            }
        }
    }

    #[test]
    fn long_lines_are_split_as_short_ones(
        texts in prop::collection::vec(prop_oneof!["[a-z|.-]{0,40}", "\"[a-z\n,]{0,30}\""], 1..30)
    ) {
        let text = format!("{}\r\n", texts.join(","));
        let bare = |text: &String| text.trim_matches('"').to_owned();
        let expected: Vec<String> = texts.iter().map(bare).collect();
        let is_blank = texts == [""];
        prop_assert_eq!(fields(&text, Dialect::Aws), if is_blank { vec![] } else { vec![expected] });
    }
}
