//! A run looked at as it lies on a disk, read and never written: what its footer says, and whether its pages are whole.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_schema::DataType;
use model::error::{Context, Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use seal::DataKeys;

use super::read::file::ObjectFile;
use super::sums::{Pages, read_footer};
use super::{BORDERS, COPIES, CSV_BYTES, FORMAT_KEY, PAGES, SCHEMA_VERSION, SEQUENCE, SPAN};
use crate::Arrivals;
use crate::objects::Object;

/// What a run holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The size of its content; a sealed file is somewhat larger.
    pub size_bytes: u64,
    pub format: String,
    pub schema_version: Option<u32>,
    /// Distinct records.
    pub rows: u64,
    /// The size of all arrivals as CSV.
    pub csv_bytes: Option<u64>,
    pub groups: Vec<Group>,
    pub columns: Vec<Column>,
    pub pages: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub rows: u64,
    pub bytes: u64,
    /// The hash of its first record.
    pub border: Option<u64>,
}

/// A column over all row groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: String,
    pub field_id: Option<i32>,
    pub encodings: Vec<String>,
    /// As it lies there,
    pub bytes: u64,
    /// and before it was compressed.
    pub plain_bytes: u64,
}

/// A run that is open.
pub struct Looked {
    pub run: Run,
    name: String,
    file: Object,
    metadata: Arc<ParquetMetaData>,
    pages: Arc<Pages>,
}

/// Opens the run in a file, which bears the name that it was written under.
///
/// # Errors
/// `Corrupt` when it is damaged, or sealed under a key that is not here; `Invalid` when it is a Parquet file, but no run;
/// `Unavailable` when it can't be read.
pub fn look(path: &Path, keys: &DataKeys) -> Result<Looked> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = Object::of_file(path, &name, keys)?;
    let damaged = || format!("run {name} is damaged at its end");
    let (footer, pages_end) = match read_footer(&name, &file) {
        Err(_) if is_foreign(path) => {
            return Err(Error::invalid(format!("{} is a Parquet file, but no run", path.display())));
        }
        read => read.map_err(|cause| of_chunks(cause, &name))?,
    };
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).corrupt(damaged)?;
    let text = |key: &str| {
        let all = metadata.file_metadata().key_value_metadata();
        all.into_iter().flatten().find(|kv| kv.key == key).and_then(|kv| kv.value.clone())
    };
    let pages = text(PAGES).as_deref().and_then(Pages::parse).filter(|pages| pages.end() == pages_end);
    let pages =
        pages.ok_or_else(|| Error::corrupt(format!("run {name} does not say where its pages lie")))?;
    let run = Run {
        size_bytes: file.size().unavailable(|| format!("read run {name}"))?,
        format: text(FORMAT_KEY).unwrap_or_default(),
        schema_version: text(SCHEMA_VERSION).and_then(|text| text.parse().ok()),
        rows: whole(metadata.file_metadata().num_rows()),
        csv_bytes: text(CSV_BYTES).and_then(|text| text.parse().ok()),
        groups: groups(&metadata, &text(BORDERS).unwrap_or_default()),
        columns: columns(&metadata).corrupt(damaged)?,
        pages: pages.len(),
    };
    Ok(Looked { run, name, file, metadata: Arc::new(metadata), pages: Arc::new(pages) })
}

impl Looked {
    /// Reads every page; the offset in the content of the first one that is not what was written.
    ///
    /// # Errors
    /// `Corrupt` when a sealed chunk does not open; `Unavailable` when the file can't be read.
    pub fn first_damaged(&self) -> Result<Option<u64>> {
        let mut bytes = Vec::new();
        for page in 0..self.pages.len() {
            let Some((start, size)) = self.pages.place(page) else { continue };
            bytes.resize(size, 0);
            match self.file.read_exact_at(&mut bytes, start) {
                Ok(()) if self.pages.is_whole(page, &bytes) => {}
                // Chunks of a sealed file are checked when they are opened.
                Ok(()) => return Ok(Some(start)),
                Err(cause) if cause.kind() == io::ErrorKind::InvalidData => return Ok(Some(start)),
                Err(cause) => return Err(cause).unavailable(|| format!("read run {}", self.name)),
            }
        }
        Ok(None)
    }

