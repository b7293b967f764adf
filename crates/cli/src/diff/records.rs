//! The records of an export, in one form whatever they are written as: the texts of the wanted columns as a line of CSV.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use csv::Splitter;
use flate2::write::MultiGzDecoder;
use model::error::{Context, Error, Result};
use model::export::{Compression, Format};
use model::record::Value;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::verify::place::Place;
use proof::rows::Form;

/// Takes a record.
pub type Take<'t> = &'t mut dyn FnMut(&[u8]) -> Result<()>;

/// Reads all records of a file; `scratch` is a file of nobody's, for what can't be read from its beginning.
///
/// # Errors
/// `Invalid` when the file is not of its form; those of the place and of `take`.
pub async fn read(
    place: &Place,
    name: &str,
    form: &Form,
    wanted: &[String],
    scratch: File,
    take: Take<'_>,
) -> Result<()> {
    let broken = || format!("{name} can't be read as {}", form.format.as_str());
    if form.format == Format::Parquet {
        let mut file = scratch;
        place.read_pieces(name, |piece| file.write_all(piece).unavailable(broken)).await?;
        file.rewind().unavailable(broken)?;
        return read_parquet(file, wanted, take).map_err(|cause| Error::invalid(broken()).caused_by(cause));
    }
    let mut decoder = Decoder::new(form, Lines::new(form, wanted, take)).unavailable(broken)?;
    place
        .read_pieces(name, |piece| {
            decoder.write(piece).map_err(|cause| Error::invalid(broken()).caused_by(cause))
        })
        .await?;
    decoder.end().map_err(|cause| Error::invalid(broken()).caused_by(cause))
}

enum Decoder<'t> {
    Plain(Box<Lines<'t>>),
    Gzip(Box<MultiGzDecoder<Lines<'t>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Lines<'t>>>),
}

impl<'t> Decoder<'t> {
    fn new(form: &Form, lines: Lines<'t>) -> io::Result<Decoder<'t>> {
        Ok(match form.compression {
            Compression::None => Decoder::Plain(Box::new(lines)),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(lines))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::stream::write::Decoder::new(lines)?)),
        })
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Decoder::Plain(lines) => lines.write_all(piece),
            Decoder::Gzip(decoder) => decoder.write_all(piece),
            Decoder::Zstd(decoder) => decoder.write_all(piece),
        }
    }

    fn end(self) -> io::Result<()> {
        let mut lines = match self {
            Decoder::Plain(lines) => *lines,
            Decoder::Gzip(decoder) => decoder.finish()?,
            Decoder::Zstd(mut decoder) => {
                decoder.flush()?;
                decoder.into_inner()
            }
        };
        lines.end()
    }
}

/// Text that comes piece by piece, cut into records.
struct Lines<'t> {
    format: Format,
    splitter: Splitter,
    /// The start of a line of JSON.
    rest: Vec<u8>,
    wanted: Vec<String>,
    /// Where the wanted columns stand in the header; absent before it came.
    places: Option<Vec<usize>>,
    record: Vec<u8>,
    take: Take<'t>,
}

impl<'t> Lines<'t> {
    fn new(form: &Form, wanted: &[String], take: Take<'t>) -> Lines<'t> {
        let splitter = Splitter::new(form.dialect, csv::Settings::default());
        let (rest, record) = (Vec::new(), Vec::new());
        Lines { format: form.format, splitter, rest, wanted: wanted.to_vec(), places: None, record, take }
    }

    fn end(&mut self) -> io::Result<()> {
        self.splitter.finish();
        self.take_csv()?;
        if self.rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn take_csv(&mut self) -> io::Result<()> {
        let wrong = |violation| io::Error::other(csv::failure_reason("the file", &violation));
        while let Some(record) = self.splitter.next_record().map_err(wrong)? {
            let text = |n: usize| String::from_utf8_lossy(record.field(n).unwrap_or_default()).into_owned();
            match &self.places {
                None => {
                    let header: Vec<String> = (0..record.field_count()).map(text).collect();
                    let place = |name: &String| header.iter().position(|column| column == name);
                    let places: Option<Vec<usize>> = self.wanted.iter().map(place).collect();
                    self.places = Some(places.ok_or_else(|| io::Error::other("a column is missing"))?);
                }
                Some(places) => {
                    let values: Vec<Value<'_>> =
                        places.iter().map(|n| Value::String(text(*n).into())).collect();
                    hand_on(&values, &mut self.record, &mut *self.take)?;
                }
            }
        }
        Ok(())
    }

    fn take_json(&mut self, line: &[u8]) -> io::Result<()> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)?;
        let values: Vec<Value<'_>> = self.wanted.iter().map(|name| json_value(object.get(name))).collect();
        hand_on(&values, &mut self.record, &mut *self.take)
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.format == Format::Csv {
            self.splitter.push(piece);
            self.take_csv()?;
            return Ok(piece.len());
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                self.take_json(&line)?;
            }
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hand_on(values: &[Value<'_>], record: &mut Vec<u8>, take: Take<'_>) -> io::Result<()> {
    record.clear();
    csv::write::write_record(values, record);
    take(record).map_err(|error| io::Error::other(error.chain()))
}

fn json_value(value: Option<&serde_json::Value>) -> Value<'_> {
    match value {
        Some(serde_json::Value::String(text)) => Value::String(text.as_str().into()),
        Some(serde_json::Value::Bool(truth)) => Value::Boolean(*truth),
        Some(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(number) => Value::Long(number),
            None => number.as_f64().map_or(Value::Null, Value::Double),
        },
        _ => Value::Null,
    }
}

fn read_parquet(file: File, wanted: &[String], take: Take<'_>) -> io::Result<()> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(io::Error::other)?;
    let reader = reader.with_batch_size(1024).build().map_err(io::Error::other)?;
    let mut record = Vec::new();
    for batch in reader {
        let batch: RecordBatch = batch.map_err(io::Error::other)?;
        let column = |name: &String| batch.column_by_name(name).map(Arc::clone);
        let columns: Option<Vec<ArrayRef>> = wanted.iter().map(column).collect();
        let columns = columns.ok_or_else(|| io::Error::other("a column is missing"))?;
        for row in 0..batch.num_rows() {
            let values: Vec<Value<'_>> = columns.iter().map(|column| parquet_value(column, row)).collect();
            hand_on(&values, &mut record, take)?;
        }
    }
    Ok(())
}

fn parquet_value(column: &ArrayRef, row: usize) -> Value<'_> {
    if column.is_null(row) {
        return Value::Null;
    }
    if let Some(texts) = column.as_string_opt::<i32>() {
        Value::String(texts.value(row).into())
    } else if let Some(numbers) = column.as_primitive_opt::<Int32Type>() {
        Value::Long(numbers.value(row).into())
    } else if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        Value::Long(numbers.value(row))
    } else if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        Value::Double(numbers.value(row))
    } else {
        column.as_boolean_opt().map_or(Value::Null, |truths| Value::Boolean(truths.value(row)))
    }
}
