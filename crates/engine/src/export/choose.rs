//! Items and users: which of the distinct records of one id are written, and in which order.

use std::ops::Range;
use std::sync::Arc;

use model::error::Result;
use model::{IngestionMode, Layout};
use store::{Arrivals, Rows};

use super::encode::Encoder;

/// Gathers the records of one id: they are written in order of arrival, or only the newest is.
pub struct Chooser {
    id_column: usize,
    keeps_newest: bool,
    members: Vec<Member>,
}

struct Member {
    rows: Arc<Rows>,
    row: usize,
    arrivals: Arrivals,
}

impl Chooser {
    pub fn new(layout: &Layout, mode: IngestionMode) -> Chooser {
        let keeps_newest = mode == IngestionMode::All;
        Chooser { id_column: layout.id_column(), keeps_newest, members: Vec::new() }
    }

    /// Takes records that are next to each other in one batch.
    pub fn push_span(&mut self, rows: &Arc<Rows>, range: Range<usize>, out: &mut Encoder<'_>) -> Result<()> {
        let hashes = &rows.hashes;
        let mut row = range.start;
        while row < range.end {
            let alone = self.alone(hashes, row, range.end);
            if alone > row {
                self.end(out)?;
                out.write(rows, row..alone)?;
                row = alone;
            } else {
                self.push(rows.clone(), row, rows.arrivals(row), out)?;
                row += 1;
            }
        }
        Ok(())
    }

    // The end of the records from `row` on whose ids have no other record: those whose hash neither the group in hand nor
    // a neighbour has. The last one's next neighbour is not known yet.
    fn alone(&self, hashes: &[u64], row: usize, end: usize) -> usize {
        if self.members.last().is_some_and(|m| m.rows.hashes[m.row] == hashes[row]) {
            return row;
        }
        let twins = hashes[row..end].windows(2).position(|pair| pair[0] == pair[1]);
        row + twins.unwrap_or(end - row - 1)
    }

    pub fn push(
        &mut self,
        rows: Arc<Rows>,
        row: usize,
        arrivals: Arrivals,
        out: &mut Encoder<'_>,
    ) -> Result<()> {
        let belongs = |member: &Member| rows.same_id(row, &member.rows, member.row, self.id_column);
        if !self.members.last().is_some_and(belongs) {
            self.end(out)?;
        } else if self.keeps_newest {
            if arrivals.sequence_max > self.members[0].arrivals.sequence_max {
                self.members[0] = Member { rows, row, arrivals };
            }
            return Ok(());
        }
        self.members.push(Member { rows, row, arrivals });
        Ok(())
    }

    /// Writes the group in hand. Exact duplicates stand where the first of them arrived.
    pub fn end(&mut self, out: &mut Encoder<'_>) -> Result<()> {
        self.members.sort_by_key(|m| m.arrivals.sequence_min);
        for member in self.members.drain(..) {
            out.write(&member.rows, member.row..member.row + 1)?;
        }
        Ok(())
    }
}
