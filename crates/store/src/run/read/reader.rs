//! Batches of a run, one row group after the other.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch};
use model::Layout;
use model::error::Result;
use model::schema::Storage;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::super::{COPIES, SEQUENCE, SPAN};
use super::file::ObjectFile;
use super::{EVERYTHING, OpenRun};
use crate::Arrivals;
use crate::objects::Objects;
use crate::rows::{Coded, Dictionary, Rows, Values, hash_ids};

/// Reads a run, or a range of it, in record order, in batches; no batch goes from one row group into the next.
pub struct RunReader {
    run: OpenRun,
    range: RangeInclusive<u64>,
    /// The row groups that are left.
    groups: Range<usize>,
    file: ObjectFile,
    /// What is left of the one in hand.
    batches: Option<ParquetRecordBatchReader>,
    /// The columns that are read, by their places in the file.
    roots: Vec<usize>,
    /// For each column of the layout, its place in what is read; none for a column of a later schema.
    places: Vec<Option<usize>>,
    /// The same for what is kept of arrivals.
    own: Option<[usize; 3]>,
    /// For each column of the layout, the dictionary it was last read with.
    dictionaries: Vec<Option<Arc<Dictionary>>>,
    last_hash: u64,
}

impl RunReader {
    /// Opens a whole run to be read under `layout`; `sequence_base` is added to its sequence numbers.
    ///
    /// # Errors
    /// As `OpenRun::open`.
    pub fn open(objects: &Objects, object: &str, layout: &Layout, sequence_base: u64) -> Result<RunReader> {
        OpenRun::open(objects, object, layout, sequence_base)?.read(EVERYTHING, true)
    }

    pub(super) fn begin(run: &OpenRun, range: RangeInclusive<u64>, with_arrivals: bool) -> Result<RunReader> {
        let fields = run.metadata.schema().fields();
        let wanted = |name: &str| run.columns.iter().any(|(column, _)| column == name);
        let own = |name: &str| with_arrivals && [SEQUENCE, SPAN, COPIES].contains(&name);
        let roots = (0..fields.len()).filter(|&n| wanted(fields[n].name()) || own(fields[n].name()));
        let roots: Vec<usize> = roots.collect();
        let place = |name: &str| roots.iter().position(|&n| fields[n].name() == name);
        let places = run.columns.iter().map(|(name, _)| place(name)).collect();
        let own = |name: &str| place(name).ok_or_else(|| run.damaged(&format!("has no column {name}")));
        let own = if with_arrivals { Some([own(SEQUENCE)?, own(SPAN)?, own(COPIES)?]) } else { None };
        run.place_of_id()?;
        Ok(RunReader {
            run: run.clone(),
            groups: run.row_groups(&range),
            file: run.file()?,
            range,
            batches: None,
            roots,
            places,
            own,
            dictionaries: vec![None; run.columns.len()],
            last_hash: 0,
        })
    }

