//! What an export can be asked for beyond the service: options that travel as tags of the job, settled when it is made.

mod condition;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use condition::{Condition, Operator, Term};

use crate::error::{Error, Result};
use crate::{Arn, Layout, Origin};
use words::{size, wrong};

/// The options of a job as they were asked for: the tags whose keys begin with `lade:`.
pub type Asked = BTreeMap<String, String>;

/// How an export is written, and what of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportOptions {
    pub format: Format,
    /// Of whole files; of Parquet files that of the pages in them, Zstandard unless the job asked for none.
    pub compression: Compression,
    pub dialect: CsvDialect,
    /// The columns that are written, in order; all of the schema where nobody chose.
    pub columns: Option<Vec<OutputColumn>>,
    pub condition: Condition,
    /// The mean size of files that the job asked for.
    pub file_size_bytes_max: Option<u64>,
    /// The name or ARN of the export whose end is this one's beginning.
    pub since: Option<String>,
    pub has_sha256: bool,
    /// Whether records that are left out are written as well.
    pub has_losers: bool,
    pub has_no_manifest: bool,
    /// Whether no object is written: the job only tells what its files would be.
    pub is_digest: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Csv,
    Jsonl,
    Parquet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

/// How texts in quotes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvDialect {
    /// A quote is doubled, a backslash is a backslash.
    #[default]
    Rfc4180,
    /// As imports are documented: a backslash stands before a quote or a backslash.
    Aws,
}

/// A column of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputColumn {
    /// A field of the schema, by its position in the layout.
    Field(usize),
    /// The sequence number of the record's last arrival.
    Sequence,
    /// How it came: `BULK`, `PUT`, or `BULK|PUT` where equal records came both ways.
    Origin,
}

pub const SEQUENCE_COLUMN: &str = "_SEQ";
pub const ORIGIN_COLUMN: &str = "_ORIGIN";

/// The state of a dataset from which on records are new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Since {
    /// The job that exported that state.
    pub job_arn: Arn,
    /// The sequence of its snapshot: imported records with smaller numbers were in it,
    pub sequence: u64,
    /// and of records put one by one those with smaller numbers than this. It is lower where calls were under way
    /// when the snapshot was taken: they have their numbers before they are durable.
    pub put_sequence: u64,
}

impl Since {
    /// The number below which records of an origin are old.
    pub fn border(&self, origin: Origin) -> u64 {
        match origin {
            Origin::Bulk => self.sequence,
            Origin::Put => self.put_sequence,
        }
    }
}

impl Format {
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
            Format::Parquet => "parquet",
        }
    }

    pub fn parse(text: &str) -> Option<Format> {
        [Format::Csv, Format::Jsonl, Format::Parquet].into_iter().find(|format| format.as_str() == text)
    }
}

impl Compression {
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    pub fn parse(text: &str) -> Option<Compression> {
        [Compression::None, Compression::Gzip, Compression::Zstd].into_iter().find(|c| c.as_str() == text)
    }
}

impl CsvDialect {
    pub fn as_str(self) -> &'static str {
        match self {
            CsvDialect::Rfc4180 => "rfc4180",
            CsvDialect::Aws => "aws",
        }
    }
}

impl OutputColumn {
    pub fn name(self, layout: &Layout) -> &str {
        match self {
            OutputColumn::Field(position) => layout.columns[position].name(),
            OutputColumn::Sequence => SEQUENCE_COLUMN,
            OutputColumn::Origin => ORIGIN_COLUMN,
        }
    }
}

const ALLOW: &str = "lade:allow";
const COLUMNS: &str = "lade:columns";
const COMPRESSION: &str = "lade:compression";
const CSV: &str = "lade:csv";
const FILE_SIZE: &str = "lade:file-size";
const FORMAT: &str = "lade:format";
const HASH: &str = "lade:hash";
const LOSERS: &str = "lade:losers";
const MANIFEST: &str = "lade:manifest";
const OUTPUT: &str = "lade:output";
const SINCE: &str = "lade:since";
const WHERE: &str = "lade:where";
const WHERE_MORE: &str = "lade:where-";

