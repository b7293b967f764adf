//! Sorted records, one at a time, merged from arenas and spills.

use std::ops::Range;
use std::sync::Arc;

use model::error::Result;
use model::record::hash_of;

use super::Scratch;
use super::arena::Arena;
use super::spill::SpillReader;
use crate::Arrivals;

pub(super) enum Source {
    Memory { arena: Arc<Arena>, places: Range<usize> },
    Spill(SpillReader),
}

impl Source {
    fn head(&self) -> Option<(&[u8], Arrivals)> {
        match self {
            Source::Memory { arena, places } => (!places.is_empty()).then(|| arena.get(places.start)),
            Source::Spill(reader) => reader.head(),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self {
            Source::Memory { places, .. } => places.start += 1,
            Source::Spill(reader) => reader.advance()?,
        }
        Ok(())
    }

    fn record(&self) -> &[u8] {
        self.head().map_or(&[], |(record, _)| record)
    }

    // At its end a source has the last hash there is, which a record may have, too.
    fn hash(&self) -> u64 {
        self.head().map_or(u64::MAX, |(record, _)| hash_of(record))
    }
}

/// Sorted records, one at a time.
pub struct Sorted {
    sources: Vec<Source>,
    /// The hash of each source's next record.
    hashes: Vec<u64>,
    /// The sources whose next record has the smallest hash, the one with the smallest record last: only these need
    /// comparing.
    tied: Vec<usize>,
    current: Vec<u8>,
    _scratch: Arc<Scratch>,
}

impl Sorted {
    pub(super) fn new(sources: Vec<Source>, scratch: Arc<Scratch>) -> Sorted {
        let hashes = sources.iter().map(Source::hash).collect();
        Sorted { sources, hashes, tied: Vec::new(), current: Vec::new(), _scratch: scratch }
    }

    /// The next record in record order, its equals merged into it.
    pub fn next_record(&mut self) -> Result<Option<(&[u8], Arrivals)>> {
        if self.tied.is_empty() {
            self.tie();
        }
        let Some(first) = self.tied.pop() else { return Ok(None) };
        let Some((record, mut arrivals)) = self.sources[first].head() else { return Ok(None) };
        self.current.clear();
        self.current.extend_from_slice(record);
        self.advance(first, &mut arrivals)?;
        while let Some(&n) = self.tied.last()
            && let Some((record, others)) = self.sources[n].head()
            && record == self.current
        {
            arrivals.merge(others);
            self.tied.pop();
            self.advance(n, &mut arrivals)?;
        }
        Ok(Some((&self.current, arrivals)))
    }

    fn tie(&mut self) {
        let least = self.hashes.iter().copied().min().unwrap_or(u64::MAX);
        let is_tied = |&n: &usize| self.hashes[n] == least && self.sources[n].head().is_some();
        self.tied.extend((0..self.sources.len()).filter(is_tied));
        let sources = &self.sources;
        self.tied.sort_unstable_by(|&a, &b| sources[b].record().cmp(sources[a].record()));
    }

    // Leads a source behind the current record, and puts it in its place among those of the same hash.
    fn advance(&mut self, n: usize, arrivals: &mut Arrivals) -> Result<()> {
        self.sources[n].advance()?;
        while let Some((record, others)) = self.sources[n].head()
            && record == self.current
        {
            arrivals.merge(others);
            self.sources[n].advance()?;
        }
        let source = &self.sources[n];
        self.hashes[n] = source.hash();
        if source.head().is_some() && self.hashes[n] == hash_of(&self.current) {
            let place = self.tied.partition_point(|&other| self.sources[other].record() > source.record());
            self.tied.insert(place, n);
        }
        Ok(())
    }
}
