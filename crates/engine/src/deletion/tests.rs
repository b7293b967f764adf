use std::collections::BTreeSet;

use csv::Dialect;
use model::record::Codec;
use model::{DatasetType, ErrorKind, Schema};
use proptest::prelude::*;
use store::Sorter;

use super::*;
use crate::import::Rejecting;

const SCHEMA: &str = r#"{"type":"record","name":"Interactions","fields":[{"name":"ITEM_ID","type":"string"},
    {"name":"USER_ID","type":"string"},{"name":"TIMESTAMP","type":"long"}]}"#;

fn layout() -> Layout {
    Layout::new(DatasetType::Interactions, &Schema::parse(SCHEMA, None).unwrap())
}

struct Stage {
    folder: tempfile::TempDir,
    objects: Objects,
}

impl Stage {
    fn set() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(&folder.path().join("runs")).unwrap();
        Stage { folder, objects }
    }

    fn read_list(&self, text: &str) -> Result<RunFile> {
        let bytes = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let file = SourceFile { key: "in/u.csv".to_owned(), dialect: Dialect::Aws, bytes };
        let scratch = self.folder.path().join("scratch").into();
        let target = Target {
            objects: &self.objects,
            object: "list".to_owned(),
            scratch,
            memory_bytes: 1 << 20,
            threads: 2,
            chunk_bytes: 8,
            rejecting: Rejecting::FIRST,
        };
        read_list([Ok(file)], &target, &Progress::default())
    }

    /// A run of (user, time) records with their sequence numbers, the base not yet added.
    fn write_run(&self, records: &[(u8, u8, u64)]) -> RunFile {
        let (codec, layout) = (Codec::new(&layout()), layout());
        let mut sorter = Sorter::new(self.folder.path().join("sort"), 1 << 20);
        for (user, at, sequence) in records {
            let values =
                [Value::String("i".into()), Value::String(user_id(*user).into()), Value::Long((*at).into())];
            let mut bytes = Vec::new();
            codec.encode(&values, &mut bytes);
            sorter.push(&bytes, Arrivals::once(*sequence)).unwrap();
        }
        let mut writer = RunWriter::create(&self.objects, "run", &layout).unwrap();
        let mut sorted = sorter.finish().unwrap();
        while let Some((record, arrivals)) = sorted.next_record().unwrap() {
            writer.push_record(record, arrivals).unwrap();
        }
        writer.finish().unwrap()
    }

    fn remove(&self, base: u64, before: u64) -> Option<Remainder> {
        let run = Input { object: "run".to_owned(), sequence_base: base, size_bytes: 0 };
        let doomed = Doomed { list: "list".to_owned(), before };
        remove(&self.objects, "rest", &layout(), &run, &doomed, &Progress::default()).unwrap()
    }

    fn read(&self, object: &str, base: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        for rows in RunReader::open(&self.objects, object, &layout(), base).unwrap() {
            let rows = rows.unwrap();
            for row in 0..rows.len() {
                let (user, Value::Long(at)) = (rows.columns[1].get(row), rows.columns[2].get(row)) else {
                    panic!("a time is missing");
                };
                let Arrivals { sequence_min, sequence_max, copies } = rows.arrivals[row];
                lines.push((text(&user).to_owned(), at, sequence_min, sequence_max, copies));
            }
        }
        lines
    }
}

/// User, time, first and last sequence number, copies.
type Line = (String, i64, u64, u64, u64);

fn user_id(user: u8) -> String {
    format!("user-{user}")
}

/// What stays of a run's lines, and how many records go, said as plainly as possible.
fn naive(lines: Vec<Line>, listed: &BTreeSet<u8>, before: u64) -> (Vec<Line>, u64) {
    let (mut rest, mut deleted) = (Vec::new(), 0);
    for (user, at, min, max, copies) in lines {
        if !listed.iter().any(|l| user_id(*l) == user) || min >= before {
            rest.push((user, at, min, max, copies));
        } else if max >= before {
            rest.push((user, at, max, max, 1));
            deleted += copies - 1;
        } else {
            deleted += copies;
        }
    }
    (rest, deleted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn the_rest_of_a_run_is_what_a_plain_loop_leaves(
        records in prop::collection::vec((0u8..40, 0u8..3), 0..200),
        listed in prop::collection::btree_set(0u8..60, 0..30),
        base in 0u64..1000,
        before in 0u64..1300,
    ) {
        let stage = Stage::set();
        let list: String = listed.iter().map(|user| user_id(*user) + "\n").collect();
        stage.read_list(&format!("USER_ID\n{list}{list}")).unwrap();
        let numbered: Vec<_> = records.iter().zip(0..).map(|((user, at), n)| (*user, *at, n)).collect();
        let run = stage.write_run(&numbered);
        let (rest, deleted) = naive(stage.read("run", base), &listed, before);
        match stage.remove(base, before) {
            None => prop_assert_eq!(deleted, 0),
            Some(remainder) => {
                prop_assert_eq!(remainder.deleted, deleted);
                prop_assert_eq!(remainder.file.records + deleted, run.records);
                prop_assert_eq!(stage.read("rest", 0), rest);
            }
        }
    }
}

#[test]
fn a_run_without_a_listed_user_gets_no_remainder() {
    let stage = Stage::set();
    stage.read_list("USER_ID\nuser-9\n").unwrap();
    stage.write_run(&[(1, 1, 0), (2, 1, 1)]);
    assert!(stage.remove(0, 100).is_none());
    assert_eq!(stage.objects.names().unwrap().len(), 2);
}

#[test]
fn a_row_that_breaks_a_rule_is_named_by_file_line_and_rule() {
    let long = "u".repeat(257);
    for (text, told) in [
        ("USER_ID\nu\n\"\"\n", "(file in/u.csv, line 3, column USER_ID: a value is required)"),
        ("USER_ID\nu,v\n", "(file in/u.csv, line 2: 2 values where the header has 1)"),
        ("USER_ID,AGE\nu,1\n", "and has also: [AGE] (file in/u.csv)"),
        ("", "Input csv is missing the following columns: [USER_ID] (file in/u.csv)"),
        (&format!("USER_ID\n{long}\n"), "has more than 256 characters)"),
    ] {
        let error = Stage::set().read_list(text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message().ends_with(told), "{}", error.message());
    }
}
