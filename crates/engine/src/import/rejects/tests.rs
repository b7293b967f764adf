use std::io::Cursor;

use csv::{Dialect, Header, Settings, Splitter};
use model::{DatasetType, Layout, Schema};
use proptest::prelude::*;
use store::{RunFile, ScratchFolder};

use super::*;
use crate::Progress;
use crate::import::{SourceFile, Target, import};

const HEADER: &str = "NOTE,ITEM_ID,PRICE\n";

struct Stage {
    folder: tempfile::TempDir,
    objects: Objects,
}

fn layout() -> Layout {
    let schema = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
        {"name":"PRICE","type":["float","null"]},{"name":"NOTE","type":["string","null"]}]}"#;
    Layout::new(DatasetType::Items, &Schema::parse(schema, None).unwrap())
}

fn source(key: &str, text: &[u8]) -> SourceFile {
    let bytes = Box::new(Cursor::new(text.to_vec()));
    SourceFile { key: key.to_owned(), dialect: Dialect::Aws, bytes }
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(&folder.path().join("runs")).unwrap();
        Stage { folder, objects }
    }

    fn import(
        &self,
        texts: &[&[u8]],
        rejecting: Rejecting,
        threads: usize,
        chunk_bytes: usize,
    ) -> (Rejects, Result<RunFile>) {
        let scratch: ScratchFolder = self.folder.path().join("scratch").into();
        let (objects, object, memory_bytes) = (&self.objects, "a.parquet".to_owned(), 256 << 20);
        let target = Target { objects, object, scratch, memory_bytes, threads, chunk_bytes, rejecting };
        let files = texts.iter().enumerate().map(|(n, text)| Ok(source(&n.to_string(), text)));
        import(&layout(), files, &target, None, &Progress::default())
    }

    fn content(&self, object: &str) -> Vec<u8> {
        let object = self.objects.open_object(object).unwrap();
        let mut bytes = vec![0; object.size().unwrap() as usize];
        object.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn left_out(&self, rejects: &Rejects) -> Vec<String> {
        rejects.files.iter().map(|f| String::from_utf8(self.content(&f.object)).unwrap()).collect()
    }
}

fn tolerating(tolerated: u64) -> Rejecting {
    Rejecting { tolerated, told_max: 1000 }
}

/// Line, byte, column and text of each.
fn places(rejects: &Rejects) -> Vec<(u64, u64, &str, String)> {
    let column = |v: &csv::Violation| v.column.clone();
    let of = |r: &Reject| (r.violation.line, r.violation.byte, column(&r.violation), r.violation.what());
    let all = rejects.told.iter().map(of);
    all.map(|(line, byte, column, what)| (line, byte, column.map_or("", |c| c.leak()), what)).collect()
}

#[test]
fn rejects_are_told_with_their_places_over_line_breaks_crlf_and_a_mark() {
    let stage = Stage::new();
    let text = "\u{feff}NOTE,ITEM_ID,PRICE\r\n\"two\r\nlines\",a,1\r\n\r\n\"x\ny\",b,dear\r\n\"q\"z,c,1\r\n,d\r\n,,2";
    let (rejects, run) = stage.import(&[text.as_bytes()], tolerating(4), 2, 16);
    assert_eq!(run.unwrap().rows, 1);
    let at = |part: &str| text.find(part).unwrap() as u64;
    assert_eq!(
        places(&rejects),
        [
            (6, at("dear"), "PRICE", "\"dear\" is not a decimal number".to_owned()),
            (7, at("z,c"), "", "text after a closing quote".to_owned()),
            (8, at("\n,d") + 1, "", "2 values where the header has 3".to_owned()),
            (9, at(",2"), "ITEM_ID", "a value is required".to_owned()),
        ]
    );
    assert_eq!((rejects.count, rejects.is_complete), (4, true));
    let left_out = "NOTE,ITEM_ID,PRICE\r\n\"x\ny\",b,dear\r\n\"q\"z,c,1\r\n,d\r\n,,2\n";
    assert_eq!(stage.left_out(&rejects), [left_out]);
}

#[test]
fn one_row_more_than_are_tolerated_imports_nothing_and_keeps_no_rows() {
    let stage = Stage::new();
    let text = format!("{HEADER},a,1\n,b,x\n,c,y\n,d,z\n");
    let (rejects, run) = stage.import(&[text.as_bytes()], tolerating(2), 1, 8);
    let reason = run.unwrap_err().message().to_owned();
    assert!(reason.ends_with("(file 0, line 3, column PRICE: \"x\" is not a decimal number)"), "{reason}");
    assert_eq!((rejects.told.len(), rejects.count, rejects.is_complete), (3, 3, true));
    assert!(rejects.files.is_empty() && stage.objects.names().unwrap().is_empty());
}

#[test]
fn no_more_are_told_than_asked_for() {
    let stage = Stage::new();
    let text = format!("{HEADER}{}", ",a,x\n".repeat(50));
    for (tolerated, is_kept) in [(0, false), (50, true)] {
        let (rejects, run) = stage.import(&[text.as_bytes()], Rejecting { tolerated, told_max: 7 }, 2, 16);
        assert_eq!(run.is_ok(), is_kept);
        assert_eq!((rejects.told.len(), rejects.is_complete), (7, false));
        assert_eq!(rejects.told[6].violation.line, 8);
        assert_eq!(rejects.count, if is_kept { 50 } else { 7 });
    }
}

