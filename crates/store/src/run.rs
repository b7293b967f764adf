//! A run: an immutable, ordered, exactly deduplicated set of records of one origin, in plain Parquet (docs/format.md).

mod chunk;
mod column;
mod dictionary;
mod group;
pub mod look;
mod pack;
mod read;
mod sums;

pub use group::{ROW_GROUP_BYTES, ROW_GROUP_ROWS, RowGroup, RowGroupFormat, RowGroups};
pub use read::{EVERYTHING, OpenRun, Place, RunReader};

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use model::Layout;
use model::error::{Context, Error, Result};
use model::schema::Storage;
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;

use crate::Arrivals;
use crate::objects::Objects;
use crate::rows::Rows;
use sums::{PageSum, Pages, RunSink};

/// The version of the format, in each run's footer.
const FORMAT: &str = "2";
const FORMAT_KEY: &str = "lade.format";
const SCHEMA_VERSION: &str = "lade.schema_version";
const SEQUENCE: &str = "_SEQ";
/// `sequence_max - sequence_min`: nearly always 0, so it costs nothing.
const SPAN: &str = "_SEQ_SPAN";
const COPIES: &str = "_COPIES";
const CSV_BYTES: &str = "lade.csv_bytes";
const BORDERS: &str = "lade.borders";
const PAGES: &str = "lade.pages";

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
    format: Arc<RowGroupFormat>,
    groups: RowGroups,
    parquet: SerializedFileWriter<RunSink>,
    file: RunFile,
    /// The hash of the first record of each row group: the borders where work can be split.
    borders: Vec<u64>,
    /// Of all pages, in the order of the file.
    sums: Vec<PageSum>,
}

impl RunWriter {
    pub fn create(objects: &Objects, object: &str, layout: &Layout) -> Result<RunWriter> {
        let beginning = || format!("begin run {object}");
        let schema = ArrowSchemaConverter::new().convert(&arrow_schema(layout)).corrupt(beginning)?;
        let format = RowGroupFormat::new(layout, schema.columns())
            .ok_or_else(|| Error::internal("a run has no columns of its own"))?;
        let format = Arc::new(format);
        let properties = Arc::new(properties(layout));
        let sink = RunSink::new(objects.create(object)?);
        let parquet = SerializedFileWriter::new(sink, schema.root_schema_ptr(), properties);
        let file = RunFile { object: object.to_owned(), rows: 0, records: 0, csv_bytes: 0, size_bytes: 0 };
        Ok(RunWriter {
            groups: RowGroups::new(&format)?,
            format,
            parquet: parquet.unavailable(beginning)?,
            file,
            borders: Vec::new(),
            sums: Vec::new(),
        })
    }

    /// Adds a record from its canonical bytes.
    pub fn push_record(&mut self, record: &[u8], arrivals: Arrivals) -> Result<()> {
        let group = self.groups.push_record(record, arrivals)?;
        group.map_or(Ok(()), |group| self.append(group))
    }

    /// Adds a record of a batch.
    pub fn push_row(&mut self, rows: &Rows, row: usize, arrivals: Arrivals) -> Result<()> {
        let group = self.groups.push_row(rows, row, arrivals)?;
        group.map_or(Ok(()), |group| self.append(group))
    }

    /// What other threads need to make row groups for this run.
    pub fn format(&self) -> &Arc<RowGroupFormat> {
        &self.format
    }

    /// Adds a row group; its records follow those of the one before.
    pub fn append(&mut self, group: RowGroup) -> Result<()> {
        let writing = || format!("write run {}", self.file.object);
        let mut writer = self.parquet.next_row_group().unavailable(writing)?;
        for column in group.columns {
            writer.append_column(&column.bytes, column.close).unavailable(writing)?;
            self.sums.extend(column.sums);
        }
        writer.close().unavailable(writing)?;
        self.borders.push(group.border);
        self.file.rows += group.rows;
        self.file.records += group.records;
        self.file.csv_bytes += group.csv_bytes;
        Ok(())
    }

    /// Makes the run durable under its name; until then it can be dropped without a trace.
    pub fn finish(mut self) -> Result<RunFile> {
        if let Some(group) = self.groups.finish()? {
            self.append(group)?;
        }
        let borders: Vec<String> = self.borders.iter().map(|hash| format!("{hash:016x}")).collect();
        self.parquet.append_key_value_metadata(KeyValue::new(BORDERS.to_owned(), borders.join(",")));
        self.parquet
            .append_key_value_metadata(KeyValue::new(CSV_BYTES.to_owned(), self.file.csv_bytes.to_string()));
        self.parquet.append_key_value_metadata(KeyValue::new(PAGES.to_owned(), Pages::text(&self.sums)));
        let finishing = || format!("finish run {}", self.file.object);
        self.parquet.flush().unavailable(finishing)?;
        self.parquet.inner_mut().begin_footer();
        let sink = self.parquet.into_inner().unavailable(finishing)?;
        self.file.size_bytes = sink.finish(&self.file.object)?;
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

fn properties(layout: &Layout) -> WriterProperties {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_key_value_metadata(Some(vec![
            KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned()),
            KeyValue::new(SCHEMA_VERSION.to_owned(), layout.schema_version.to_string()),
        ]))
        .build()
}

#[cfg(test)]
mod tests;
