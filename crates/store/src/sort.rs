//! Sorting records that may not fit in memory: arenas are sorted and spilled beside the filling, then merged.

mod spill;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use model::error::{Error, Result};
use model::record::hash_of;

use crate::Arrivals;
use spill::{SpillReader, SpillWriter};

/// The most spills merged at once; more are merged in steps, so that their buffers stay within the budget.
const FAN_IN: usize = 64;

/// Takes records in any order and gives them back in record order, equal ones merged into one.
pub struct Sorter {
    arena: Arena,
    arena_bytes: usize,
    scratch: PathBuf,
    /// An arena that is being sorted and spilled.
    spilling: Option<JoinHandle<Result<PathBuf>>>,
    spills: Vec<PathBuf>,
    spilled: usize,
}

impl Sorter {
    /// `memory_bytes` bounds the memory of sorting and merging; `scratch` is a folder of this sorter's own, which it
    /// makes when it needs it and removes when it is done.
    pub fn new(scratch: &Path, memory_bytes: usize) -> Sorter {
        Sorter {
            arena: Arena::default(),
            // Two arenas at a time, each with its entries, and room for the run's writer.
            arena_bytes: (memory_bytes / 4).max(1 << 20),
            scratch: scratch.to_owned(),
            spilling: None,
            spills: Vec::new(),
            spilled: 0,
        }
    }

    /// Adds a record by its canonical bytes.
    pub fn push(&mut self, record: &[u8], arrivals: Arrivals) -> Result<()> {
        self.arena.push(record, arrivals);
        if self.arena.size_bytes() >= self.arena_bytes { self.spill() } else { Ok(()) }
    }

    /// Ends the input.
    pub fn finish(mut self) -> Result<Sorted> {
        self.wait_for_spill()?;
        let mut arena = std::mem::take(&mut self.arena);
        arena.sort();
        let mut sources = vec![Source::Memory { arena, next: 0 }];
        for path in std::mem::take(&mut self.spills) {
            sources.push(Source::Spill(SpillReader::open(&path)?));
        }
        Sorted::new(sources, Scratch(std::mem::take(&mut self.scratch)))
    }

    fn spill(&mut self) -> Result<()> {
        self.wait_for_spill()?;
        if self.spills.len() >= FAN_IN {
            self.merge_spills()?;
        }
        let path = self.next_spill()?;
        let mut arena = std::mem::take(&mut self.arena);
        self.spilling = Some(std::thread::spawn(move || {
            arena.sort();
            let mut sorted = Sorted::new(vec![Source::Memory { arena, next: 0 }], Scratch::none())?;
            SpillWriter::create(&path)?.write_all(&mut sorted)?;
            Ok(path)
        }));
        Ok(())
    }

    fn merge_spills(&mut self) -> Result<()> {
        let path = self.next_spill()?;
        let inputs = std::mem::take(&mut self.spills);
        let sources: Result<Vec<Source>> =
            inputs.iter().map(|p| Ok(Source::Spill(SpillReader::open(p)?))).collect();
        let mut sorted = Sorted::new(sources?, Scratch::none())?;
        SpillWriter::create(&path)?.write_all(&mut sorted)?;
        for input in inputs {
            spill::remove(&input)?;
        }
        self.spills.push(path);
        Ok(())
    }

    fn next_spill(&mut self) -> Result<PathBuf> {
        spill::make_folder(&self.scratch)?;
        self.spilled += 1;
        Ok(self.scratch.join(format!("{}.spill", self.spilled)))
    }

    fn wait_for_spill(&mut self) -> Result<()> {
        if let Some(spilling) = self.spilling.take() {
            let path =
                spilling.join().map_err(|_| Error::internal("a sorting thread ended before its work"))?;
            self.spills.push(path?);
        }
        Ok(())
    }
}

impl Drop for Sorter {
    fn drop(&mut self) {
        if let Some(spilling) = self.spilling.take() {
            let _ = spilling.join();
        }
        drop(Scratch(std::mem::take(&mut self.scratch)));
    }
}

/// Records side by side in memory, and the order they have.
#[derive(Default)]
struct Arena {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    hash: u64,
    start: usize,
    length: usize,
    arrivals: Arrivals,
}

impl Arena {
    fn push(&mut self, record: &[u8], arrivals: Arrivals) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.entries.push(Entry { hash: hash_of(record), start, length: record.len(), arrivals });
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let record = |e: &Entry| &bytes[e.start..e.start + e.length];
        self.entries.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| record(a).cmp(record(b))));
    }

    fn record(&self, n: usize) -> &[u8] {
        let entry = &self.entries[n];
        &self.bytes[entry.start..entry.start + entry.length]
    }
}

enum Source {
    Memory { arena: Arena, next: usize },
    Spill(SpillReader),
}

impl Source {
    fn head(&self) -> Option<(&[u8], Arrivals)> {
        match self {
            Source::Memory { arena, next } => {
                arena.entries.get(*next).map(|e| (arena.record(*next), e.arrivals))
            }
            Source::Spill(reader) => reader.head(),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self {
            Source::Memory { next, .. } => *next += 1,
            Source::Spill(reader) => reader.advance()?,
        }
        Ok(())
    }
}

/// A folder of spills that goes when nobody needs it any more.
struct Scratch(PathBuf);

impl Scratch {
    fn none() -> Scratch {
        Scratch(PathBuf::new())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What can't be removed now is cleared at the next start.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Sorted records, one at a time.
pub struct Sorted {
    sources: Vec<Source>,
    /// Indices of sources that are not at their end; the smallest head is found by a scan for few, and few there are.
    current: Vec<u8>,
    _scratch: Scratch,
}

impl Sorted {
    fn new(sources: Vec<Source>, scratch: Scratch) -> Result<Sorted> {
        Ok(Sorted { sources, current: Vec::new(), _scratch: scratch })
    }

    /// The next record in record order, its equals merged into it.
    pub fn next_record(&mut self) -> Result<Option<(&[u8], Arrivals)>> {
        let Some(first) = self.smallest() else { return Ok(None) };
        let Some((record, mut arrivals)) = self.sources[first].head() else { return Ok(None) };
        self.current.clear();
        self.current.extend_from_slice(record);
        self.sources[first].advance()?;
        for n in 0..self.sources.len() {
            while let Some((record, others)) = self.sources[n].head() {
                if record != self.current {
                    break;
                }
                arrivals.merge(others);
                self.sources[n].advance()?;
            }
        }
        Ok(Some((&self.current, arrivals)))
    }

    fn smallest(&self) -> Option<usize> {
        let mut best: Option<(usize, &[u8])> = None;
        for (n, source) in self.sources.iter().enumerate() {
            if let Some((record, _)) = source.head()
                && best.is_none_or(|(_, b)| record < b)
            {
                best = Some((n, record));
            }
        }
        best.map(|(n, _)| n)
    }
}

#[cfg(test)]
mod tests;
