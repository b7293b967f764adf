use std::io::{self, Cursor};

use csv::{Dialect, Records, Rule, Violation};
use proptest::prelude::*;

use super::*;
use crate::import::Rest;

const HEADER: &str = "USER_ID\n";
const MAX: usize = 16 << 20;

/// A record's bytes and place, or what ends the file.
type Item = std::result::Result<(Vec<u8>, Position), Violation>;

static BORDERS: Borders = Borders::NONE;

fn open(source: impl Read + Send + 'static, dialect: Dialect, chunk_bytes: usize) -> Result<Cutter<'static>> {
    let file = SourceFile { key: "in/a.csv".to_owned(), dialect, bytes: Box::new(source) };
    Cutter::open(
        SourcePiece::whole(file, &BORDERS),
        &Layout::of_user_ids(),
        Header::match_columns,
        chunk_bytes,
    )
}

fn cut(text: &[u8], dialect: Dialect, chunk_bytes: usize) -> Vec<Chunk> {
    let mut cutter = open(Cursor::new(text.to_vec()), dialect, chunk_bytes).unwrap();
    std::iter::from_fn(|| cutter.next_chunk().unwrap()).collect()
}

// Up to the first violation: an import reads no further.
fn until_violated(mut next: impl FnMut() -> Option<Item>) -> Vec<Item> {
    let mut has_ended = false;
    let next = || if has_ended { None } else { next().inspect(|item| has_ended = item.is_err()) };
    std::iter::from_fn(next).collect()
}

fn in_chunks(chunks: &[Chunk], dialect: Dialect) -> Vec<Item> {
    let mut items = Vec::new();
    for chunk in chunks {
        let settings = Settings { from: chunk.from, ..Settings::default() };
        let mut records = Records::new(dialect, settings, &chunk.bytes);
        items.extend(until_violated(|| match records.next_record() {
            Ok(record) => record.map(|record| Ok((record.raw().to_vec(), record.position()))),
            Err(violation) => Some(Err(violation)),
        }));
        if items.last().is_some_and(Result::is_err) {
            break;
        }
    }
    items
}

fn in_one(text: &[u8], dialect: Dialect) -> Vec<Item> {
    let mut splitter = Splitter::new(dialect, Settings::default());
    splitter.push(text);
    splitter.finish();
    assert!(splitter.next_record().unwrap().is_some(), "there is a header");
    until_violated(|| match splitter.next_record() {
        Ok(record) => record.map(|record| Ok((record.raw().to_vec(), record.position()))),
        Err(violation) => Some(Err(violation)),
    })
}

fn texts(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| str::from_utf8(&chunk.bytes).unwrap()).collect()
}

#[test]
fn chunks_end_where_records_do() {
    let text = format!("{HEADER}abc\ndef\n\"g\nh\"\ni");
    assert_eq!(texts(&cut(text.as_bytes(), Dialect::Aws, 10)), ["abc\ndef\n", "\"g\nh\"\ni"]);
    let from: Vec<Position> = cut(text.as_bytes(), Dialect::Aws, 10).iter().map(|c| c.from).collect();
    assert_eq!(from, [Position { line: 2, byte: 8 }, Position { line: 4, byte: 16 }]);
}

#[test]
fn a_record_longer_than_a_chunk_is_in_one() {
    let text = format!("{HEADER}\"{}\"\nb\n", "a,\n".repeat(99));
    let chunks = cut(text.as_bytes(), Dialect::Rfc4180, 16);
    assert_eq!(texts(&chunks), [&text[HEADER.len()..]]);
    let chunks = cut(format!("{text}{}", "c\n".repeat(16)).as_bytes(), Dialect::Rfc4180, 16);
    assert!(texts(&chunks)[0].starts_with(&text[HEADER.len()..text.len() - 2]) && chunks.len() > 1);
}

#[test]
fn every_byte_that_is_read_is_counted_once() {
    let text = format!("{HEADER}{}", "abc\n".repeat(50));
    for chunk_bytes in [7, 64, 1000] {
        let chunks = cut(text.as_bytes(), Dialect::Aws, chunk_bytes);
        assert_eq!(chunks.iter().map(|chunk| chunk.read_bytes).sum::<u64>(), text.len() as u64);
    }
}

#[test]
fn a_file_of_a_header_has_no_chunks() {
    for text in ["USER_ID", "USER_ID\n", "\u{feff}USER_ID\r\n"] {
        assert!(cut(text.as_bytes(), Dialect::Aws, 7).is_empty());
    }
    assert!(open(io::empty(), Dialect::Aws, 7).is_err());
}

