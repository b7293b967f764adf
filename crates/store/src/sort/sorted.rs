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
    /// The sources whose next record has the smallest hash: only these need comparing, mostly one.
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
        let Some(first) = self.smallest() else { return Ok(None) };
        let Some((record, mut arrivals)) = self.sources[first].head() else { return Ok(None) };
        self.current.clear();
        self.current.extend_from_slice(record);
        self.sources[first].advance()?;
        for &n in &self.tied {
            let source = &mut self.sources[n];
            while let Some((record, others)) = source.head() {
                if record != self.current {
                    break;
                }
                arrivals.merge(others);
                source.advance()?;
            }
        }
        self.untie();
        Ok(Some((&self.current, arrivals)))
    }

    fn tie(&mut self) {
        let least = self.hashes.iter().copied().min().unwrap_or(u64::MAX);
        let is_tied = |&n: &usize| self.hashes[n] == least && self.sources[n].head().is_some();
        self.tied.extend((0..self.sources.len()).filter(is_tied));
    }

    // Leaves out the sources that have come to another hash.
    fn untie(&mut self) {
        let (sources, hashes, hash) = (&self.sources, &mut self.hashes, hash_of(&self.current));
        self.tied.retain(|&n| {
            hashes[n] = sources[n].hash();
            hashes[n] == hash && sources[n].head().is_some()
        });
    }

    fn smallest(&self) -> Option<usize> {
        match self.tied[..] {
            [only] => Some(only),
            _ => self.tied.iter().copied().min_by(|&a, &b| self.record(a).cmp(&self.record(b))),
        }
    }

    fn record(&self, n: usize) -> Option<&[u8]> {
        self.sources[n].head().map(|(record, _)| record)
    }
}
