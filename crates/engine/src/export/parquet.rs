//! Parquet files, written batch by batch from the values that units encode.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use model::error::{Error, Result};
use model::export::Compression;
use model::schema::Kind;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as PageCompression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Records that are encoded at once: as many, or as many bytes.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;
/// A row group ends at either.
const GROUP_ROWS: usize = 1 << 19;
const GROUP_BYTES: usize = 32 << 20;

/// A file in the making; holds the values of one batch and the encoded ones of one row group.
pub struct ParquetContent {
    schema: SchemaRef,
    columns: Vec<Column>,
    writer: ArrowWriter<Stored>,
    batch_rows: usize,
    batch_bytes: usize,
    group_rows: usize,
    group_bytes: usize,
}

/// What was written and not yet taken.
#[derive(Default)]
struct Stored(Vec<u8>);

enum Column {
    Text(StringBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
}

impl ParquetContent {
    /// `columns` are names and kinds; without a kind they are texts.
    pub fn begin(columns: &[(String, Option<Kind>)], compression: Compression) -> Result<ParquetContent> {
        // Events may lack what their schema does not let be null, so every column can be.
        let field = |(name, kind): &(String, Option<Kind>)| Field::new(name, data_type(*kind), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let compression = match compression {
            Compression::Zstd => PageCompression::ZSTD(ZstdLevel::default()),
            _ => PageCompression::UNCOMPRESSED,
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(None)
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Stored::default(), schema.clone(), options);
        Ok(ParquetContent {
            columns: columns.iter().map(|(_, kind)| Column::new(*kind)).collect(),
            schema,
            writer: writer.map_err(failed)?,
            batch_rows: 0,
            batch_bytes: 0,
            group_rows: 0,
            group_bytes: 0,
        })
    }

    /// Takes whole records; gives what is to be stored.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>> {
        while !bytes.is_empty() {
            let len = bytes.len();
            for column in &mut self.columns {
                column.push(&mut bytes).ok_or_else(unread)?;
            }
            self.batch_bytes += len - bytes.len();
            self.batch_rows += 1;
            if self.batch_rows == BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
                self.write_batch()?;
            }
        }
        Ok(self.take())
    }

    /// What is left to be stored.
    pub fn end(mut self) -> Result<Vec<u8>> {
        self.write_batch()?;
        self.writer.finish().map_err(failed)?;
        Ok(self.take())
    }

    // Batches and row groups end where the values alone say so.
    fn write_batch(&mut self) -> Result<()> {
        if self.batch_rows > 0 {
            let arrays = self.columns.iter_mut().map(Column::finish).collect();
            let batch = RecordBatch::try_new(self.schema.clone(), arrays)
                .map_err(|cause| Error::internal("gather a batch of Parquet").caused_by(cause))?;
            self.writer.write(&batch).map_err(failed)?;
            self.group_rows += std::mem::take(&mut self.batch_rows);
            self.group_bytes += std::mem::take(&mut self.batch_bytes);
        }
        if self.group_rows >= GROUP_ROWS || self.group_bytes >= GROUP_BYTES {
            self.writer.flush().map_err(failed)?;
            self.writer.sync().map_err(|cause| failed(cause.into()))?;
            (self.group_rows, self.group_bytes) = (0, 0);
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.writer.inner_mut().0)
    }
}

impl Column {
    fn new(kind: Option<Kind>) -> Column {
        match kind {
            None | Some(Kind::String) => Column::Text(StringBuilder::new()),
            Some(Kind::Int) => Column::Int(Int32Builder::new()),
            Some(Kind::Long) => Column::Long(Int64Builder::new()),
            Some(Kind::Float | Kind::Double) => Column::Double(Float64Builder::new()),
            Some(Kind::Boolean) => Column::Boolean(BooleanBuilder::new()),
        }
    }

    // Reads a value as `LineWriter` wrote it.
    fn push(&mut self, bytes: &mut &[u8]) -> Option<()> {
        if take(bytes, 1)? == [0] {
            self.push_null();
            return Some(());
        }
        match self {
            Column::Text(builder) => {
                let len = usize::try_from(u64::from_le_bytes(number(bytes)?)).ok()?;
                builder.append_value(std::str::from_utf8(take(bytes, len)?).ok()?);
            }
            Column::Int(builder) => {
                builder.append_value(i32::try_from(i64::from_le_bytes(number(bytes)?)).ok()?);
            }
            Column::Long(builder) => builder.append_value(i64::from_le_bytes(number(bytes)?)),
            Column::Double(builder) => builder.append_value(f64::from_le_bytes(number(bytes)?)),
            Column::Boolean(builder) => builder.append_value(take(bytes, 1)? == [1]),
        }
        Some(())
    }

    fn push_null(&mut self) {
        match self {
            Column::Text(builder) => builder.append_null(),
            Column::Int(builder) => builder.append_null(),
            Column::Long(builder) => builder.append_null(),
            Column::Double(builder) => builder.append_null(),
            Column::Boolean(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Int(builder) => Arc::new(builder.finish()),
            Column::Long(builder) => Arc::new(builder.finish()),
            Column::Double(builder) => Arc::new(builder.finish()),
            Column::Boolean(builder) => Arc::new(builder.finish()),
        }
    }
}

impl Write for Stored {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// Fractions are kept in the wide form, so that 19.99 stays 19.99.
fn data_type(kind: Option<Kind>) -> DataType {
    match kind {
        None | Some(Kind::String) => DataType::Utf8,
        Some(Kind::Int) => DataType::Int32,
        Some(Kind::Long) => DataType::Int64,
        Some(Kind::Float | Kind::Double) => DataType::Float64,
        Some(Kind::Boolean) => DataType::Boolean,
    }
}

fn take<'b>(bytes: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<[u8; 8]> {
    take(bytes, 8)?.first_chunk().copied()
}

fn unread() -> Error {
    Error::corrupt("a value does not fit the type that the schema gives it")
}

fn failed(cause: parquet::errors::ParquetError) -> Error {
    Error::internal("write a Parquet file").caused_by(cause)
}
