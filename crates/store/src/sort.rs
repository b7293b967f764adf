//! Sorting records that may not fit in memory: arenas are sorted and spilled, then merged, whole or in ranges of the hash.

mod arena;
mod buckets;
mod sorted;
mod spill;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use model::error::{Error, Result};

use crate::Arrivals;
use arena::{ARENA_BYTES_MAX, Arena};
use buckets::Histogram;
pub use sorted::Sorted;
use sorted::Source;
use spill::Spill;

/// The most spills merged at once; more are merged in steps, so that their buffers stay within the budget.
const FAN_IN: usize = 64;

/// Takes records in any order and gives them back in record order, equal ones merged into one.
pub struct Sorter {
    arena: Arena,
    arena_bytes: usize,
    scratch: Arc<Scratch>,
    /// Which of the sorters that share the folder this is, and how many they are.
    number: usize,
    of: usize,
    /// An arena that is being sorted and spilled.
    spilling: Option<JoinHandle<Result<Spill>>>,
    spills: Vec<Spill>,
    spilled: usize,
    histogram: Histogram,
}

impl Sorter {
    /// `memory_bytes` bounds the memory of sorting and merging; `scratch` is a folder of this sorter's own, which it
    /// makes when it needs it and removes when it is done. It sorts and spills beside the filling.
    pub fn new(scratch: &Path, memory_bytes: usize) -> Sorter {
        // Two arenas at a time, each with its entries, and room for the run's writer.
        Sorter::member(Arc::new(Scratch(scratch.to_owned())), memory_bytes / 4, 0, 1)
    }

    /// Sorters for as many threads, which share the memory and the folder; each sorts and spills by itself.
    pub fn team(scratch: &Path, memory_bytes: usize, count: usize) -> Vec<Sorter> {
        if count <= 1 {
            return vec![Sorter::new(scratch, memory_bytes)];
        }
        let scratch = Arc::new(Scratch(scratch.to_owned()));
        let member = |n| Sorter::member(scratch.clone(), memory_bytes / 2 / count, n, count);
        (0..count).map(member).collect()
    }

    fn member(scratch: Arc<Scratch>, arena_bytes: usize, number: usize, of: usize) -> Sorter {
        Sorter {
            arena: Arena::default(),
            arena_bytes: arena_bytes.clamp(1 << 20, ARENA_BYTES_MAX),
            scratch,
            number,
            of,
            spilling: None,
            spills: Vec::new(),
            spilled: 0,
            histogram: Histogram::new(),
        }
    }

    /// Adds a record by its canonical bytes.
    pub fn push(&mut self, record: &[u8], arrivals: Arrivals) -> Result<()> {
        self.histogram.push(record, arrivals);
        self.arena.push(record, arrivals);
        if self.arena.size_bytes() >= self.arena_bytes { self.spill() } else { Ok(()) }
    }

    /// Ends the input.
    pub fn finish(self) -> Result<Sorted> {
        Sources::new(vec![self.close()?]).read(&(0..buckets::COUNT))
    }

    /// Ends the input of one of a team.
    pub fn close(mut self) -> Result<Closed> {
        self.wait_for_spill()?;
        let mut arena = std::mem::take(&mut self.arena);
        arena.sort();
        if self.of > 1 && !self.spills.is_empty() {
            // The memory of all arenas is needed to write.
            let path = self.next_spill()?;
            self.spills.push(spill_arena(std::mem::take(&mut arena), path)?);
        }
        let spills = std::mem::take(&mut self.spills);
        let histogram = self.histogram.clone();
        Ok(Closed { arena: Arc::new(arena), spills, histogram, scratch: self.scratch.clone() })
    }

    fn spill(&mut self) -> Result<()> {
        self.wait_for_spill()?;
        if self.spills.len() >= (FAN_IN / self.of).max(2) {
            self.merge_spills()?;
        }
        let path = self.next_spill()?;
        let mut arena = std::mem::take(&mut self.arena);
        if self.of > 1 {
            arena.sort();
            self.spills.push(spill_arena(arena, path)?);
        } else {
            self.spilling = Some(std::thread::spawn(move || {
                arena.sort();
                spill_arena(arena, path)
            }));
        }
        Ok(())
    }

    fn merge_spills(&mut self) -> Result<()> {
        let path = self.next_spill()?;
        let inputs = std::mem::take(&mut self.spills);
        let sources: Result<Vec<Source>> =
            inputs.iter().map(|spill| Ok(Source::Spill(spill.read(&(0..buckets::COUNT))?))).collect();
        let merged = Spill::write(path, &mut Sorted::new(sources?, Scratch::none()))?;
        for input in inputs {
            input.remove()?;
        }
        self.spills.push(merged);
        Ok(())
    }

    fn next_spill(&mut self) -> Result<PathBuf> {
        spill::make_folder(&self.scratch.0)?;
        self.spilled += 1;
        Ok(self.scratch.0.join(format!("{}-{}.spill", self.number, self.spilled)))
    }

    fn wait_for_spill(&mut self) -> Result<()> {
        if let Some(spilling) = self.spilling.take() {
            let spill =
                spilling.join().map_err(|_| Error::internal("a sorting thread ended before its work"))?;
            self.spills.push(spill?);
        }
        Ok(())
    }
}

fn spill_arena(arena: Arena, path: PathBuf) -> Result<Spill> {
    let places = arena.places(&(0..buckets::COUNT));
    let source = Source::Memory { arena: Arc::new(arena), places };
    Spill::write(path, &mut Sorted::new(vec![source], Scratch::none()))
}

impl Drop for Sorter {
    fn drop(&mut self) {
        if let Some(spilling) = self.spilling.take() {
            let _ = spilling.join();
        }
    }
}

/// What a sorter took, sorted.
pub struct Closed {
    arena: Arc<Arena>,
    spills: Vec<Spill>,
    histogram: Histogram,
    scratch: Arc<Scratch>,
}

/// All that a team of sorters took, to be merged in ranges of the hash by any number of threads.
pub struct Sources {
    closed: Vec<Closed>,
    scratch: Arc<Scratch>,
}

/// A range of hashes.
pub type Buckets = Range<usize>;

impl Sources {
    pub fn new(closed: Vec<Closed>) -> Sources {
        let scratch = closed.first().map_or_else(Scratch::none, |closed| closed.scratch.clone());
        Sources { closed, scratch }
    }

    /// Cuts the records into ranges of at most as many, and of as many bytes, unless their hashes are too close.
    ///
    /// The cuts depend on the records alone: not on the order they came in, nor on who took them.
    pub fn ranges(&self, records_max: u64, bytes_max: u64) -> Vec<Buckets> {
        let mut histogram = Histogram::new();
        self.closed.iter().for_each(|closed| histogram.add(&closed.histogram));
        histogram.ranges(records_max, bytes_max)
    }

    /// Merges the records of a range.
    pub fn read(&self, range: &Buckets) -> Result<Sorted> {
        let mut sources = Vec::new();
        for closed in &self.closed {
            if !closed.arena.is_empty() {
                let (arena, places) = (closed.arena.clone(), closed.arena.places(range));
                sources.push(Source::Memory { arena, places });
            }
            for spill in &closed.spills {
                sources.push(Source::Spill(spill.read(range)?));
            }
        }
        Ok(Sorted::new(sources, self.scratch.clone()))
    }
}

/// A folder of spills that goes when nobody needs it any more.
struct Scratch(PathBuf);

impl Scratch {
    fn none() -> Arc<Scratch> {
        Arc::new(Scratch(PathBuf::new()))
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

#[cfg(test)]
mod tests;