#[test]
fn a_field_without_an_end_is_refused_before_much_of_it_is_read() {
    for opening in ["", "\""] {
        let field = io::repeat(b'a').take(64 << 20);
        let source = Cursor::new(format!("{HEADER}b\n{opening}")).chain(field);
        let mut cutter = open(source, Dialect::Aws, 1 << 20).unwrap();
        let chunks: Vec<Chunk> = std::iter::from_fn(|| cutter.next_chunk().unwrap()).collect();
        let read: u64 = chunks.iter().map(|chunk| chunk.read_bytes).sum();
        assert!(read <= MAX as u64 + (3 << 20), "{read}");
        let items = in_chunks(&chunks, Dialect::Aws);
        let Some(Err(violation)) = items.last() else { panic!("the field is taken") };
        assert_eq!((items.len(), violation.line, violation.byte), (2, 3, 10));
        assert_eq!(violation.rule, Rule::RecordTooLong { size_bytes_max: MAX });
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        6 => "[a-z0-9\\\\é]{0,14}",
        1 => "[a-z]{1,3}\"[a-z\"]{0,3}",
        4 => "\"([a-zé\n\r,]|\"\"){0,30}\"",
        1 => "\"([a-z\n,]|\\\\[a-z\\\\\"]|\"\"){0,30}\"",
        1 => "[a,\"\\\\\r\n]{0,3}",
    ];
    let end = prop_oneof![6 => Just(","), 6 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\n\n")];
    let values = prop::collection::vec((value, end).prop_map(|(value, end)| value + end), 0..30);
    let (mark, last) =
        (prop_oneof![Just(""), Just("\u{feff}")], prop_oneof![Just(""), Just("z"), Just("\"z")]);
    (mark, values, last, any::<bool>()).prop_map(|(mark, values, last, is_broken)| {
        let broken = if is_broken { &b"\xff"[..] } else { b"" };
        [mark.as_bytes(), HEADER.as_bytes(), values.concat().as_bytes(), broken, last.as_bytes()].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn cut_files_are_read_as_whole_ones(
        text in text(),
        chunk_bytes in 7..=64_usize,
        dialect in prop_oneof![Just(Dialect::Aws), Just(Dialect::Rfc4180)],
    ) {
        let chunks = cut(&text, dialect, chunk_bytes);
        prop_assert_eq!(in_chunks(&chunks, dialect), in_one(&text, dialect));
        let all: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
        prop_assert!(text.ends_with(&all));
    }

    #[test]
    fn pieces_hold_the_records_of_the_whole_file(
        text in text(),
        piece_bytes in 3..=60_u64,
        chunk_bytes in 7..=64_usize,
        dialect in prop_oneof![Just(Dialect::Aws), Just(Dialect::Rfc4180)],
    ) {
        let whole: Vec<Item> = in_one(&text, dialect).into_iter().map(without_line).collect();
        let found = in_pieces(&text, dialect, piece_bytes, chunk_bytes);
        // Rows that break a rule are not told of by pieces, but found.
        if whole.iter().all(Result::is_ok) {
            prop_assert_eq!(found, whole);
        } else {
            prop_assert!(found.iter().any(Result::is_err));
        }
    }
}

// Each piece begins where it takes its first record to be; where that is not the end of the one before, it is read again.
fn in_pieces(text: &[u8], dialect: Dialect, piece_bytes: u64, chunk_bytes: usize) -> Vec<Item> {
    let (mut items, mut border, size) = (Vec::new(), None, text.len() as u64);
    for begin in (0..size.max(1)).step_by(usize::try_from(piece_bytes).unwrap()) {
        let read = |begin: Begin, end| {
            let borders = Borders::default();
            let from = match begin {
                Begin::Record(byte) => byte,
                Begin::Behind(byte) => byte.saturating_sub(1),
            };
            let rest = Box::new(Cursor::new(text[(from as usize).min(text.len())..].to_vec()));
            let rest = (begin != Begin::Behind(0)).then_some(Rest { begin, bytes: rest });
            let bytes = Box::new(Cursor::new(text.to_vec()));
            let file = SourceFile { key: "in/a.csv".to_owned(), dialect, bytes };
            let piece = SourcePiece { file, rest, end: Some(end), borders: &borders };
            let layout = Layout::of_user_ids();
            let mut cutter = Cutter::open(piece, &layout, Header::match_columns, chunk_bytes).unwrap();
            let chunks: Vec<Chunk> = std::iter::from_fn(|| cutter.next_chunk().unwrap()).collect();
            (in_chunks(&chunks, dialect), borders.begin(), borders.end())
        };
        let end = (begin + piece_bytes).min(size);
        let mut piece = read(Begin::Behind(begin), end);
        if let Some(border) = border
            && piece.1 != border
        {
            piece = read(Begin::Record(border), end);
            assert_eq!(piece.1, border);
        }
        border = Some(piece.2);
        items.extend(piece.0.into_iter().map(without_line));
        if items.last().is_some_and(Result::is_err) {
            return items;
        }
    }
    assert_eq!(border, Some(size));
    items
}

// Lines are counted from the beginning of a file only.
fn without_line(item: Item) -> Item {
    item.map(|(bytes, position)| (bytes, Position { line: 1, ..position }))
}