    /// Reads rows of one row group, by their places in it, in ascending order.
    pub(super) fn of_rows(run: &OpenRun, group: usize, rows: Vec<usize>) -> Result<RunReader> {
        let mut reader = RunReader::begin(run, EVERYTHING, true)?;
        reader.groups = 0..0;
        if !rows.is_empty() {
            reader.batches = Some(run.read_rows(reader.file.clone(), group, &rows, &reader.roots)?);
        }
        Ok(reader)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                return batch.map(Some).map_err(|cause| self.run.unreadable(cause));
            }
            let Some(group) = self.groups.next() else { return Ok(None) };
            let rows = self.run.rows_in(group, &self.range)?;
            self.batches = Some(self.run.read_group(self.file.clone(), group, rows, &self.roots)?);
        }
    }

    fn read(&mut self, batch: &RecordBatch) -> Result<Rows> {
        let run = &self.run;
        let id = self.places[run.id_column].ok_or_else(|| run.damaged("has no ids"))?;
        let hashes = hashes(batch.column(id)).ok_or_else(|| run.damaged(ANOTHER_TYPE))?;
        if !hashes.is_sorted() || hashes.first().is_some_and(|first| *first < self.last_hash) {
            return Err(run.damaged("is out of order"));
        }
        self.last_hash = hashes.last().copied().unwrap_or(self.last_hash);
        let from = hashes.partition_point(|hash| hash < self.range.start());
        let end = hashes.partition_point(|hash| hash <= self.range.end());
        if end < hashes.len() {
            (self.batches, self.groups) = (None, 0..0);
        }
        let hashes = if end - from == hashes.len() { hashes } else { hashes[from..end].to_vec() };
        let batch = batch.slice(from, end - from);
        let columns = self.columns(&batch)?;
        let arrivals = self.own.map(|own| self.arrivals(&batch, own)).transpose()?.unwrap_or_default();
        Ok(Rows { hashes, columns, arrivals })
    }

    fn columns(&mut self, batch: &RecordBatch) -> Result<Vec<Values>> {
        let mut columns = Vec::with_capacity(self.places.len());
        for (n, (_, storage)) in self.run.columns.iter().enumerate() {
            let last = &mut self.dictionaries[n];
            let column = match self.places[n] {
                None => Some(Values::Absent),
                Some(place) => values(batch.column(place), *storage, last.as_ref()),
            };
            let column = column.ok_or_else(|| self.run.damaged(ANOTHER_TYPE))?;
            *last = match &column {
                Values::Coded(coded) => Some(coded.dictionary().clone()),
                _ => None,
            };
            columns.push(column);
        }
        Ok(columns)
    }

    fn arrivals(&self, batch: &RecordBatch, own: [usize; 3]) -> Result<Vec<Arrivals>> {
        let damaged = || self.run.damaged(ANOTHER_TYPE);
        let own = |n: usize| batch.column(own[n]).as_primitive_opt::<UInt64Type>().ok_or_else(damaged);
        let (sequence, span, copies) = (own(0)?.values(), own(1)?.values(), own(2)?.values());
        let arrivals = (0..batch.num_rows()).map(|row| {
            let sequence_min = sequence[row].wrapping_add(self.run.sequence_base);
            Arrivals { sequence_min, sequence_max: sequence_min.wrapping_add(span[row]), copies: copies[row] }
        });
        Ok(arrivals.collect())
    }
}

pub(super) const ANOTHER_TYPE: &str = "holds a column of another type";

impl Iterator for RunReader {
    type Item = Result<Arc<Rows>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch().transpose()?;
        Some(batch.and_then(|batch| self.read(&batch)).map(Arc::new))
    }
}

impl OpenRun {
    /// Where in the file the ids stand.
    pub(super) fn place_of_id(&self) -> Result<usize> {
        let (id, _) = &self.columns[self.id_column];
        let place = self.metadata.schema().index_of(id);
        place.map_err(|_| self.damaged("has no ids"))
    }
}

/// The hashes of a column of ids.
pub(super) fn hashes(ids: &ArrayRef) -> Option<Vec<u64>> {
    hash_ids(&values(ids, Storage::String, None)?)
}

pub(super) fn values(array: &ArrayRef, storage: Storage, last: Option<&Arc<Dictionary>>) -> Option<Values> {
    Some(match storage {
        Storage::String => match array.as_string_opt::<i32>() {
            Some(strings) => Values::Strings(strings.clone()),
            None => Values::Coded(Coded::read(array, last)?),
        },
        Storage::Long => Values::Longs(array.as_primitive_opt::<Int64Type>()?.clone()),
        Storage::Double => Values::Doubles(array.as_primitive_opt::<Float64Type>()?.clone()),
        Storage::Boolean => Values::Booleans(array.as_boolean_opt()?.clone()),
    })
}

#[cfg(test)]
mod tests;
