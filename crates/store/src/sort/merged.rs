//! Sorted strands of a file, merged into one order.

use std::ops::Range;
use std::sync::Arc;

use model::error::Result;
use model::record::hash_of;

use super::form;
use super::scratch::ScratchFile;
use crate::Arrivals;

const BUFFER_BYTES_MIN: usize = 16 << 10;
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// Records in their stored form and in record order, without equal ones.
pub(super) struct Strand {
    pub file: Arc<ScratchFile>,
    pub range: Range<u64>,
}

/// Merges strands; equal records become one.
pub(super) struct Merged {
    strands: Vec<StrandReader>,
    /// The hash of each strand's next record.
    hashes: Vec<u64>,
    /// The strands whose next record has the smallest hash, the one with the smallest record last: only these need
    /// comparing.
    tied: Vec<usize>,
    current: Vec<u8>,
}

impl Merged {
    pub fn open(strands: Vec<Strand>, memory_bytes: usize) -> Result<Merged> {
        let buffer_bytes = memory_bytes / strands.len().max(1);
        let buffer_bytes = buffer_bytes.clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        let open = |strand| StrandReader::open(strand, buffer_bytes);
        let strands: Vec<StrandReader> = strands.into_iter().map(open).collect::<Result<_>>()?;
        let hashes = strands.iter().map(StrandReader::hash).collect();
        Ok(Merged { strands, hashes, tied: Vec::new(), current: Vec::new() })
    }

    pub fn is_empty(&self) -> bool {
        self.strands.iter().all(|strand| strand.head().is_none())
    }

    /// The next record in record order, its equals merged into it.
    pub fn next_record(&mut self) -> Result<Option<(&[u8], Arrivals)>> {
        if self.tied.is_empty() {
            self.tie();
        }
        let Some(first) = self.tied.pop() else { return Ok(None) };
        let Some((record, mut arrivals)) = self.strands[first].head() else { return Ok(None) };
        self.current.clear();
        self.current.extend_from_slice(record);
        self.advance(first)?;
        while let Some(&n) = self.tied.last()
            && let Some((record, others)) = self.strands[n].head()
            && record == self.current
        {
            arrivals.merge(others);
            self.tied.pop();
            self.advance(n)?;
        }
        Ok(Some((&self.current, arrivals)))
    }

    fn tie(&mut self) {
        let least = self.hashes.iter().copied().min().unwrap_or(u64::MAX);
        let is_tied = |&n: &usize| self.hashes[n] == least && self.strands[n].head().is_some();
        self.tied.extend((0..self.strands.len()).filter(is_tied));
        let strands = &self.strands;
        self.tied.sort_unstable_by(|&a, &b| strands[b].record().cmp(strands[a].record()));
    }

    // Leads a strand behind the current record, and puts it in its place among those of the same hash.
    fn advance(&mut self, n: usize) -> Result<()> {
        self.strands[n].advance()?;
        let strand = &self.strands[n];
        self.hashes[n] = strand.hash();
        if strand.head().is_some() && self.hashes[n] == hash_of(&self.current) {
            let place = self.tied.partition_point(|&other| self.strands[other].record() > strand.record());
            self.tied.insert(place, n);
        }
        Ok(())
    }
}

struct StrandReader {
    file: Arc<ScratchFile>,
    /// What is still to be read.
    left: Range<u64>,
    buffer: Vec<u8>,
    filled: usize,
    /// The next record's head.
    at: usize,
}

impl StrandReader {
    fn open(strand: Strand, buffer_bytes: usize) -> Result<StrandReader> {
        let Strand { file, range } = strand;
        let mut reader = StrandReader { file, left: range, buffer: vec![0; buffer_bytes], filled: 0, at: 0 };
        reader.fill()?;
        Ok(reader)
    }

    fn place(&self) -> Option<Range<usize>> {
        form::place(&self.buffer[..self.filled], self.at)
    }

    fn head(&self) -> Option<(&[u8], Arrivals)> {
        self.place().map(|place| (&self.buffer[place], form::arrivals(&self.buffer, self.at)))
    }

    fn record(&self) -> &[u8] {
        self.place().map_or(&[], |place| &self.buffer[place])
    }

    // At its end a strand has the last hash there is, which a record may have, too.
    fn hash(&self) -> u64 {
        self.place().map_or(u64::MAX, |place| hash_of(&self.buffer[place]))
    }

    fn advance(&mut self) -> Result<()> {
        if let Some(place) = self.place() {
            self.at = place.end;
        }
        self.fill()
    }

    // Reads on where the next record is not there as a whole.
    fn fill(&mut self) -> Result<()> {
        while self.place().is_none() && !self.left.is_empty() {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            let room = (self.buffer.len() - self.filled) as u64;
            let size = room.min(self.left.end - self.left.start);
            let end = self.filled + size as usize;
            self.file.read_at(self.left.start, &mut self.buffer[self.filled..end])?;
            self.left.start += size;
            self.filled = end;
        }
        if self.place().is_none() { form::ends_at(self.at, self.filled) } else { Ok(()) }
    }
}
