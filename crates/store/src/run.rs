//! A run: an immutable, ordered, exactly deduplicated set of records of one origin, in plain Parquet (docs/format.md).

mod read;

pub use read::{EVERYTHING, OpenRun, RunReader};

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use model::Layout;
use model::error::{Context, Result};
use model::schema::Storage;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::Arrivals;
use crate::objects::{ObjectWriter, Objects};
use crate::rows::{Rows, RowsBuilder, Values};

/// The version of the format, in each run's footer.
const FORMAT: &str = "1";
const FORMAT_KEY: &str = "lade.format";
const SCHEMA_VERSION: &str = "lade.schema_version";
const SEQUENCE: &str = "_SEQ";
/// `sequence_max - sequence_min`: nearly always 0, so it costs nothing.
const SPAN: &str = "_SEQ_SPAN";
const COPIES: &str = "_COPIES";
const CSV_BYTES: &str = "lade.csv_bytes";
const BORDERS: &str = "lade.borders";

const ROW_GROUP_ROWS: usize = 512 * 1024;
/// Wide records close a row group early, so that its buffers stay small.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// What a finished run holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    pub object: String,
    /// Distinct records.
    pub rows: u64,
    /// Records as they arrived.
    pub records: u64,
    /// The size of the records as they arrived, written as CSV.
    pub csv_bytes: u64,
    pub size_bytes: u64,
}

/// Writes records, which come in record order and without duplicates, into a new run.
pub struct RunWriter {
    builder: RowsBuilder,
    schema: SchemaRef,
    parquet: ArrowWriter<ObjectWriter>,
    file: RunFile,
    /// The hash of the first record of each row group: the borders where work can be split.
    borders: Vec<u64>,
    group_rows: usize,
}

impl RunWriter {
    pub fn create(objects: &Objects, object: &str, layout: &Layout) -> Result<RunWriter> {
        let schema = Arc::new(arrow_schema(layout));
        // The columns' Parquet types say all; a copy of the schema in Arrow's form would only make small runs large.
        let options =
            ArrowWriterOptions::new().with_properties(properties(layout)?).with_skip_arrow_metadata(true);
        let parquet = ArrowWriter::try_new_with_options(objects.create(object)?, schema.clone(), options);
        let parquet = parquet.unavailable(|| format!("begin run {object}"))?;
        let file = RunFile { object: object.to_owned(), rows: 0, records: 0, csv_bytes: 0, size_bytes: 0 };
        Ok(RunWriter {
            builder: RowsBuilder::new(layout),
            schema,
            parquet,
            file,
            borders: Vec::new(),
            group_rows: 0,
        })
    }

    /// Adds a record from its canonical bytes.
    pub fn push_record(&mut self, record: &[u8], arrivals: Arrivals) -> Result<()> {
        let csv_bytes = self.builder.push_record(record, arrivals)?;
        self.pushed(csv_bytes, arrivals)
    }

    /// Adds a record of a batch.
    pub fn push_row(&mut self, rows: &Rows, row: usize, arrivals: Arrivals) -> Result<()> {
        let csv_bytes = self.builder.push_row(rows, row, arrivals)?;
        self.pushed(csv_bytes, arrivals)
    }

    fn pushed(&mut self, csv_bytes: u64, arrivals: Arrivals) -> Result<()> {
        self.file.rows += 1;
        self.file.records += arrivals.copies;
        self.file.csv_bytes += csv_bytes * arrivals.copies;
        if self.builder.is_full() { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> Result<()> {
        let rows = self.builder.take();
        let writing = || format!("write run {}", self.file.object);
        let mut columns: Vec<ArrayRef> = rows.columns.iter().map(Values::to_array).collect();
        let numbers = |of: fn(&Arrivals) -> u64| {
            Arc::new(UInt64Array::from_iter_values(rows.arrivals.iter().map(of))) as ArrayRef
        };
        columns.push(numbers(|a| a.sequence_min));
        columns.push(numbers(|a| a.sequence_max - a.sequence_min));
        columns.push(numbers(|a| a.copies));
        let batch = RecordBatch::try_new(self.schema.clone(), columns).corrupt(writing)?;
        if self.group_rows == 0 {
            self.borders.extend(rows.hashes.first());
        }
        self.parquet.write(&batch).unavailable(writing)?;
        self.group_rows += rows.len();
        if self.group_rows >= ROW_GROUP_ROWS || self.parquet.in_progress_size() >= ROW_GROUP_BYTES {
            self.parquet.flush().unavailable(writing)?;
            self.group_rows = 0;
        }
        Ok(())
    }

    /// Makes the run durable under its name; until then it can be dropped without a trace.
    pub fn finish(mut self) -> Result<RunFile> {
        if !self.builder.is_empty() {
            self.write_batch()?;
        }
        let borders: Vec<String> = self.borders.iter().map(|hash| format!("{hash:016x}")).collect();
        self.parquet.append_key_value_metadata(KeyValue::new(BORDERS.to_owned(), borders.join(",")));
        self.parquet
            .append_key_value_metadata(KeyValue::new(CSV_BYTES.to_owned(), self.file.csv_bytes.to_string()));
        let object = self.parquet.into_inner().unavailable(|| format!("finish run {}", self.file.object))?;
        self.file.size_bytes = object.finish()?;
        Ok(self.file)
    }
}

fn arrow_schema(layout: &Layout) -> Schema {
    let of_column = |column: &model::layout::Column| {
        let data_type = match column.kind().storage() {
            Storage::String => DataType::Utf8,
            Storage::Long => DataType::Int64,
            Storage::Double => DataType::Float64,
            Storage::Boolean => DataType::Boolean,
        };
        // Events may lack what their schema does not let be null, so every column can be.
        let id = [("PARQUET:field_id".to_owned(), column.field_id.to_string())].into();
        Field::new(column.name(), data_type, true).with_metadata(id)
    };
    let own = [SEQUENCE, SPAN, COPIES].into_iter().map(|name| Field::new(name, DataType::UInt64, false));
    Schema::new(layout.columns.iter().map(of_column).chain(own).collect::<Vec<_>>())
}

fn properties(layout: &Layout) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(1).corrupt(|| "zstd has no level 1".to_owned())?;
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(vec![
            KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned()),
            KeyValue::new(SCHEMA_VERSION.to_owned(), layout.schema_version.to_string()),
        ]));
    // Sequence numbers of a sorted run jump about: packed differences beat a dictionary that would never repeat.
    properties = properties
        .set_column_dictionary_enabled(ColumnPath::from(SEQUENCE), false)
        .set_column_encoding(ColumnPath::from(SEQUENCE), Encoding::DELTA_BINARY_PACKED);
    Ok(properties.build())
}
