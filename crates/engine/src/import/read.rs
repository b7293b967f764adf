//! Reading a chunk: its records checked by the schema, encoded and sorted.

use csv::value::recycle;
use csv::{Records, Rule, Settings, Violation};
use model::error::{Error, Result};
use model::record::Value;
use store::sort::Closed;
use store::{Arrivals, Sorter};

use super::chunk::{Chunk, OpenFile};
use super::rejects::{Collector, Wrong};
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

    /// Reads the nth chunk; shows every record to `metrics` where there are some, and every row that breaks a rule to
    /// `rejects`.
    pub fn read(
        &mut self,
        n: usize,
        chunk: &Chunk,
        mut metrics: Option<&mut Aggregator>,
        rejects: &Collector<'_>,
        progress: &Progress,
    ) -> Result<()> {
        let (file, settings) = (&chunk.file, Settings { from: chunk.from, ..Settings::default() });
        let mut records = Records::new(file.dialect, settings, &chunk.bytes);
        let first = (n as u64) << ROW_BITS;
        let (mut rows, mut wrong) = (0, Wrong::default());
        // Of an import that has failed nothing is wanted but what else is wrong.
        let is_sorted = !rejects.is_failed();
        loop {
            let before = records.byte();
            let is_read = match &mut metrics {
                Some(metrics) => self.show_next(&mut records, file, metrics)?,
                None => records.encode_next(&file.columns, &mut self.encoded),
            };
            match is_read {
                Ok(true) if is_sorted => self.sorter.push(&self.encoded, Arrivals::once(first + rows))?,
                Ok(true) => {}
                Ok(false) => break,
                Err(violation) => {
                    wrong.add(violation, chunk, before..records.byte(), rejects);
                    if wrong.ends_file {
                        break;
                    }
                    continue;
                }
            }
            rows += 1;
        }
        self.rows.push((n, rows));
        progress.add(rows + wrong.count, chunk.read_bytes);
        rejects.note(n, file, wrong)
    }

    // Metrics want the values of each record, which encoding alone never makes.
    fn show_next(
        &mut self,
        records: &mut Records<'_>,
        file: &OpenFile,
        metrics: &mut Aggregator,
    ) -> Result<Result<bool, Violation>> {
        let record = match records.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Ok(false)),
            Err(violation) => return Ok(Err(violation)),
        };
        let mut values = recycle(std::mem::take(&mut self.spare));
        if let Err(violation) = file.columns.read_values(&record, &mut values) {
            return Ok(Err(violation));
        }
        metrics.push(&values)?;
        self.spare = recycle(values);
        Ok(file.columns.encode(&record, &mut self.encoded).map(|()| true))
    }

    /// What was read, sorted, and the rows of each chunk.
    pub fn close(self) -> Result<(Closed, Vec<(usize, u64)>)> {
        Ok((self.sorter.close()?, self.rows))
    }
}

impl Wrong {
    // `place` are bytes of the file: from behind the row before to behind this one, or to where it went wrong.
    #[cold]
    fn add(
        &mut self,
        violation: Violation,
        chunk: &Chunk,
        place: std::ops::Range<u64>,
        rejects: &Collector<'_>,
    ) {
        let rejecting = rejects.rejecting();
        self.count += 1;
        self.ends_file = violation.rule.ends_file();
        let start = place.start.max(self.skipped_to);
        let end = if violation.rule == Rule::TextAfterQuote { line_end(chunk, place.end) } else { place.end };
        self.skipped_to = end;
        if self.count <= rejecting.tolerated && !self.ends_file {
            self.rows.extend_from_slice(row(chunk, start..end));
            if !self.rows.ends_with(b"\n") {
                self.rows.push(b'\n');
            }
        }
        if self.told.len() < rejecting.told_max {
            self.told.push(violation);
        }
    }
}

// The place behind the line that a place is in.
fn line_end(chunk: &Chunk, place: u64) -> u64 {
    let rest = &chunk.bytes[offset(chunk, place)..];
    place + rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1) as u64
}

// The row with its line's end, without the blank lines before it.
fn row(chunk: &Chunk, place: std::ops::Range<u64>) -> &[u8] {
    let mut text = &chunk.bytes[offset(chunk, place.start)..offset(chunk, place.end)];
    // A carriage return that ends no line is text of the row.
    while let Some(rest) = text.strip_prefix(b"\n").or_else(|| text.strip_prefix(b"\r\n")) {
        text = rest;
    }
    text
}

fn offset(chunk: &Chunk, place: u64) -> usize {
    usize::try_from(place - chunk.from.byte).unwrap_or(usize::MAX).min(chunk.bytes.len())
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