/// What a file's mean size may be asked to be.
const FILE_SIZE_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 40;

/// Whether the options let datasets of actions be exported, which the service refuses.
///
/// # Errors
/// `Invalid` for a value that there is not.
pub fn allows_actions(asked: &Asked) -> Result<bool> {
    match asked.get(ALLOW).map(String::as_str) {
        None => Ok(false),
        Some("actions") => Ok(true),
        Some(value) => Err(wrong(ALLOW, value, "actions")),
    }
}

impl ExportOptions {
    /// Reads the options of a job for a dataset of this layout.
    ///
    /// # Errors
    /// `Invalid` for an option that there is not, for a value that it can't have, and for options that exclude each
    /// other; the text names the key, the value and what is allowed.
    pub fn read(asked: &Asked, layout: &Layout) -> Result<ExportOptions> {
        let mut options = ExportOptions::default();
        for (key, value) in asked {
            options.take(key, value, layout)?;
        }
        if options.format == Format::Parquet && !asked.contains_key(COMPRESSION) {
            options.compression = Compression::Zstd;
        }
        options.check(asked)?;
        Ok(options)
    }

    fn take(&mut self, key: &str, value: &str, layout: &Layout) -> Result<()> {
        match key {
            ALLOW => allows_actions(&Asked::from([(key.to_owned(), value.to_owned())])).map(drop)?,
            COLUMNS => self.columns = Some(read_columns(value, layout)?),
            COMPRESSION => {
                let read = Compression::parse(value);
                self.compression = read.ok_or_else(|| wrong(key, value, "none, gzip or zstd"))?;
            }
            CSV => {
                self.dialect = match value {
                    "rfc4180" => CsvDialect::Rfc4180,
                    "aws" => CsvDialect::Aws,
                    _ => return Err(wrong(key, value, "rfc4180 or aws")),
                }
            }
            FILE_SIZE => {
                let bytes = size(value).filter(|bytes| FILE_SIZE_BYTES.contains(bytes));
                let allowed = "a size from 1MiB to 1024GiB, such as 64MiB";
                self.file_size_bytes_max = Some(bytes.ok_or_else(|| wrong(key, value, allowed))?);
            }
            FORMAT => {
                self.format =
                    Format::parse(value).ok_or_else(|| wrong(key, value, "csv, jsonl or parquet"))?;
            }
            HASH if value == "sha256" => self.has_sha256 = true,
            HASH => return Err(wrong(key, value, "sha256")),
            LOSERS => self.has_losers = switch(key, value, ["true", "false"])?,
            MANIFEST => self.has_no_manifest = !switch(key, value, ["on", "off"])?,
            OUTPUT => self.is_digest = switch(key, value, ["digest", "files"])?,
            SINCE if value.trim().is_empty() => {
                return Err(wrong(key, value, "the name or ARN of an export job"));
            }
            SINCE => self.since = Some(value.to_owned()),
            _ if is_where(key) => self.condition.terms.push(Term::read(key, value, layout)?),
            _ => return Err(unknown(key, value)),
        }
        Ok(())
    }

    // What can't be had together.
    fn check(&self, asked: &Asked) -> Result<()> {
        let is_csv = self.format == Format::Csv;
        if !is_csv && asked.contains_key(CSV) {
            return Err(excluded(asked, CSV, FORMAT));
        }
        if self.format == Format::Parquet && self.compression == Compression::Gzip {
            return Err(excluded(asked, COMPRESSION, FORMAT));
        }
        // Hashes and the list of what was left out stand in the manifest alone.
        let needing = [(self.has_sha256, HASH), (self.has_losers, LOSERS)];
        match needing.into_iter().find(|(is_needed, _)| *is_needed && self.has_no_manifest) {
            Some((_, key)) => Err(excluded(asked, key, MANIFEST)),
            None => Ok(()),
        }
    }

