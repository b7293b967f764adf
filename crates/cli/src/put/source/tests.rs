//! Files read into rows, and what is said of those that are wrong.

use std::io::Write;

use model::{DatasetType, Schema};

use super::*;

fn fields(fills: bool) -> Fields {
    let schema = r#"{"type":"record","name":"Interactions","fields":[{"name":"USER_ID","type":"string"},
        {"name":"ITEM_ID","type":"string"},{"name":"EVENT_TYPE","type":"string"},
        {"name":"EVENT_VALUE","type":["float","null"]},{"name":"TIMESTAMP","type":"long"}]}"#;
    Fields::new(&Layout::new(DatasetType::Interactions, &Schema::parse(schema, None).unwrap()), fills)
}

/// The rows of a text as short text, each with its line, and what ended it.
fn read(text: &str, make: fn(PathBuf) -> Input, fills: bool) -> (Vec<String>, Option<String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let (mut rows, seen) = (Vec::new(), std::cell::Cell::new(0));
    let mut take = |row: &Row<'_>| {
        let values: Vec<String> = row.values.iter().map(|value| format!("{value:?}")).collect();
        rows.push(format!("{}: {} {:?}", row.place.line, values.join(" "), row.session));
        Ok(())
    };
    let input = make(file.path().to_owned());
    assert_eq!(input.size_bytes(), Some(text.len() as u64));
    let read = input.read(&fields(fills), Dialect::Aws, &|bytes| seen.set(seen.get() + bytes), &mut take);
    let name = file.path().display().to_string();
    (rows, read.err().map(|cause| cause.message().replace(&name, "FILE")))
}

#[test]
fn columns_stand_in_any_order_and_lines_are_counted() {
    let text = "TIMESTAMP,SESSION_ID,ITEM_ID,USER_ID,EVENT_TYPE\n1,s,\"a\nb\",u,click\n\n2,,c,v,buy\n";
    let (rows, ended) = read(text, Input::Csv, false);
    assert_eq!(ended, None);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("2: ") && rows[0].ends_with("Long(1) Some(\"s\")"), "{rows:?}");
    assert!(rows[1].starts_with("5: ") && rows[1].contains("Null Long(2)"), "{rows:?}");
}

#[test]
fn a_wrong_row_is_named_with_line_and_column() {
    let header = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n";
    for (row, wrong) in [
        ("u,i,c,soon", "FILE, line 3, column TIMESTAMP: \"soon\" is not a whole number"),
        ("u,i,c", "FILE, line 3: 3 values where the header has 4"),
        (",i,c,1", "FILE, line 3, column USER_ID: a value is required"),
        ("u,i,,1", "FILE, line 3, column EVENT_TYPE: a value is required"),
        ("u,\"i,c,1", "FILE, line 3, byte 47: unclosed quote"),
    ] {
        let (rows, ended) = read(&format!("{header}u,i,c,1\n{row}\n"), Input::Csv, false);
        assert_eq!((rows.len(), ended.as_deref()), (1, Some(wrong)));
    }
}

#[test]
fn a_header_is_checked() {
    let told = |text: &str, fills| read(text, Input::Csv, fills).1.unwrap_or_default();
    assert_eq!(
        told("USER_ID\n", false),
        "FILE, line 1: the columns [ITEM_ID, EVENT_TYPE, TIMESTAMP] are missing"
    );
    assert_eq!(told("USER_ID,ITEM_ID,TIMESTAMP\n", true), "");
    assert_eq!(told("USER_ID,USER_ID\n", true), "FILE, line 1: the column USER_ID is there twice");
    assert!(told("", true).starts_with("FILE is empty"));
}

#[test]
fn an_event_type_may_be_left_out_where_it_is_filled() {
    let (rows, ended) = read("USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu,i,,1\n", Input::Csv, true);
    assert_eq!((rows.len(), ended), (1, None));
    let (rows, ended) = read("{\"USER_ID\":\"u\",\"ITEM_ID\":\"i\",\"TIMESTAMP\":1}", Input::Jsonl, true);
    assert_eq!((rows.len(), ended), (1, None));
}

#[test]
fn lines_of_json_are_read_as_csv_would_be() {
    let good = r#"{"USER_ID":"u","ITEM_ID":12,"EVENT_TYPE":"c","EVENT_VALUE":4.10,"TIMESTAMP":"1","SESSION_ID":"s"}"#;
    let (rows, ended) = read(&format!("\n{good}\n"), Input::Jsonl, false);
    assert_eq!(ended, None);
    assert!(rows[0].starts_with("2: ") && rows[0].contains("Double(4.1)"), "{rows:?}");
    for (line, wrong) in [
        ("{\"USER_ID\":[]}", "column USER_ID: a value is a text"),
        ("{\"X\":1}", "FILE, line 2: the dataset has no column X"),
        ("7", "FILE, line 2: an object of JSON is expected"),
        ("{\"USER_ID\":\"u\"}", "FILE, line 2, column ITEM_ID: a value is required"),
    ] {
        let ended = read(&format!("{good}\n{line}"), Input::Jsonl, false).1.unwrap();
        assert!(ended.contains(wrong), "{ended}");
    }
}

#[test]
fn the_mark_before_a_text_is_no_part_of_it() {
    let line = r#"{"USER_ID":"u","ITEM_ID":"i","EVENT_TYPE":"c","TIMESTAMP":1}"#;
    let csv = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\nu,i,c,1\n";
    let empty = format!("\u{feff}\n{line}\n");
    for (text, make) in [
        (format!("\u{feff}{line}\n"), Input::Jsonl as fn(PathBuf) -> Input),
        (empty, Input::Jsonl),
        (format!("\u{feff}{csv}"), Input::Csv),
    ] {
        let (rows, ended) = read(&text, make, false);
        assert_eq!((rows.len(), ended), (1, None), "{text}");
    }
    let ended = read(&format!("{line}\n\u{feff}{line}\n"), Input::Jsonl, false).1.unwrap();
    assert!(ended.contains("line 2: an object of JSON is expected"), "{ended}");
}
