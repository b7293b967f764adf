//! The merge of ordered runs into one stream: equal records become one, and every record knows where it came from.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use model::error::{Error, Result};
use model::{Layout, Origin};

use crate::Arrivals;
use crate::rows::Rows;

/// Batches of one run, in record order.
pub type Batches = Box<dyn Iterator<Item = Result<Arc<Rows>>> + Send>;

/// One distinct record.
#[derive(Clone, Debug)]
pub struct Merged {
    pub rows: Arc<Rows>,
    pub row: usize,
    pub arrivals: Arrivals,
    /// How many of the copies came in bulk.
    pub bulk_copies: u64,
    /// How many came one by one.
    pub put_copies: u64,
}

/// The next of a merge: as many records as come from one run alone, or one that had to be compared.
pub enum Piece {
    Span { rows: Arc<Rows>, range: Range<usize> },
    One(Merged),
}

/// Merges ordered runs into one stream, dropping records that are equal in all columns.
///
/// Takes runs of one dataset, each in record order (docs/format.md), and holds one batch of each in memory.
///
/// Source: "Exporting a dataset", records that match exactly for all fields.
pub struct Merge {
    sources: Vec<Source>,
    /// A heap of sources by their next record, the smallest first.
    heap: Vec<usize>,
    order: Vec<usize>,
    rows_read: u64,
}

struct Source {
    origin: Origin,
    batches: Batches,
    rows: Arc<Rows>,
    row: usize,
}

impl Merge {
    /// # Errors
    /// As `next_record`.
    pub fn new(layout: &Layout, runs: Vec<(Origin, Batches)>) -> Result<Merge> {
        let order = layout.record_order();
        let mut merge = Merge { sources: Vec::new(), heap: Vec::new(), order, rows_read: 0 };
        for (origin, mut batches) in runs {
            if let Some(rows) = next_batch(&mut batches)? {
                merge.sources.push(Source { origin, batches, rows, row: 0 });
            }
        }
        merge.heap = (0..merge.sources.len()).collect();
        for n in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(n);
        }
        Ok(merge)
    }

    /// How many records were read from the runs so far.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// The next distinct records in record order.
    ///
    /// Records below the next hash of every other run need no comparison: they come as a span. What spans tell of
    /// arrivals is in their rows.
    ///
    /// # Errors
    /// As `next_record`.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(&first) = self.heap.first() else { return Ok(None) };
        let others = self.heap.iter().skip(1).take(2).map(|&n| &self.sources[n]);
        let limit = others.map(|source| source.rows.hashes[source.row]).min();
        let source = &mut self.sources[first];
        let (rows, from) = (source.rows.clone(), source.row);
        let end = limit.map_or(rows.len(), |limit| gallop(&rows.hashes, from, limit));
        if end == from {
            return self.next_record().map(|merged| merged.map(Piece::One));
        }
        source.row = end - 1;
        self.rows_read += (end - 1 - from) as u64;
        self.advance()?;
        Ok(Some(Piece::Span { rows, range: from..end }))
    }

    /// The next distinct record in record order.
    ///
    /// # Errors
    /// `Corrupt` when a run is damaged or out of order; `Unavailable` when a read fails (safe to retry).
    pub fn next_record(&mut self) -> Result<Option<Merged>> {
        let Some(&first) = self.heap.first() else { return Ok(None) };
        let source = &self.sources[first];
        let arrivals = source.rows.arrivals(source.row);
        let mut merged =
            Merged { rows: source.rows.clone(), row: source.row, arrivals, bulk_copies: 0, put_copies: 0 };
        merged.count(source.origin, arrivals.copies);
        self.advance()?;
        // Records of one run differ, so equals can only head other runs.
        while let Some(&next) = self.heap.first() {
            let source = &self.sources[next];
            if source.rows.compare(source.row, &merged.rows, merged.row, &self.order).is_ne() {
                break;
            }
            let arrivals = source.rows.arrivals(source.row);
            merged.arrivals.merge(arrivals);
            merged.count(source.origin, arrivals.copies);
            self.advance()?;
        }
        Ok(Some(merged))
    }

    /// Moves the source at the top of the heap to its next record.
    fn advance(&mut self) -> Result<()> {
        let source = &mut self.sources[self.heap[0]];
        source.row += 1;
        self.rows_read += 1;
        if source.row < source.rows.len() {
            if source.rows.hashes[source.row] < source.rows.hashes[source.row - 1] {
                return Err(out_of_order());
            }
        } else if let Some(rows) = next_batch(&mut source.batches)? {
            if rows.hashes[0] < source.rows.hashes[source.row - 1] {
                return Err(out_of_order());
            }
            (source.rows, source.row) = (rows, 0);
        } else {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut smallest = at;
            for child in [left, right] {
                if child < self.heap.len() && self.compare(child, smallest).is_lt() {
                    smallest = child;
                }
            }
            if smallest == at {
                return;
            }
            self.heap.swap(at, smallest);
            at = smallest;
        }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (&self.sources[self.heap[a]], &self.sources[self.heap[b]]);
        a.rows.compare(a.row, &b.rows, b.row, &self.order)
    }
}

impl Merged {
    fn count(&mut self, origin: Origin, copies: u64) {
        match origin {
            Origin::Bulk => self.bulk_copies += copies,
            Origin::Put => self.put_copies += copies,
        }
    }
}

// The first record at `from` or behind it whose hash is not below `limit`: nearly always near, so the steps grow.
fn gallop(hashes: &[u64], from: usize, limit: u64) -> usize {
    let (mut low, mut step) = (from, 1);
    while low + step < hashes.len() && hashes[low + step] < limit {
        low += step;
        step *= 2;
    }
    let high = hashes.len().min(low + step + 1);
    low + hashes[low..high].partition_point(|hash| *hash < limit)
}

// An empty batch says nothing; only the end does.
fn next_batch(batches: &mut Batches) -> Result<Option<Arc<Rows>>> {
    loop {
        match batches.next().transpose()? {
            Some(rows) if rows.is_empty() => {}
            other => return Ok(other),
        }
    }
}

fn out_of_order() -> Error {
    Error::corrupt("a run is out of order")
}

#[cfg(test)]
mod tests;
