//! The records of an export's files in the working folder, in the one form in which they are compared and put.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::{ColumnMap, Dialect, Header, Settings, Splitter, Violation};
use model::Layout;
use model::error::{Context, Error, Result};
use model::record::Value;

const PIECE_BYTES: usize = 256 << 10;

/// A file and how quotes are written in it.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub dialect: Dialect,
}

/// Reads the records of several files one after another.
pub struct Rows<'a> {
    layout: &'a Layout,
    sources: std::vec::IntoIter<Source>,
    open: Option<Open>,
}

struct Open {
    path: PathBuf,
    file: File,
    splitter: Splitter,
    /// Absent before the header came.
    map: Option<ColumnMap>,
    is_read: bool,
}

impl<'a> Rows<'a> {
    pub fn new(layout: &'a Layout, sources: Vec<Source>) -> Rows<'a> {
        Rows { layout, sources: sources.into_iter(), open: None }
    }

    /// Hands out the next record: its values in the schema's order. False: there is none.
    ///
    /// # Errors
    /// `Invalid` with file and line for what is no record of the dataset; those of `take`.
    pub fn next(&mut self, take: &mut dyn FnMut(&[Value<'_>]) -> Result<()>) -> Result<bool> {
        loop {
            if self.open.is_none() {
                match self.sources.next() {
                    Some(source) => self.open = Some(Open::new(source)?),
                    None => return Ok(false),
                }
            }
            if let Some(open) = &mut self.open
                && open.next(self.layout, take)?
            {
                return Ok(true);
            }
            self.open = None;
        }
    }
}

impl Open {
    fn new(source: Source) -> Result<Open> {
        let Source { path, dialect } = source;
        let file = File::open(&path).unavailable(|| format!("open {}", path.display()))?;
        let splitter = Splitter::new(dialect, Settings::default());
        Ok(Open { path, file, splitter, map: None, is_read: false })
    }

    fn next(&mut self, layout: &Layout, take: &mut dyn FnMut(&[Value<'_>]) -> Result<()>) -> Result<bool> {
        let wrong = |path: &Path, violation: &Violation| {
            Error::invalid(csv::failure_reason(&path.display().to_string(), violation))
        };
        loop {
            match self.splitter.next_record() {
                Err(violation) => return Err(wrong(&self.path, &violation)),
                Ok(Some(record)) => {
                    let Some(map) = &self.map else {
                        let header =
                            Header::read(&record).map_err(|violation| wrong(&self.path, &violation))?;
                        let map = header.match_columns(layout);
                        let told = |cause| Error::invalid(format!("{}: {cause}", self.path.display()));
                        self.map = Some(map.map_err(told)?);
                        continue;
                    };
                    let mut values = Vec::new();
                    map.read_values(&record, &mut values)
                        .map_err(|violation| wrong(&self.path, &violation))?;
                    take(&values)?;
                    return Ok(true);
                }
                Ok(None) if self.is_read => return Ok(false),
                Ok(None) => {
                    let mut piece = vec![0; PIECE_BYTES];
                    let read = self.file.read(&mut piece);
                    match read.unavailable(|| format!("read {}", self.path.display()))? {
                        0 => {
                            self.splitter.finish();
                            self.is_read = true;
                        }
                        read => self.splitter.push(&piece[..read]),
                    }
                }
            }
        }
    }
}

/// How many records there are.
pub fn count(layout: &Layout, sources: Vec<Source>) -> Result<u64> {
    let mut rows = Rows::new(layout, sources);
    let mut count = 0;
    while rows.next(&mut |_| Ok(()))? {
        count += 1;
    }
    Ok(count)
}

/// The header of a file of such records.
pub fn header(layout: &Layout) -> Vec<u8> {
    let mut line = Vec::new();
    csv::write::write_header(layout.columns.iter().map(|column| column.name()), &mut line);
    line
}

#[cfg(test)]
pub mod tests {
    use model::schema::Schema;

    use super::*;

    pub fn layout() -> Layout {
        let text = r#"{"type":"record","name":"Items","fields":[{"name":"ITEM_ID","type":"string"},
            {"name":"PRICE","type":["null","float"]},{"name":"STORY","type":["null","string"],"textual":true}]}"#;
        let schema = Schema::parse(text, None).unwrap();
        Layout::new(schema.dataset_type, &schema)
    }

    #[test]
    fn records_of_both_dialects_are_the_same_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, dialect, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Source { path, dialect }
        };
        let sources = vec![
            file("a", Dialect::Aws, "PRICE,ITEM_ID,STORY\n15,a,\"say \\\"hi\\\", \\\\\"\n"),
            file("b", Dialect::Rfc4180, "ITEM_ID,PRICE,STORY\n\na,1.5E1,\"say \"\"hi\"\", \\\"\nb,,\"\"\n"),
        ];
        let layout = layout();
        let mut lines = Vec::new();
        let mut rows = Rows::new(&layout, sources.clone());
        while rows
            .next(&mut |values| {
                let mut line = Vec::new();
                csv::write::write_record(values, &mut line);
                lines.push(String::from_utf8(line).unwrap());
                Ok(())
            })
            .unwrap()
        {}
        let same = "a,15.0,\"say \"\"hi\"\", \\\"\n";
        assert_eq!(lines, [same, same, "b,,\n"]);
        assert_eq!(count(&layout, sources).unwrap(), 3);
    }

    #[test]
    fn a_record_that_is_none_is_named_by_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.csv");
        std::fs::write(&path, "ITEM_ID,PRICE,STORY\na,dear,\n").unwrap();
        let error = count(&layout(), vec![Source { path, dialect: Dialect::Aws }]).unwrap_err();
        assert!(error.message().contains("items.csv") && error.message().contains("line 2"), "{error}");
    }
}