    /// The smallest and largest sequence number, before the run's `sequence_base`, and how many records arrived; `None` of
    /// a run without records.
    ///
    /// # Errors
    /// `Corrupt` when it is damaged.
    pub fn arrivals(&self) -> Result<Option<Arrivals>> {
        let damaged = || format!("run {} is damaged", self.name);
        let metadata = ArrowReaderMetadata::try_new(self.metadata.clone(), ArrowReaderOptions::new());
        let metadata = metadata.corrupt(damaged)?;
        let root = |name: &str| metadata.schema().index_of(name).corrupt(damaged);
        let roots = [root(SEQUENCE)?, root(SPAN)?, root(COPIES)?];
        let file = ObjectFile::new(self.file.clone(), self.pages.clone(), Arc::default());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let mut all: Option<Arrivals> = None;
        for batch in builder.with_projection(mask).build().corrupt(damaged)? {
            let batch = batch.corrupt(damaged)?;
            let numbers = |name: &str| {
                let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<UInt64Type>());
                column.ok_or_else(|| Error::corrupt(damaged()))
            };
            let (first, span, copies) = (numbers(SEQUENCE)?, numbers(SPAN)?, numbers(COPIES)?);
            for ((first, span), copies) in first.values().iter().zip(span.values()).zip(copies.values()) {
                let next = Arrivals {
                    sequence_min: *first,
                    sequence_max: first.saturating_add(*span),
                    copies: *copies,
                };
                match &mut all {
                    Some(all) => all.merge(next),
                    None => all = Some(next),
                }
            }
        }
        Ok(all)
    }
}

// Chunks of a sealed file are checked when they are opened: one that does not open is damaged.
fn of_chunks(cause: Error, name: &str) -> Error {
    let source = std::error::Error::source(&cause).and_then(|source| source.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData) => {
            Error::corrupt(format!("run {name} is damaged at its end")).caused_by(cause)
        }
        _ => cause,
    }
}

fn groups(metadata: &ParquetMetaData, borders: &str) -> Vec<Group> {
    let mut borders = borders.split(',').map(|hash| u64::from_str_radix(hash, 16).ok());
    let group = |group: &parquet::file::metadata::RowGroupMetaData| Group {
        rows: whole(group.num_rows()),
        bytes: whole(group.compressed_size()),
        border: borders.next().flatten(),
    };
    metadata.row_groups().iter().map(group).collect()
}

fn columns(metadata: &ParquetMetaData) -> Result<Vec<Column>, parquet::errors::ParquetError> {
    let arrow = ArrowReaderMetadata::try_new(Arc::new(metadata.clone()), ArrowReaderOptions::new())?;
    let schema = metadata.file_metadata().schema_descr();
    let column = |(n, field): (usize, &Arc<arrow_schema::Field>)| {
        let chunks = || metadata.row_groups().iter().filter_map(move |group| group.columns().get(n));
        let mut encodings: Vec<String> =
            chunks().flat_map(|chunk| chunk.encodings()).map(|encoding| encoding.to_string()).collect();
        encodings.sort();
        encodings.dedup();
        let info = schema.column(n);
        let info = info.self_type().get_basic_info();
        Column {
            name: field.name().clone(),
            kind: kind(field.data_type()),
            field_id: info.has_id().then(|| info.id()),
            encodings,
            bytes: chunks().map(|chunk| whole(chunk.compressed_size())).sum(),
            plain_bytes: chunks().map(|chunk| whole(chunk.uncompressed_size())).sum(),
        }
    };
    Ok(arrow.schema().fields().iter().enumerate().map(column).collect())
}

fn kind(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Int64 | DataType::UInt64 => "long".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        other => other.to_string(),
    }
}

fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

// Whether others wrote it, who know nothing of our checksums.
fn is_foreign(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let Ok(metadata) = ParquetMetaDataReader::new().parse_and_finish(&file) else { return false };
    let known = metadata.file_metadata().key_value_metadata();
    known.into_iter().flatten().all(|kv| kv.key != FORMAT_KEY)
}

#[cfg(test)]
mod tests;