#[test]
fn a_carriage_return_before_a_row_that_was_left_out_stays_with_it() {
    let stage = Stage::new();
    let text = format!("{HEADER}\n\r\n\r\"\"x\na,1,\n");
    let (rejects, run) = stage.import(&[text.as_bytes()], tolerating(3), 1, 1 << 20);
    assert_eq!(run.unwrap().rows, 1);
    assert_eq!(stage.left_out(&rejects), [format!("{HEADER}\r\"\"x\n")]);
}

#[test]
fn rows_below_different_headers_are_kept_apart() {
    let stage = Stage::new();
    let texts = ["ITEM_ID,PRICE,NOTE\na,x,\n", "NOTE,ITEM_ID,PRICE\n,b,y", "ITEM_ID,PRICE,NOTE\r\nc,z,"];
    let texts = texts.map(str::as_bytes);
    let (rejects, run) = stage.import(&texts, tolerating(3), 1, 1 << 20);
    assert_eq!(run.unwrap().rows, 0);
    assert_eq!(stage.left_out(&rejects), ["ITEM_ID,PRICE,NOTE\na,x,\nc,z,\n", "NOTE,ITEM_ID,PRICE\n,b,y\n"]);
    assert_eq!(rejects.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_quote_that_is_never_closed_is_never_tolerated() {
    let stage = Stage::new();
    let text = format!("{HEADER},a,x\n\",b,1\n{}", ",c,1\n".repeat(20));
    let (rejects, run) = stage.import(&[text.as_bytes(), HEADER.as_bytes()], tolerating(9), 2, 32);
    assert!(run.unwrap_err().message().contains("line 2, column PRICE"));
    assert_eq!((rejects.told.len(), rejects.is_complete), (2, false));
    assert_eq!(rejects.told[1].violation.rule, csv::Rule::UnclosedQuote);
}

#[test]
fn a_header_that_does_not_fit_fails_the_import_whatever_is_tolerated() {
    let stage = Stage::new();
    let first = format!("{HEADER},a,x\n");
    let (rejects, run) = stage.import(&[first.as_bytes(), b"ITEM_ID\n"], tolerating(9), 1, 1 << 20);
    assert!(run.unwrap_err().message().starts_with("Input csv is missing the following columns"));
    assert_eq!((rejects.told.len(), rejects.files.len(), rejects.is_complete), (1, 0, false));
}

/// All that is wrong with a file that is read in one piece.
fn read_whole(text: &[u8]) -> Vec<csv::Violation> {
    let mut splitter = Splitter::new(Dialect::Aws, Settings::default());
    splitter.push(text);
    splitter.finish();
    let columns = {
        let header = splitter.next_record().unwrap().unwrap();
        Header::read(&header).unwrap().match_columns(&layout()).unwrap()
    };
    let mut wrong: Vec<csv::Violation> = Vec::new();
    loop {
        match splitter.next_record() {
            Ok(None) => return wrong,
            Ok(Some(record)) => wrong.extend(columns.encode(&record, &mut Vec::new()).err()),
            Err(violation) => wrong.push(violation),
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let note = prop_oneof![
        4 => "[a-z\\\\]{0,9}",
        4 => "\"([a-z\n\r,]|\"\"|\\\\\"){0,40}\"",
        1 => "\"[a\n,]{0,3}\"[a-z\r]{1,3}",
        1 => "[a-z]\"[a,]{0,3}",
    ];
    let price = prop_oneof![6 => "[0-9]{1,3}", 1 => "[a-z]{1,2}", 1 => "1,1", 1 => "\"\n\""];
    let end = prop_oneof![6 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\n\r\n"), 1 => Just("\n\n")];
    let row = (note, "[a-c]{0,1}", price, end).prop_map(|(n, id, p, end)| format!("{n},{id},{p}{end}"));
    let mark = prop_oneof![Just(""), Just("\u{feff}")];
    let last = prop_oneof![3 => Just(""), 1 => Just("z"), 1 => Just("\"z")];
    (mark, prop::collection::vec(row, 0..30), last, any::<bool>()).prop_map(
        |(mark, rows, last, is_broken)| {
            let broken = if is_broken { &b",\xff,1\n"[..] } else { b"" };
            [mark.as_bytes(), HEADER.as_bytes(), broken, rows.concat().as_bytes(), last.as_bytes()].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_report_is_that_of_one_thread_that_reads_files_whole(
        text in text(), threads in 1..4_usize, chunk_bytes in 7..200_usize, tolerated in 0..40_u64,
    ) {
        let stage = Stage::new();
        let expected = read_whole(&text);
        let rejecting = tolerating(tolerated);
        let (rejects, run) = stage.import(&[&text], rejecting, threads, chunk_bytes);
        let told: Vec<_> = rejects.told.iter().map(|reject| reject.violation.clone()).collect();
        prop_assert_eq!(&told, &expected);
        let ends_file = expected.last().is_some_and(|violation| violation.rule.ends_file());
        prop_assert_eq!(run.is_ok(), !ends_file && expected.len() as u64 <= tolerated);
        prop_assert_eq!(rejects.is_complete, !ends_file);
        let Ok(run) = run else { return Ok(()) };
        // What was left out is wrong in the same ways, row by row, and what was taken is right.
        let left_out: Vec<Vec<u8>> = rejects.files.iter().map(|file| stage.content(&file.object)).collect();
        let again: Vec<_> = left_out.iter().flat_map(|text| read_whole(text)).map(|v| (v.column.clone(), v.rule)).collect();
        let rules: Vec<_> = expected.iter().map(|v| (v.column.clone(), v.rule)).collect();
        prop_assert_eq!(again, rules);
        let (other, run_of_one) = Stage::new().import(&[&text], rejecting, 1, 1 << 20);
        prop_assert_eq!(run_of_one.unwrap(), run);
        prop_assert_eq!(other.files, rejects.files);
    }
}
