//! Where records come from: CSV files, lines of JSON, the command line; each value is read by its column's type.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::value::ValueReader;
use csv::{Dialect, Header, Record, Rule, Settings, Splitter, Violation};
use model::Layout;
use model::error::{Context, Error, Result};
use model::record::Value;
use serde_json::value::RawValue;

const PIECE_BYTES: usize = 1 << 18;
/// As much as a record of CSV may have.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// The column that names the session of an event; whether the dataset has it, too, or not.
const SESSION: &str = "SESSION_ID";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const CHARACTERS_SHOWN: usize = 40;

/// One thing to read.
pub enum Input {
    Csv(PathBuf),
    Jsonl(PathBuf),
    /// An object of JSON.
    Record(String),
}

/// Where a record stood.
#[derive(Clone, Debug)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u64,
}

/// A record whose values are read by the types of the dataset's columns.
pub struct Row<'a> {
    /// In the order of the dataset's columns.
    pub values: Vec<Value<'a>>,
    /// What stands in the column SESSION_ID.
    pub session: Option<Cow<'a, str>>,
    pub place: Place,
}

/// The columns of the dataset that is put to.
pub struct Fields {
    columns: Vec<(String, ValueReader)>,
    /// The column that is filled where a record has nothing there.
    filled: Option<usize>,
}

/// Where a file has its columns.
struct Found {
    field_count: usize,
    /// For each column of the dataset.
    positions: Vec<Option<usize>>,
    session: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)
    }
}

impl Input {
    /// Its size in bytes, where that is known.
    pub fn size_bytes(&self) -> Option<u64> {
        match self {
            Input::Csv(path) | Input::Jsonl(path) if is_stdin(path) => None,
            Input::Csv(path) | Input::Jsonl(path) => std::fs::metadata(path).ok().map(|file| file.len()),
            Input::Record(text) => Some(text.len() as u64),
        }
    }

    /// Reads it from its first record to its last; `seen` is told how many bytes came.
    ///
    /// # Errors
    /// `Invalid` with the file, the line and the column of the first record that is wrong; `Unavailable` when it can't be
    /// read; what `take` gives.
    pub fn read(
        &self,
        fields: &Fields,
        dialect: Dialect,
        seen: &dyn Fn(u64),
        take: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Input::Csv(path) => read_csv(path, fields, dialect, seen, take),
            Input::Jsonl(path) => read_jsonl(
                BufReader::with_capacity(PIECE_BYTES, open(path)?),
                &name(path),
                fields,
                seen,
                take,
            ),
            Input::Record(text) => read_jsonl(text.as_bytes(), &"--record".into(), fields, seen, take),
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> Arc<str> {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string().into() }
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    if is_stdin(path) {
        return Ok(Box::new(stdin()));
    }
    let opened = File::open(path).unavailable(|| format!("open {}", path.display()))?;
    Ok(Box::new(opened))
}

fn read_csv(
    path: &Path,
    fields: &Fields,
    dialect: Dialect,
    seen: &dyn Fn(u64),
    take: &mut dyn FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let (mut from, file) = (open(path)?, name(path));
    let wrong = |violation: Violation| Error::invalid(format!("{file}, {violation}"));
    let mut splitter = Splitter::new(dialect, Settings::default());
    let (mut piece, mut header) = (vec![0; PIECE_BYTES], None);
    loop {
        let read = from.read(&mut piece).unavailable(|| format!("read {file}"))?;
        seen(read as u64);
        match read {
            0 => splitter.finish(),
            _ => splitter.push(&piece[..read]),
        }
        while let Some(record) = splitter.next_record().map_err(wrong)? {
            match &header {
                Some(header) => take(&fields.row(header, &record, &file).map_err(wrong)?)?,
                None => header = Some(fields.find(&Header::read(&record).map_err(wrong)?, &file)?),
            }
        }
        if read == 0 {
            break;
        }
    }
    header
        .map(drop)
        .ok_or_else(|| Error::invalid(format!("{file} is empty: its first line names the columns")))
}

fn read_jsonl(
    mut from: impl BufRead,
    file: &Arc<str>,
    fields: &Fields,
    seen: &dyn Fn(u64),
    take: &mut dyn FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let place = Place { file: file.clone(), line };
        let read = from.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut text);
        let read = read.unavailable(|| format!("read {file}"))? as u64;
        seen(read);
        if read > LINE_BYTES_MAX {
            return Err(Error::invalid(format!("{place}: a line of more than {LINE_BYTES_MAX} bytes")));
        }
        if read == 0 {
            break;
        }
        // Windows marks texts in UTF-8 so.
        let json = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| line == 1).unwrap_or(&text);
        if !json.trim_ascii().is_empty() {
            let texts = fields.texts(json, &place)?;
            take(&fields.row_of_texts(&texts, place)?)?;
        }
    }
    Ok(())
}