    /// What the names of the files end with.
    pub fn suffix(&self) -> &'static str {
        match (self.format, self.compression) {
            (Format::Csv, Compression::None) => ".csv",
            (Format::Csv, Compression::Gzip) => ".csv.gz",
            (Format::Csv, Compression::Zstd) => ".csv.zst",
            (Format::Jsonl, Compression::None) => ".jsonl",
            (Format::Jsonl, Compression::Gzip) => ".jsonl.gz",
            (Format::Jsonl, Compression::Zstd) => ".jsonl.zst",
            (Format::Parquet, _) => ".parquet",
        }
    }

    /// The columns of the output, in order.
    pub fn columns(&self, layout: &Layout) -> Vec<OutputColumn> {
        let all = || (0..layout.columns.len()).map(OutputColumn::Field).collect();
        self.columns.clone().unwrap_or_else(all)
    }

    /// Whether these options leave nothing to be read.
    pub fn writes_nothing(asked: &Asked) -> bool {
        asked.get(OUTPUT).is_some_and(|output| output == "digest")
    }

    /// The options that decide which records are written: two exports that have the same of these fit together.
    pub fn conditions(asked: &Asked) -> Vec<&str> {
        asked.iter().filter(|(key, _)| is_where(key)).map(|(_, value)| value.as_str()).collect()
    }
}

// `lade:where`, and `lade:where-2` to `lade:where-9`.
fn is_where(key: &str) -> bool {
    key == WHERE || key.strip_prefix(WHERE_MORE).is_some_and(|n| matches!(n.as_bytes(), [b'2'..=b'9']))
}

fn read_columns(value: &str, layout: &Layout) -> Result<Vec<OutputColumn>> {
    let mut columns = Vec::new();
    for name in value.split_ascii_whitespace() {
        let column = match name {
            SEQUENCE_COLUMN => Some(OutputColumn::Sequence),
            ORIGIN_COLUMN => Some(OutputColumn::Origin),
            _ => layout.position(name).map(OutputColumn::Field),
        };
        let column = column.filter(|column| !columns.contains(column));
        columns.push(column.ok_or_else(|| wrong(COLUMNS, value, &allowed_columns(layout)))?);
    }
    if columns.is_empty() { Err(wrong(COLUMNS, value, &allowed_columns(layout))) } else { Ok(columns) }
}

fn allowed_columns(layout: &Layout) -> String {
    let names: Vec<&str> = layout.columns.iter().map(|column| column.name()).collect();
    format!(
        "some of {}, {SEQUENCE_COLUMN}, {ORIGIN_COLUMN}, each once, with blanks between",
        names.join(", ")
    )
}

fn switch(key: &str, value: &str, [on, off]: [&str; 2]) -> Result<bool> {
    match value {
        _ if value == on => Ok(true),
        _ if value == off => Ok(false),
        _ => Err(wrong(key, value, &format!("{on} or {off}"))),
    }
}

fn excluded(asked: &Asked, one: &str, other: &str) -> Error {
    let value = |key: &str| asked.get(key).cloned().unwrap_or_default();
    Error::invalid(format!(
        "The options {one}={} and {other}={} exclude each other.",
        value(one),
        value(other)
    ))
}

fn unknown(key: &str, value: &str) -> Error {
    let all =
        [ALLOW, COLUMNS, COMPRESSION, CSV, FILE_SIZE, FORMAT, HASH, LOSERS, MANIFEST, OUTPUT, SINCE, WHERE]
            .join(", ");
    Error::invalid(format!(
        "There is no option {key}, which was given as \"{value}\"; there are {all} and {WHERE_MORE}2 to {WHERE_MORE}9."
    ))
}

#[cfg(test)]
mod tests;
