//! Row groups: records in columns, encoded by any thread, to be appended to a run in record order.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::SchemaRef;
use model::Layout;
use model::error::{Context, Result};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};

use crate::Arrivals;
use crate::rows::{Rows, RowsBuilder, Values};

/// A row group ends at this many records.
pub const ROW_GROUP_ROWS: usize = 512 * 1024;
/// Wide records close a row group early, so that its buffers stay small.
pub const ROW_GROUP_BYTES: usize = 32 << 20;

/// An encoded row group.
pub struct RowGroup {
    pub(super) columns: Vec<ArrowColumnChunk>,
    /// The hash of its first record.
    pub(super) border: u64,
    pub(super) rows: u64,
    pub(super) records: u64,
    pub(super) csv_bytes: u64,
}

/// What the row groups of one run have in common; threads share it.
pub struct RowGroupFormat {
    layout: Layout,
    schema: SchemaRef,
    columns: ArrowRowGroupWriterFactory,
}

impl RowGroupFormat {
    pub(super) fn new(
        layout: &Layout,
        schema: SchemaRef,
        columns: ArrowRowGroupWriterFactory,
    ) -> RowGroupFormat {
        RowGroupFormat { layout: layout.clone(), schema, columns }
    }
}

/// Takes records in record order and gives row groups.
pub struct RowGroups {
    format: Arc<RowGroupFormat>,
    builder: RowsBuilder,
    /// The row group that is being filled.
    group: Option<Group>,
    records: u64,
    csv_bytes: u64,
}

struct Group {
    writers: Vec<ArrowColumnWriter>,
    border: u64,
    rows: usize,
}

impl RowGroups {
    pub fn new(format: &Arc<RowGroupFormat>) -> RowGroups {
        let builder = RowsBuilder::new(&format.layout);
        RowGroups { format: format.clone(), builder, group: None, records: 0, csv_bytes: 0 }
    }

    /// Adds a record from its canonical bytes; gives a row group when it is full.
    pub fn push_record(&mut self, record: &[u8], arrivals: Arrivals) -> Result<Option<RowGroup>> {
        let csv_bytes = self.builder.push_record(record, arrivals)?;
        self.pushed(csv_bytes, arrivals)
    }

    /// Adds a record of a batch; gives a row group when it is full.
    pub fn push_row(&mut self, rows: &Rows, row: usize, arrivals: Arrivals) -> Result<Option<RowGroup>> {
        let csv_bytes = self.builder.push_row(rows, row, arrivals)?;
        self.pushed(csv_bytes, arrivals)
    }

    /// Gives what is left.
    pub fn finish(&mut self) -> Result<Option<RowGroup>> {
        if !self.builder.is_empty() {
            self.write_batch()?;
        }
        self.group.take().map(|group| self.close(group)).transpose()
    }

    fn pushed(&mut self, csv_bytes: u64, arrivals: Arrivals) -> Result<Option<RowGroup>> {
        self.records += arrivals.copies;
        self.csv_bytes += csv_bytes * arrivals.copies;
        if !self.builder.is_full() {
            return Ok(None);
        }
        self.write_batch()?;
        self.group.take_if(|group| group.is_full()).map(|group| self.close(group)).transpose()
    }

    fn write_batch(&mut self) -> Result<()> {
        let rows = self.builder.take();
        let group = match &mut self.group {
            Some(group) => group,
            None => {
                let writers = self.format.columns.create_column_writers(0).unavailable(writing)?;
                let border = rows.hashes.first().copied().unwrap_or(0);
                self.group.insert(Group { writers, border, rows: 0 })
            }
        };
        group.write(&to_batch(&self.format.schema, &rows)?)
    }

    fn close(&mut self, group: Group) -> Result<RowGroup> {
        let columns: Result<_, _> = group.writers.into_iter().map(ArrowColumnWriter::close).collect();
        Ok(RowGroup {
            columns: columns.unavailable(writing)?,
            border: group.border,
            rows: group.rows as u64,
            records: std::mem::take(&mut self.records),
            csv_bytes: std::mem::take(&mut self.csv_bytes),
        })
    }
}

impl Group {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        let schema = batch.schema_ref();
        let mut writers = self.writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            let leaves = compute_leaves(field, column).unavailable(writing)?;
            for (leaf, writer) in leaves.iter().zip(&mut writers) {
                writer.write(leaf).unavailable(writing)?;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let size_bytes =
            || self.writers.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum::<usize>();
        self.rows >= ROW_GROUP_ROWS || size_bytes() >= ROW_GROUP_BYTES
    }
}

fn to_batch(schema: &SchemaRef, rows: &Rows) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = rows.columns.iter().map(Values::to_array).collect();
    let numbers = |of: fn(&Arrivals) -> u64| {
        Arc::new(UInt64Array::from_iter_values(rows.arrivals.iter().map(of))) as ArrayRef
    };
    columns.push(numbers(|a| a.sequence_min));
    columns.push(numbers(|a| a.sequence_max - a.sequence_min));
    columns.push(numbers(|a| a.copies));
    RecordBatch::try_new(schema.clone(), columns).corrupt(writing)
}

fn writing() -> String {
    "write a row group".to_owned()
}
