//! Sorted records, one at a time: piece after piece of a range of buckets, each sorted when its turn comes.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use model::error::Result;

use super::Taken;
use super::merged::{Merged, Strand};
use super::piece::Piece;
use crate::Arrivals;

/// Pieces end before they outgrow this, unless one bucket does: records and entries of one fit in a core's own cache.
const PIECE_BYTES: usize = 1 << 20;

/// A bucket that did not fit in memory, and is sorted already.
pub(super) struct Large {
    pub bucket: usize,
    pub strands: Vec<Strand>,
}

/// Sorted records, one at a time.
pub struct Sorted {
    taken: Arc<Taken>,
    /// Buckets whose turn is still to come, and those of them that are large.
    left: Range<usize>,
    large: VecDeque<Large>,
    piece: Piece,
    /// Read instead of the piece while it is there.
    merged: Option<Merged>,
    memory_bytes: usize,
}

impl Sorted {
    pub(super) fn new(
        taken: Arc<Taken>,
        buckets: Range<usize>,
        large: VecDeque<Large>,
        memory_bytes: usize,
    ) -> Sorted {
        Sorted { taken, left: buckets, large, piece: Piece::default(), merged: None, memory_bytes }
    }

    /// The next record in record order, its equals merged into it.
    pub fn next_record(&mut self) -> Result<Option<(&[u8], Arrivals)>> {
        if let Some(merged) = &mut self.merged
            && merged.is_empty()
        {
            self.merged = None;
        }
        if self.merged.is_none() && self.piece.is_empty() {
            self.load()?;
        }
        match &mut self.merged {
            Some(merged) => merged.next_record(),
            None => Ok(self.piece.next_record()),
        }
    }

    // Takes up the next buckets that hold records.
    fn load(&mut self) -> Result<()> {
        self.piece.clear();
        while self.piece.is_empty() && !self.left.is_empty() {
            if self.large.front().is_some_and(|large| large.bucket == self.left.start) {
                let strands = self.large.pop_front().map_or_else(Vec::new, |large| large.strands);
                self.left.start += 1;
                self.piece = Piece::default();
                self.merged = Some(Merged::open(strands, self.memory_bytes)?);
                return Ok(());
            }
            let buckets = self.next_buckets();
            self.left.start = buckets.end;
            for extent in self.taken.extents(buckets) {
                self.piece.add(&extent)?;
            }
            self.piece.sort()?;
        }
        Ok(())
    }

    fn next_buckets(&self) -> Range<usize> {
        let start = self.left.start;
        let border = self.large.front().map_or(self.left.end, |large| large.bucket);
        let mut size_bytes = self.taken.sizes[start];
        let mut end = start + 1;
        while end < border {
            size_bytes += self.taken.sizes[end];
            if size_bytes > PIECE_BYTES {
                break;
            }
            end += 1;
        }
        start..end
    }
}
