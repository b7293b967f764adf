//! Reading a run: whole or by ranges of the hash, by any number of readers at once.

pub(super) mod file;
mod find;
mod group;
mod reader;

use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use model::Layout;
use model::error::{Context, Error, ErrorKind, Result};
use model::schema::Storage;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaDataReader;

use super::sums::{Pages, read_footer};
use super::{BORDERS, CSV_BYTES, FORMAT, FORMAT_KEY, PAGES, SCHEMA_VERSION};
use crate::objects::Objects;
use crate::rows::{BATCH_BYTES, BATCH_ROWS};
use crate::tail::later_version;
use file::ObjectFile;
pub use find::Place;
pub use reader::RunReader;

/// All hashes there are.
pub const EVERYTHING: RangeInclusive<u64> = 0..=u64::MAX;

/// A run whose footer was read: what it holds is known, and readers of any part of it can be made.
#[derive(Clone)]
pub struct OpenRun {
    objects: Objects,
    object: String,
    metadata: ArrowReaderMetadata,
    /// For each column of the layout, its name and how its values are kept.
    columns: Vec<(String, Storage)>,
    id_column: usize,
    sequence_base: u64,
    borders: Arc<[u64]>,
    pages: Arc<Pages>,
    /// For each row group that was once entered in its midst, where its hashes lie.
    marks: Arc<[OnceLock<Vec<u64>>]>,
    /// Whether the store of the objects has failed to answer one of its readers.
    outage: Arc<AtomicBool>,
}

/// How often a run is opened whose end its checksum does not confirm.
const TRIES: usize = 3;

impl OpenRun {
    /// Opens a run to be read under `layout`; `sequence_base` is added to its sequence numbers.
    ///
    /// # Errors
    /// `Corrupt` when the object is missing or no run of this format; `Unavailable` when it has a later version of the
    /// schema than `layout`, which would lose columns: the caller tries again with the dataset's layout of now.
    pub fn open(objects: &Objects, object: &str, layout: &Layout, sequence_base: u64) -> Result<OpenRun> {
        let damaged = || format!("run {object} can't be read");
        let (footer, pages_end) = footer_of(objects, object)?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).corrupt(damaged)?;
        let metadata =
            ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).corrupt(damaged)?;
        let mut run = OpenRun {
            objects: objects.clone(),
            object: object.to_owned(),
            metadata,
            columns: layout.columns.iter().map(|c| (c.name().to_owned(), c.kind().storage())).collect(),
            id_column: layout.id_column(),
            sequence_base,
            borders: Arc::default(),
            pages: Arc::default(),
            marks: Arc::default(),
            outage: Arc::default(),
        };
        run.check_format()?;
        run.check_version(layout)?;
        run.borders = run.read_borders()?;
        run.pages = run.read_pages(pages_end)?;
        run.marks = run.borders.iter().map(|_| OnceLock::new()).collect();
        Ok(run)
    }

    /// Distinct records.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The hash of the first record of each row group: the places where reading can begin without reading before.
    pub fn borders(&self) -> &[u64] {
        &self.borders
    }

    /// Reads the records whose hash lies in `range`, in record order. Without `with_arrivals` the batches say nothing
    /// of when and how often records arrived.
    ///
    /// # Errors
    /// `Corrupt` when the object is gone or has no column that it must have.
    pub fn read(&self, range: RangeInclusive<u64>, with_arrivals: bool) -> Result<RunReader> {
        RunReader::begin(self, range, with_arrivals)
    }

    // A hash can go on in the next row group, so the one before a border counts too.
    fn row_groups(&self, range: &RangeInclusive<u64>) -> Range<usize> {
        let borders = &self.borders;
        let first = borders.partition_point(|border| border < range.start()).saturating_sub(1);
        let end = borders.partition_point(|border| border <= range.end());
        first..end
    }

    /// Wide records are read in small batches, so that a merge of many runs stays small.
    fn batch_rows(&self) -> usize {
        let csv_bytes: u64 = self.footer(CSV_BYTES).and_then(|text| text.parse().ok()).unwrap_or(0);
        let fitting = BATCH_BYTES / (csv_bytes / self.rows().max(1)).max(1);
        usize::try_from(fitting).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
    }

    fn file(&self) -> Result<ObjectFile> {
        Ok(ObjectFile::new(self.objects.open_object(&self.object)?, self.pages.clone(), self.outage.clone()))
    }

    fn rows_of(&self, group: usize) -> usize {
        usize::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    /// What it means that Parquet can't read on.
    fn unreadable(&self, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        let object = &self.object;
        match self.outage.load(Ordering::Relaxed) {
            true => Error::unavailable(format!("run {object} can't be read now")).caused_by(cause),
            false => Error::corrupt(format!("run {object} is damaged")).caused_by(cause),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::corrupt(format!("run {} {what}", self.object))
    }

    fn footer(&self, key: &str) -> Option<&str> {
        let metadata = self.metadata.metadata().file_metadata().key_value_metadata();
        metadata.into_iter().flatten().find(|kv| kv.key == key).and_then(|kv| kv.value.as_deref())
    }

    fn check_format(&self) -> Result<()> {
        match self.footer(FORMAT_KEY) {
            Some(FORMAT) => Ok(()),
            other => {
                let found = other.unwrap_or("none");
                Err(Error::corrupt(format!(
                    "run {} has format {found}, and this version reads format {FORMAT}: start the version that wrote it",
                    self.object
                )))
            }
        }
    }

    fn check_version(&self, layout: &Layout) -> Result<()> {
        match self.footer(SCHEMA_VERSION).and_then(|text| text.parse::<u32>().ok()) {
            None => Err(Error::corrupt(format!("run {} has no version of the schema", self.object))),
            Some(version) if version > layout.schema_version => Err(later_version()),
            Some(_) => Ok(()),
        }
    }

    fn read_borders(&self) -> Result<Arc<[u64]>> {
        let text = self.footer(BORDERS).unwrap_or_default();
        let hashes = text.split(',').filter(|hash| !hash.is_empty());
        let borders: Option<Vec<u64>> = hashes.map(|hash| u64::from_str_radix(hash, 16).ok()).collect();
        let borders = borders.filter(|b| b.len() == self.metadata.metadata().num_row_groups());
        let damaged =
            || Error::corrupt(format!("run {} does not say where its row groups begin", self.object));
        borders.map(Arc::from).ok_or_else(damaged)
    }
    // Between the pages and the footer's checksum there is nothing that has no checksum.
    fn read_pages(&self, end: u64) -> Result<Arc<Pages>> {
        let pages = self.footer(PAGES).and_then(Pages::parse).filter(|pages| pages.end() == end);
        pages.map(Arc::new).ok_or_else(|| self.damaged("does not say where its pages lie"))
    }
}

/// As `read_footer`; what lies in a cache may be damaged, and is fetched again.
fn footer_of(objects: &Objects, object: &str) -> Result<(Bytes, u64)> {
    let mut tries = TRIES;
    loop {
        let read = objects.open_object(object).and_then(|file| read_footer(object, &file));
        tries -= 1;
        match read {
            Err(cause) if cause.kind == ErrorKind::Corrupt && tries > 0 && objects.forget(object) => {}
            read => return read,
        }
    }
}
