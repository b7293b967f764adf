//! One row group of a run: how its columns are read, and where in it a range of hashes lies.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::{DataType, Field, Schema};
use model::error::{Context, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::OpenRun;
use super::file::ObjectFile;
use super::reader::hashes;

/// The hash of every so many records of a row group is known: what lies between two marks is read together.
const MARK_ROWS: usize = 8192;

impl OpenRun {
    /// Reads rows of a row group, columns by their places in the file.
    pub(super) fn read_group(
        &self,
        file: ObjectFile,
        group: usize,
        rows: Range<usize>,
        roots: &[usize],
    ) -> Result<ParquetRecordBatchReader> {
        let builder = self.begin_group(file, group, roots)?;
        let builder = builder.with_offset(rows.start).with_limit(rows.len());
        builder.build().map_err(|cause| self.unreadable(cause))
    }

    /// As `read_group`, of single rows in ascending order.
    pub(super) fn read_rows(
        &self,
        file: ObjectFile,
        group: usize,
        rows: &[usize],
        roots: &[usize],
    ) -> Result<ParquetRecordBatchReader> {
        let each = rows.iter().map(|&row| row..row + 1);
        let selection = RowSelection::from_consecutive_ranges(each, self.rows_of(group));
        let builder = self.begin_group(file, group, roots)?.with_row_selection(selection);
        builder.build().map_err(|cause| self.unreadable(cause))
    }

    fn begin_group(
        &self,
        file: ObjectFile,
        group: usize,
        roots: &[usize],
    ) -> Result<ParquetRecordBatchReaderBuilder<ObjectFile>> {
        let damaged = || format!("run {} can't be read", self.object);
        let metadata = self.with_dictionaries(group, roots).corrupt(damaged)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
        let batch_rows = if let [_] = roots { MARK_ROWS } else { self.batch_rows() };
        Ok(builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(batch_rows))
    }

    /// Strings whose values all stand in a dictionary are read as their codes.
    fn with_dictionaries(&self, group: usize, roots: &[usize]) -> Result<ArrowReaderMetadata, ParquetError> {
        let chunks = self.metadata.metadata().row_group(group).columns();
        let is_coded = |n: usize| chunks.get(n).is_some_and(is_dictionary_throughout);
        let of_field = |(n, field): (usize, &Arc<Field>)| match field.data_type() {
            DataType::Utf8 if roots.contains(&n) && is_coded(n) => {
                Arc::new(Field::clone(field).with_data_type(coded()))
            }
            _ => field.clone(),
        };
        let fields: Vec<Arc<Field>> =
            self.metadata.schema().fields().iter().enumerate().map(of_field).collect();
        let schema = Schema::new_with_metadata(fields, self.metadata.schema().metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), options)
    }

    /// The rows of a row group that can have a hash of the range: no others are decoded.
    pub(super) fn rows_in(&self, group: usize, range: &RangeInclusive<u64>) -> Result<Range<usize>> {
        let rows = self.rows_of(group);
        // Ranges are cut right behind the first hash of a row group: few records have that one.
        let is_entered_at_its_start = self.borders[group].saturating_add(1) >= *range.start();
        if is_entered_at_its_start || rows <= MARK_ROWS {
            return Ok(0..rows);
        }
        let marks = match self.marks[group].get() {
            Some(marks) => marks,
            None => {
                let marks = self.read_marks(group, rows)?;
                self.marks[group].get_or_init(|| marks)
            }
        };
        let first = marks.partition_point(|mark| mark < range.start()).saturating_sub(1);
        let end = marks.partition_point(|mark| mark <= range.end());
        Ok(first * MARK_ROWS..rows.min(end * MARK_ROWS).max(first * MARK_ROWS))
    }

    fn read_marks(&self, group: usize, rows: usize) -> Result<Vec<u64>> {
        let id = self.place_of_id()?;
        let mut marks = Vec::with_capacity(rows.div_ceil(MARK_ROWS));
        let file = self.file()?;
        for batch in self.read_group(file, group, 0..rows, &[id])? {
            let batch = batch.map_err(|cause| self.unreadable(cause))?;
            let first = hashes(&batch.column(0).slice(0, batch.num_rows().min(1)));
            marks.extend(first.ok_or_else(|| self.damaged("holds a column of another type"))?);
        }
        match marks.is_sorted() {
            true => Ok(marks),
            false => Err(self.damaged("is out of order")),
        }
    }
}

fn coded() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn is_dictionary_throughout(chunk: &ColumnChunkMetaData) -> bool {
    let is_dictionary = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    let is_data = |page| matches!(page, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
    let by_page = chunk.page_encoding_stats().map(|pages| {
        pages.iter().filter(|page| is_data(page.page_type)).all(|page| is_dictionary(page.encoding))
    });
    let at_once = || {
        let mask = chunk.page_encoding_stats_mask()?;
        Some(mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY))
    };
    by_page.or_else(at_once).unwrap_or(false) && chunk.dictionary_page_offset().is_some()
}
