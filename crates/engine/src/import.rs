//! Import: CSV files → records checked by the schema → one sorted run that nobody sees yet.

use std::io::Read;
use std::path::PathBuf;

use csv::{ColumnMap, Dialect, Header, HeaderError, Splitter, Violation, failure_reason};
use model::Layout;
use model::error::{Context, Error, Result};
use model::record::{Codec, Value};
use store::{Arrivals, Objects, RunFile, RunWriter, Sorter};

use crate::Progress;
use crate::metrics::Aggregator;

/// A file to be read, opened with the permission to do so.
pub struct SourceFile {
    /// The name that a person knows the file by.
    pub key: String,
    pub dialect: Dialect,
    pub bytes: Box<dyn Read + Send>,
}

/// Where an import writes, and with how much memory.
pub struct Target<'a> {
    pub objects: &'a Objects,
    /// The name of the run's object.
    pub object: String,
    /// A folder of its own for sorting.
    pub scratch: PathBuf,
    pub memory_bytes: usize,
}

/// How the columns of a file are found by its header.
pub(crate) type Matching = fn(&Header, &Layout) -> Result<ColumnMap, HeaderError>;

const READ_BYTES: usize = 1 << 20;
const CHECK_EVERY_ROWS: u64 = 8192;

/// Reads all files, checks every record, and writes one run; its sequence numbers count from 0 in file order, then
/// in row order. Shows every record to `metrics` where there are some.
///
/// # Errors
/// `Invalid` for the first record that breaks a rule, with the sentence for the job's `failureReason` naming file,
/// line and column; nothing stays behind. `Unavailable` when a read or write fails. Those of `metrics`.
pub fn import(
    layout: &Layout,
    files: impl IntoIterator<Item = Result<SourceFile>>,
    target: &Target<'_>,
    metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> Result<RunFile> {
    write_run(layout, Header::match_columns, files, target, metrics, progress)
}

pub(crate) fn write_run(
    layout: &Layout,
    matching: Matching,
    files: impl IntoIterator<Item = Result<SourceFile>>,
    target: &Target<'_>,
    mut metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> Result<RunFile> {
    let mut sorter = Sorter::new(&target.scratch, target.memory_bytes);
    let mut rows = 0;
    for file in files {
        read_file(layout, matching, file?, &mut sorter, &mut rows, metrics.as_deref_mut(), progress)?;
    }
    let mut sorted = sorter.finish()?;
    let mut run = RunWriter::create(target.objects, &target.object, layout)?;
    let mut written: u64 = 0;
    while let Some((record, arrivals)) = sorted.next_record()? {
        run.push_record(record, arrivals)?;
        written += 1;
        if written.is_multiple_of(CHECK_EVERY_ROWS) {
            progress.check()?;
        }
    }
    run.finish()
}

fn read_file(
    layout: &Layout,
    matching: Matching,
    mut file: SourceFile,
    sorter: &mut Sorter,
    rows: &mut u64,
    metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> Result<()> {
    let mut splitter = Splitter::new(file.dialect, csv::Settings::default());
    let mut records = Records {
        key: &file.key,
        layout,
        matching,
        codec: Codec::new(layout),
        columns: None,
        encoded: Vec::new(),
        metrics,
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        progress.check()?;
        let n = file.bytes.read(&mut buffer).unavailable(|| format!("read {}", file.key))?;
        if n == 0 {
            splitter.finish();
        }
        splitter.push(&buffer[..n]);
        let before = *rows;
        records.drain(&mut splitter, sorter, rows)?;
        progress.add(*rows - before, n as u64);
        if n == 0 {
            return records.expect_header();
        }
    }
}

/// What one file's records need on their way into the sorter.
struct Records<'a> {
    key: &'a str,
    layout: &'a Layout,
    matching: Matching,
    codec: Codec,
    /// Set by the header.
    columns: Option<ColumnMap>,
    encoded: Vec<u8>,
    metrics: Option<&'a mut Aggregator>,
}

impl Records<'_> {
    fn drain(&mut self, splitter: &mut Splitter, sorter: &mut Sorter, rows: &mut u64) -> Result<()> {
        let mut spare: Vec<Value<'static>> = Vec::new();
        while let Some(record) = splitter.next_record().map_err(|v| violated(self.key, &v))? {
            let Some(columns) = &self.columns else {
                let header = Header::read(&record).map_err(|v| violated(self.key, &v))?;
                self.columns = Some(self.match_columns(&header)?);
                continue;
            };
            let mut values = csv::value::recycle(std::mem::take(&mut spare));
            columns.read_values(&record, &mut values).map_err(|v| violated(self.key, &v))?;
            if let Some(metrics) = &mut self.metrics {
                metrics.push(&values)?;
            }
            self.encoded.clear();
            self.codec.encode(&values, &mut self.encoded);
            sorter.push(&self.encoded, Arrivals::once(*rows))?;
            *rows += 1;
            spare = csv::value::recycle(values);
        }
        Ok(())
    }

    // A file without a header has no columns; the published sentence says so.
    fn expect_header(&self) -> Result<()> {
        match self.columns {
            Some(_) => Ok(()),
            None => self.match_columns(&Header::default()).map(drop),
        }
    }

    // The published sentence, and the file's name behind it.
    fn match_columns(&self, header: &Header) -> Result<ColumnMap> {
        (self.matching)(header, self.layout).map_err(|e| Error::invalid(format!("{e} (file {})", self.key)))
    }
}

fn violated(key: &str, violation: &Violation) -> Error {
    Error::invalid(failure_reason(key, violation))
}
