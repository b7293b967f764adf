//! Items and users: which of the distinct records of one id are written, and in which order.

use std::ops::Range;
use std::sync::Arc;

use model::error::Result;
use model::{IngestionMode, Layout};
use store::merge::Mark;
use store::{Arrivals, Rows, ScratchFolder, Sorter};

use super::member::Member;
use super::sink::Sink;

/// Gathers the records of one id: they are written in order of arrival, or only the newest is.
pub struct Chooser {
    id_column: usize,
    keeps_newest: bool,
    /// The records in hand; where there are many, the others are in `sorter`.
    members: Vec<Member>,
    /// What the records in hand take, about.
    members_bytes: usize,
    sorter: Option<Sorter>,
    /// How many records of the group went to the sorter.
    sorted: u64,
    scratch: ScratchFolder,
    memory_bytes: usize,
}

impl Chooser {
    /// `scratch` is a folder of its own, which it makes when one id has more records than `memory_bytes` hold.
    pub fn new(layout: &Layout, mode: IngestionMode, scratch: ScratchFolder, memory_bytes: usize) -> Chooser {
        Chooser {
            id_column: layout.id_column(),
            keeps_newest: mode == IngestionMode::All,
            members: Vec::new(),
            members_bytes: 0,
            sorter: None,
            sorted: 0,
            scratch,
            memory_bytes,
        }
    }

    /// Takes records that are next to each other in one batch.
    pub fn push_span(
        &mut self,
        rows: &Arc<Rows>,
        range: Range<usize>,
        mark: Mark,
        out: &mut Sink<'_>,
    ) -> Result<()> {
        let hashes = &rows.hashes;
        let mut row = range.start;
        while row < range.end {
            let alone = self.alone(hashes, row, range.end);
            if alone > row {
                self.end(out)?;
                out.keep_span(rows, row..alone, mark)?;
                row = alone;
            } else {
                self.push(Member::of_span(rows, row, mark), out)?;
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

    pub fn push(&mut self, member: Member, out: &mut Sink<'_>) -> Result<()> {
        let belongs =
            |known: &Member| member.rows.same_id(member.row, &known.rows, known.row, self.id_column);
        if !self.members.last().is_some_and(belongs) {
            self.end(out)?;
        } else if self.keeps_newest {
            return self.keep_newer(member, out);
        } else if self.members_bytes >= self.memory_bytes / 2 {
            self.sort_away(out)?;
        }
        self.members_bytes += size_of::<Member>() + member.rows.mean_size_bytes();
        self.members.push(member);
        Ok(())
    }

    fn keep_newer(&mut self, member: Member, out: &mut Sink<'_>) -> Result<()> {
        if member.arrivals.sequence_max > self.members[0].arrivals.sequence_max {
            out.supersede(&std::mem::replace(&mut self.members[0], member))
        } else {
            out.supersede(&member)
        }
    }

    /// Writes the group in hand. Exact duplicates stand where the first of them arrived.
    pub fn end(&mut self, out: &mut Sink<'_>) -> Result<()> {
        if self.sorter.is_some() {
            self.sort_away(out)?;
        }
        if let Some(sorter) = self.sorter.take() {
            let mut sorted = sorter.finish()?;
            while let Some((entry, _)) = sorted.next_record()? {
                out.write_line(&entry[KEY_BYTES..])?;
            }
        }
        self.members.sort_by_key(|m| m.arrivals.sequence_min);
        for member in self.members.drain(..) {
            out.keep(&member)?;
        }
        (self.members_bytes, self.sorted) = (0, 0);
        Ok(())
    }

    // The sorter orders lines by their arrival and, of one arrival, as they came.
    fn sort_away(&mut self, out: &mut Sink<'_>) -> Result<()> {
        let sorter = self.sorter.get_or_insert_with(|| Sorter::new(&self.scratch, self.memory_bytes / 2));
        let mut entry = Vec::new();
        for member in self.members.drain(..) {
            let Some(line) = out.line(&member) else { continue };
            entry.clear();
            entry.extend_from_slice(&member.arrivals.sequence_min.to_be_bytes());
            entry.extend_from_slice(&self.sorted.to_be_bytes());
            entry.extend_from_slice(line);
            sorter.push(&entry, Arrivals::once(0))?;
            self.sorted += 1;
        }
        self.members_bytes = 0;
        Ok(())
    }
}

/// The arrival and the number of a line in the sorter.
const KEY_BYTES: usize = 16;
