//! The merge of ordered runs into one stream: equal records become one.

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
    pub past: Past,
}

/// What is known of all records of a run.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub origin: Origin,
    /// Records with smaller sequence numbers are old.
    pub since: u64,
}

/// How equal records came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    pub is_bulk: bool,
    pub is_put: bool,
    /// Whether one of them is old.
    pub began_before: bool,
    /// Whether one of them is not.
    pub went_on_since: bool,
}

impl Mark {
    /// How a record of the run came.
    pub fn past(self, arrivals: Arrivals) -> Past {
        Past {
            is_bulk: self.origin == Origin::Bulk,
            is_put: self.origin == Origin::Put,
            began_before: arrivals.sequence_min < self.since,
            went_on_since: arrivals.sequence_max >= self.since,
        }
    }
}

impl Past {
    fn merge(&mut self, other: Past) {
        self.is_bulk |= other.is_bulk;
        self.is_put |= other.is_put;
        self.began_before |= other.began_before;
        self.went_on_since |= other.went_on_since;
    }
}

/// The next of a merge: as many records as come from one run alone, or one that had to be compared.
pub enum Piece {
    Span { rows: Arc<Rows>, range: Range<usize>, mark: Mark },
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
    batches: Batches,
    rows: Arc<Rows>,
    row: usize,
    mark: Mark,
}

impl Merge {
    /// Merges runs of which nobody asks how their records came.
    ///
    /// # Errors
    /// As `next_record`.
    pub fn new(layout: &Layout, runs: Vec<Batches>) -> Result<Merge> {
        let mark = Mark { origin: Origin::Bulk, since: 0 };
        Merge::marked(layout, runs.into_iter().map(|batches| (batches, mark)).collect())
    }

    /// # Errors
    /// As `next_record`.
    pub fn marked(layout: &Layout, runs: Vec<(Batches, Mark)>) -> Result<Merge> {
        let order = layout.record_order();
        let mut merge = Merge { sources: Vec::new(), heap: Vec::new(), order, rows_read: 0 };
        for (mut batches, mark) in runs {
            if let Some(rows) = next_batch(&mut batches)? {
                merge.sources.push(Source { batches, rows, row: 0, mark });
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
    /// Records below the next one of every other run come as a span. What spans tell of arrivals is in their rows.
    ///
    /// # Errors
    /// As `next_record`.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(&first) = self.heap.first() else { return Ok(None) };
        let end = self.end_of_span(&self.sources[first]);
        let source = &mut self.sources[first];
        let (rows, from, mark) = (source.rows.clone(), source.row, source.mark);
        if end == from {
            return self.next_record().map(|merged| merged.map(Piece::One));
        }
        source.row = end - 1;
        self.rows_read += (end - 1 - from) as u64;
        self.advance()?;
        Ok(Some(Piece::Span { rows, range: from..end, mark }))
    }

    // The end of what the first source has in hand below the second: most of it has a smaller hash.
    fn end_of_span(&self, first: &Source) -> usize {
        let Some(second) = self.second() else { return first.rows.len() };
        gallop(first.row..first.rows.len(), |row| {
            first.rows.compare(row, &second.rows, second.row, &self.order).is_lt()
        })
    }

    fn second(&self) -> Option<&Source> {
        let second = match self.heap.len() {
            0 | 1 => return None,
            2 => 1,
            _ => {
                if self.compare(2, 1).is_lt() {
                    2
                } else {
                    1
                }
            }
        };
        Some(&self.sources[self.heap[second]])
    }

    /// The next distinct record in record order.
    ///
    /// # Errors
    /// `Corrupt` when a run is damaged or out of order; `Unavailable` when a read fails (safe to retry).
    pub fn next_record(&mut self) -> Result<Option<Merged>> {
        let Some(&first) = self.heap.first() else { return Ok(None) };
        let source = &self.sources[first];
        let arrivals = source.rows.arrivals(source.row);
        let past = source.mark.past(arrivals);
        let mut merged = Merged { rows: source.rows.clone(), row: source.row, arrivals, past };
        self.advance()?;
        // Records of one run differ, so equals can only head other runs.
        while let Some(&next) = self.heap.first() {
            let source = &self.sources[next];
            if source.rows.compare(source.row, &merged.rows, merged.row, &self.order).is_ne() {
                break;
            }
            let arrivals = source.rows.arrivals(source.row);
            merged.past.merge(source.mark.past(arrivals));
            merged.arrivals.merge(arrivals);
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

// The first row that is not below a limit, as its forerunners are: nearly always near, so the steps grow.
fn gallop(rows: Range<usize>, is_below: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut step) = (rows.start, 1);
    while low < rows.end && is_below(rows.end.min(low + step) - 1) {
        low = rows.end.min(low + step);
        step *= 2;
    }
    let mut high = rows.end.min(low + step - 1).max(low);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_below(middle) { low = middle + 1 } else { high = middle }
    }
    low
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
