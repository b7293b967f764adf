//! Records collected into a batch, one at a time.

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use model::error::{Error, Result};
use model::record::Value;
use model::schema::Storage;
use model::{Layout, record};

use super::{BATCH_BYTES, BATCH_ROWS, Rows, Values, csv_size};
use crate::Arrivals;

/// Collects records into a batch.
pub struct RowsBuilder {
    codec: record::Codec,
    columns: Vec<Builder>,
    hashes: Vec<u64>,
    arrivals: Vec<Arrivals>,
    csv_bytes: u64,
}

enum Builder {
    Strings(StringBuilder),
    Longs(Int64Builder),
    Doubles(Float64Builder),
    Booleans(BooleanBuilder),
}

impl RowsBuilder {
    pub fn new(layout: &Layout) -> RowsBuilder {
        let builder = |storage| match storage {
            Storage::String => Builder::Strings(StringBuilder::new()),
            Storage::Long => Builder::Longs(Int64Builder::new()),
            Storage::Double => Builder::Doubles(Float64Builder::new()),
            Storage::Boolean => Builder::Booleans(BooleanBuilder::new()),
        };
        RowsBuilder {
            codec: record::Codec::new(layout),
            columns: layout.columns.iter().map(|c| builder(c.kind().storage())).collect(),
            hashes: Vec::new(),
            arrivals: Vec::new(),
            csv_bytes: 0,
        }
    }

    /// Whether the batch is large enough to be taken.
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS || self.csv_bytes >= BATCH_BYTES
    }

    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Adds a record from its canonical bytes; returns the size it has as CSV.
    pub fn push_record(&mut self, bytes: &[u8], arrivals: Arrivals) -> Result<u64> {
        let mut values = Vec::with_capacity(self.columns.len());
        self.codec.decode(bytes, &mut values)?;
        self.push(record::hash_of(bytes), &values, arrivals)
    }

    fn push(&mut self, hash: u64, values: &[Value<'_>], arrivals: Arrivals) -> Result<u64> {
        let mut csv_bytes = 0;
        for (builder, value) in self.columns.iter_mut().zip(values) {
            builder.push(value)?;
            csv_bytes += 1 + csv_size(value);
        }
        self.hashes.push(hash);
        self.arrivals.push(arrivals);
        self.csv_bytes += csv_bytes;
        Ok(csv_bytes)
    }

    /// The batch collected so far; the builder starts anew.
    pub fn take(&mut self) -> Rows {
        self.csv_bytes = 0;
        Rows {
            hashes: std::mem::take(&mut self.hashes),
            columns: self.columns.iter_mut().map(Builder::take).collect(),
            arrivals: std::mem::take(&mut self.arrivals),
        }
    }
}

impl Builder {
    fn push(&mut self, value: &Value<'_>) -> Result<()> {
        match (self, value) {
            (Builder::Strings(b), Value::String(text)) => b.append_value(text),
            (Builder::Longs(b), Value::Long(number)) => b.append_value(*number),
            (Builder::Doubles(b), Value::Double(number)) => b.append_value(*number),
            (Builder::Booleans(b), Value::Boolean(truth)) => b.append_value(*truth),
            (Builder::Strings(b), Value::Null) => b.append_null(),
            (Builder::Longs(b), Value::Null) => b.append_null(),
            (Builder::Doubles(b), Value::Null) => b.append_null(),
            (Builder::Booleans(b), Value::Null) => b.append_null(),
            _ => return Err(Error::corrupt("a stored record has a value of another type than its column")),
        }
        Ok(())
    }

    fn take(&mut self) -> Values {
        match self {
            Builder::Strings(b) => Values::Strings(b.finish()),
            Builder::Longs(b) => Values::Longs(b.finish()),
            Builder::Doubles(b) => Values::Doubles(b.finish()),
            Builder::Booleans(b) => Values::Booleans(b.finish()),
        }
    }
}