impl Fields {
    /// `fills_event_types`: whether records may lack an EVENT_TYPE, whatever the schema says.
    pub fn new(layout: &Layout, fills_event_types: bool) -> Fields {
        Fields {
            columns: layout.columns.iter().map(|c| (c.name().to_owned(), ValueReader::new(c))).collect(),
            filled: layout.position("EVENT_TYPE").filter(|_| fills_event_types),
        }
    }

    fn find(&self, header: &Header, file: &str) -> Result<Found> {
        let names = header.names();
        let twice = (1..names.len()).find(|&n| !names[n].is_empty() && names[..n].contains(&names[n]));
        if let Some(n) = twice {
            return Err(Error::invalid(format!("{file}, line 1: the column {} is there twice", names[n])));
        }
        let position = |name: &str| names.iter().position(|found| found == name);
        let positions: Vec<_> = self.columns.iter().map(|(name, _)| position(name)).collect();
        let missing =
            self.columns.iter().zip(&positions).enumerate().filter(|(n, ((_, reader), position))| {
                position.is_none() && self.filled != Some(*n) && reader.read("").is_err()
            });
        let missing: Vec<&str> = missing.map(|(_, ((name, _), _))| name.as_str()).collect();
        if !missing.is_empty() {
            return Err(Error::invalid(format!(
                "{file}, line 1: the columns [{}] are missing",
                missing.join(", ")
            )));
        }
        let is_other =
            |name: &&String| *name != SESSION && self.columns.iter().all(|(column, _)| column != *name);
        let others: Vec<&str> = names.iter().filter(is_other).map(String::as_str).collect();
        if !others.is_empty() {
            eprintln!("{file}: the dataset has no columns [{}]; they are left out", others.join(", "));
        }
        Ok(Found { field_count: names.len(), positions, session: position(SESSION) })
    }

    fn row<'a>(&self, header: &Found, record: &Record<'a>, file: &Arc<str>) -> Result<Row<'a>, Violation> {
        record.expect_fields(header.field_count)?;
        let text = record.text()?;
        let mut values = Vec::with_capacity(self.columns.len());
        for (n, ((name, reader), position)) in self.columns.iter().zip(&header.positions).enumerate() {
            let found = position.and_then(|position| Some((position, text.field(position)?)));
            values.push(match found {
                Some((position, text)) if !text.is_empty() || self.filled != Some(n) => {
                    reader.read(text).map_err(|rule| record.violation(position, name, rule))?
                }
                _ => Value::Null,
            });
        }
        let session = header.session.and_then(|position| text.field(position)).map(Cow::Borrowed);
        Ok(Row { values, session, place: Place { file: file.clone(), line: record.position().line } })
    }

    // The text of each column, as CSV would have it, and that of the session.
    fn texts(&self, json: &[u8], place: &Place) -> Result<(Vec<String>, Option<String>)> {
        let members: HashMap<String, &RawValue> = serde_json::from_slice(json)
            .map_err(|cause| Error::invalid(format!("{place}: an object of JSON is expected: {cause}")))?;
        let (mut texts, mut session) = (vec![String::new(); self.columns.len()], None);
        for (name, raw) in members {
            let text = text_of(raw).ok_or_else(|| {
                Error::invalid(format!(
                    "{place}, column {name}: a value is a text, a number, true, false or null"
                ))
            })?;
            let position = self.columns.iter().position(|(column, _)| *column == name);
            if name == SESSION {
                session = Some(text.clone());
            } else if position.is_none() {
                return Err(Error::invalid(format!("{place}: the dataset has no column {name}")));
            }
            if let Some(position) = position {
                texts[position] = text;
            }
        }
        Ok((texts, session))
    }

    fn row_of_texts<'a>(
        &self,
        (texts, session): &'a (Vec<String>, Option<String>),
        place: Place,
    ) -> Result<Row<'a>> {
        let mut values = Vec::with_capacity(texts.len());
        for (n, ((name, reader), text)) in self.columns.iter().zip(texts).enumerate() {
            if text.is_empty() && self.filled == Some(n) {
                values.push(Value::Null);
            } else {
                values.push(reader.read(text).map_err(|rule| wrong_text(&place, name, text, rule))?);
            }
        }
        Ok(Row { values, session: session.as_deref().map(Cow::Borrowed), place })
    }
}

fn text_of(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'{' | b'[' => None,
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'n' => Some(String::new()),
        _ => Some(raw.get().to_owned()),
    }
}

fn wrong_text(place: &Place, column: &str, text: &str, rule: Rule) -> Error {
    let value_shortened = text.chars().take(CHARACTERS_SHOWN).collect();
    let column = Some(column.to_owned());
    let violation = Violation { line: place.line, byte: 0, column, value_shortened, rule };
    Error::invalid(format!("{}, {violation}", place.file))
}

#[cfg(test)]
mod tests;
