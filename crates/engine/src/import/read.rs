//! Reading a chunk: its records checked by the schema, encoded and sorted.

use csv::value::recycle;
use csv::{Records, Settings};
use model::error::{Error, Result};
use model::record::Value;
use store::sort::Closed;
use store::{Arrivals, Sorter};

use super::chunk::{Chunk, OpenFile};
use super::violated;
use crate::Progress;
use crate::metrics::Aggregator;

/// What one thread reads chunks into.
pub struct Reader {
    sorter: Sorter,
    encoded: Vec<u8>,
    /// Memory for the values of a record.
    spare: Vec<Value<'static>>,
    /// How many records each chunk had that this thread has read.
    rows: Vec<(usize, u64)>,
}

/// A record's number while nobody knows how many there are in the chunks before: the chunk's above the row's.
const ROW_BITS: u32 = 32;

impl Reader {
    pub fn new(sorter: Sorter) -> Reader {
        Reader { sorter, encoded: Vec::new(), spare: Vec::new(), rows: Vec::new() }
    }

    /// Reads the nth chunk; shows every record to `metrics` where there are some.
    pub fn read(
        &mut self,
        n: usize,
        chunk: &Chunk,
        mut metrics: Option<&mut Aggregator>,
        progress: &Progress,
    ) -> Result<()> {
        let (file, settings) = (&chunk.file, Settings { from: chunk.from, ..Settings::default() });
        let refuse = |violation| violated(&file.key, &violation);
        let mut records = Records::new(file.dialect, settings, &chunk.bytes);
        let first = (n as u64) << ROW_BITS;
        let mut rows = 0;
        loop {
            let is_read = match &mut metrics {
                Some(metrics) => self.show_next(&mut records, file, metrics)?,
                None => records.encode_next(&file.columns, &mut self.encoded).map_err(refuse)?,
            };
            if !is_read {
                break;
            }
            self.sorter.push(&self.encoded, Arrivals::once(first + rows))?;
            rows += 1;
        }
        self.rows.push((n, rows));
        progress.add(rows, chunk.read_bytes);
        Ok(())
    }

    // Metrics want the values of each record, which encoding alone never makes.
    fn show_next(
        &mut self,
        records: &mut Records<'_>,
        file: &OpenFile,
        metrics: &mut Aggregator,
    ) -> Result<bool> {
        let refuse = |violation| violated(&file.key, &violation);
        let Some(record) = records.next_record().map_err(refuse)? else { return Ok(false) };
        let mut values = recycle(std::mem::take(&mut self.spare));
        file.columns.read_values(&record, &mut values).map_err(refuse)?;
        metrics.push(&values)?;
        self.spare = recycle(values);
        file.columns.encode(&record, &mut self.encoded).map_err(refuse)?;
        Ok(true)
    }

    /// What was read, sorted, and the rows of each chunk.
    pub fn close(self) -> Result<(Closed, Vec<(usize, u64)>)> {
        Ok((self.sorter.close()?, self.rows))
    }
}

/// The sequence number of each chunk's first record.
pub struct Numbering(Vec<u64>);

impl Numbering {
    /// # Errors
    /// `Internal` when a chunk was read by nobody.
    pub fn new(mut rows: Vec<(usize, u64)>) -> Result<Numbering> {
        rows.sort_unstable();
        let mut next = 0;
        let mut firsts = Vec::with_capacity(rows.len());
        for (n, (chunk, rows)) in rows.into_iter().enumerate() {
            if n != chunk {
                return Err(Error::internal("a part of a file was not read"));
            }
            firsts.push(next);
            next += rows;
        }
        Ok(Numbering(firsts))
    }

    /// Numbers in file order, then in row order, from 0.
    pub fn number(&self, arrivals: Arrivals) -> Arrivals {
        let number = |place: u64| {
            let first = usize::try_from(place >> ROW_BITS).ok().and_then(|chunk| self.0.get(chunk));
            first.copied().unwrap_or(0) + (place & ((1 << ROW_BITS) - 1))
        };
        Arrivals {
            sequence_min: number(arrivals.sequence_min),
            sequence_max: number(arrivals.sequence_max),
            copies: arrivals.copies,
        }
    }
}
