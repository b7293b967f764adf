//! Reading a run: whole or by ranges of the hash, by any number of readers at once.

use std::fs::File;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch};
use model::Layout;
use model::error::{Context, Error, Result};
use model::schema::Storage;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::{BORDERS, COPIES, CSV_BYTES, FORMAT, FORMAT_KEY, SCHEMA_VERSION, SEQUENCE, SPAN};
use crate::Arrivals;
use crate::objects::Objects;
use crate::rows::{BATCH_BYTES, BATCH_ROWS, Rows, Values, hash_ids};
use crate::tail::later_version;

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
}

impl OpenRun {
    /// Opens a run to be read under `layout`; `sequence_base` is added to its sequence numbers.
    ///
    /// # Errors
    /// `Corrupt` when the object is missing or no run of this format; `Unavailable` when it has a later version of the
    /// schema than `layout`, which would lose columns: the caller tries again with the dataset's layout of now.
    pub fn open(objects: &Objects, object: &str, layout: &Layout, sequence_base: u64) -> Result<OpenRun> {
        let damaged = || format!("run {object} can't be read");
        let file: File = objects.open_object(object)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).corrupt(damaged)?;
        let mut run = OpenRun {
            objects: objects.clone(),
            object: object.to_owned(),
            metadata,
            columns: layout.columns.iter().map(|c| (c.name().to_owned(), c.kind().storage())).collect(),
            id_column: layout.id_column(),
            sequence_base,
            borders: Arc::default(),
        };
        run.check_format()?;
        run.check_version(layout)?;
        run.borders = run.read_borders()?;
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
        let file = self.objects.open_object(&self.object)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let wanted = |name: &str| self.columns.iter().any(|(column, _)| column == name);
        let own = |name: &str| with_arrivals && [SEQUENCE, SPAN, COPIES].contains(&name);
        let fields = self.metadata.schema().fields();
        let roots = (0..fields.len()).filter(|&n| wanted(fields[n].name()) || own(fields[n].name()));
        let roots: Vec<usize> = roots.collect();
        let place = |name: &str| roots.iter().position(|&n| fields[n].name() == name);
        let places = self.columns.iter().map(|(name, _)| place(name)).collect();
        let missing = |name: &str| Error::corrupt(format!("run {} has no column {name}", self.object));
        let own = |name: &str| place(name).ok_or_else(|| missing(name));
        let own = if with_arrivals { Some([own(SEQUENCE)?, own(SPAN)?, own(COPIES)?]) } else { None };
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder
            .with_projection(mask)
            .with_row_groups(self.row_groups(&range))
            .with_batch_size(self.batch_rows())
            .build()
            .corrupt(|| format!("run {} can't be read", self.object))?;
        Ok(RunReader { run: self.clone(), batches, places, own, range, is_done: false })
    }

    // A hash can go on in the next row group, so the one before a border counts too.
    fn row_groups(&self, range: &RangeInclusive<u64>) -> Vec<usize> {
        let borders = &self.borders;
        let first = borders.partition_point(|border| border < range.start()).saturating_sub(1);
        let end = borders.partition_point(|border| border <= range.end());
        (first..end).collect()
    }

    /// Wide records are read in small batches, so that a merge of many runs stays small.
    fn batch_rows(&self) -> usize {
        let csv_bytes: u64 = self.footer(CSV_BYTES).and_then(|text| text.parse().ok()).unwrap_or(0);
        let fitting = BATCH_BYTES / (csv_bytes / self.rows().max(1)).max(1);
        usize::try_from(fitting).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
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
                Err(Error::corrupt(format!("run {} has format {found}, not {FORMAT}", self.object)))
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
}

/// Reads a run, or a range of it, in record order, in batches.
pub struct RunReader {
    run: OpenRun,
    batches: ParquetRecordBatchReader,
    /// For each column of the layout, its place in what is read; none for a column of a later schema.
    places: Vec<Option<usize>>,
    own: Option<[usize; 3]>,
    range: RangeInclusive<u64>,
    is_done: bool,
}

impl RunReader {
    /// Opens a whole run to be read under `layout`; `sequence_base` is added to its sequence numbers.
    ///
    /// # Errors
    /// As `OpenRun::open`.
    pub fn open(objects: &Objects, object: &str, layout: &Layout, sequence_base: u64) -> Result<RunReader> {
        OpenRun::open(objects, object, layout, sequence_base)?.read(EVERYTHING, true)
    }

    fn read(&mut self, batch: &RecordBatch) -> Result<Rows> {
        let damaged = || Error::corrupt(format!("run {} holds a column of another type", self.run.object));
        let id = self.places[self.run.id_column].ok_or_else(damaged)?;
        let Some(Values::Strings(ids)) = values(batch.column(id), Storage::String) else {
            return Err(damaged());
        };
        let hashes = hash_ids(&ids);
        if !hashes.is_sorted() {
            return Err(Error::corrupt(format!("run {} is out of order", self.run.object)));
        }
        let from = hashes.partition_point(|hash| hash < self.range.start());
        let end = hashes.partition_point(|hash| hash <= self.range.end());
        self.is_done = end < hashes.len();
        let hashes = if end - from == hashes.len() { hashes } else { hashes[from..end].to_vec() };
        let batch = batch.slice(from, end - from);
        let mut columns = Vec::with_capacity(self.places.len());
        for (place, (_, storage)) in self.places.iter().zip(&self.run.columns) {
            columns.push(match place {
                None => Values::Absent,
                Some(n) => values(batch.column(*n), *storage).ok_or_else(damaged)?,
            });
        }
        let arrivals = self.own.map(|own| self.arrivals(&batch, own)).transpose()?.unwrap_or_default();
        Ok(Rows { hashes, columns, arrivals })
    }

    fn arrivals(&self, batch: &RecordBatch, own: [usize; 3]) -> Result<Vec<Arrivals>> {
        let damaged = || Error::corrupt(format!("run {} holds a column of another type", self.run.object));
        let own = |n: usize| batch.column(own[n]).as_primitive_opt::<UInt64Type>().ok_or_else(damaged);
        let (sequence, span, copies) = (own(0)?.values(), own(1)?.values(), own(2)?.values());
        let arrivals = (0..batch.num_rows()).map(|row| {
            let sequence_min = sequence[row].wrapping_add(self.run.sequence_base);
            Arrivals { sequence_min, sequence_max: sequence_min.wrapping_add(span[row]), copies: copies[row] }
        });
        Ok(arrivals.collect())
    }
}

impl Iterator for RunReader {
    type Item = Result<Arc<Rows>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let batch = self.batches.next()?.corrupt(|| format!("run {} is damaged", self.run.object));
        Some(batch.and_then(|batch| self.read(&batch)).map(Arc::new))
    }
}

fn values(array: &ArrayRef, storage: Storage) -> Option<Values> {
    Some(match storage {
        Storage::String => Values::Strings(array.as_string_opt::<i32>()?.clone()),
        Storage::Long => Values::Longs(array.as_primitive_opt::<Int64Type>()?.clone()),
        Storage::Double => Values::Doubles(array.as_primitive_opt::<Float64Type>()?.clone()),
        Storage::Boolean => Values::Booleans(array.as_boolean_opt()?.clone()),
    })
}
