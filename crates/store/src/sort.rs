//! Sorting records that may not fit in memory: dealt out to buckets of the hash while they come, spilled bucket by
//! bucket when there is no room, and sorted a few buckets at a time when they are read, whole or in ranges of the hash.

mod buckets;
mod form;
mod large;
mod merged;
mod piece;
mod scratch;
mod slab;
mod sorted;
mod spill;

use std::ops::Range;
use std::sync::Arc;

use model::error::Result;
use model::record::hash_of;

use crate::Arrivals;
use buckets::Histogram;
use scratch::Scratch;
pub use scratch::ScratchFolder;
use slab::Slab;
use sorted::Large;
pub use sorted::Sorted;
use spill::{Extent, Spill};

/// Slabs of less would write a file of scraps; with more, a place in one would not fit in 32 bits.
const SLAB_BYTES_MIN: usize = 512 << 10;
const SLAB_BYTES_MAX: usize = 1 << 30;
/// What a reader has at least to sort a bucket in memory.
const READER_BYTES_MIN: usize = 1 << 20;
/// Places in a piece have 32 bits.
const READER_BYTES_MAX: usize = 1 << 31;

/// Asked now and then by what takes long; its error ends the work.
pub type Check<'a> = &'a dyn Fn() -> Result<()>;

/// Takes records in any order and gives them back in record order, equal ones merged into one.
pub struct Sorter {
    slab: Slab,
    slab_bytes: usize,
    spill: Option<Spill>,
    scratch: Arc<Scratch>,
    memory_bytes: usize,
    histogram: Histogram,
}

impl Sorter {
    /// `memory_bytes` bounds the memory of sorting, half of it while records are read back; `scratch` is a folder of this
    /// sorter's own, which it makes when it needs it and removes when it is done.
    pub fn new(scratch: impl Into<ScratchFolder>, memory_bytes: usize) -> Sorter {
        Sorter::member(Scratch::new(scratch.into()), memory_bytes, 1)
    }

    /// Sorters for as many threads, which share the memory and the folder; each sorts and spills by itself.
    pub fn team(scratch: impl Into<ScratchFolder>, memory_bytes: usize, count: usize) -> Vec<Sorter> {
        let scratch = Scratch::new(scratch.into());
        let count = count.max(1);
        (0..count).map(|_| Sorter::member(scratch.clone(), memory_bytes, count)).collect()
    }

    fn member(scratch: Arc<Scratch>, memory_bytes: usize, of: usize) -> Sorter {
        // What is still in the slabs when reading ends stays there, beside what is being sorted and written.
        let slab_bytes = (memory_bytes / 8 * 3 / of).clamp(SLAB_BYTES_MIN, SLAB_BYTES_MAX);
        Sorter {
            slab: Slab::new(slab_bytes),
            slab_bytes,
            spill: None,
            scratch,
            memory_bytes,
            histogram: Histogram::new(),
        }
    }

    /// Adds a record by its canonical bytes.
    pub fn push(&mut self, record: &[u8], arrivals: Arrivals) -> Result<()> {
        let bucket = buckets::of(hash_of(record));
        self.histogram.push(bucket, record.len(), arrivals);
        self.slab.push(bucket, record, arrivals);
        if self.slab.size_bytes() >= self.slab_bytes { self.spill() } else { Ok(()) }
    }

    /// Ends the input.
    pub fn finish(self) -> Result<Sorted> {
        Sources::new(vec![self.close()?], 1).read(&(0..buckets::COUNT), &|| Ok(()))
    }

    /// Ends the input of one of a team.
    pub fn close(mut self) -> Result<Closed> {
        if self.spill.is_some() {
            // The memory is needed to read what was spilled.
            self.spill()?;
            self.slab = Slab::new(0);
        }
        let Sorter { slab, spill, scratch, memory_bytes, histogram, .. } = self;
        Ok(Closed { slab, spill, scratch, memory_bytes, histogram })
    }

    fn spill(&mut self) -> Result<()> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill::create(&self.scratch)?),
        };
        spill.append(&self.slab)?;
        self.slab.clear();
        Ok(())
    }
}

/// What a sorter took.
pub struct Closed {
    slab: Slab,
    spill: Option<Spill>,
    scratch: Arc<Scratch>,
    memory_bytes: usize,
    histogram: Histogram,
}

impl Closed {
    fn extents(&self, buckets: Range<usize>) -> impl Iterator<Item = Extent<'_>> {
        let held = self.slab.blocks(buckets.clone()).map(Extent::Memory);
        self.spill.iter().flat_map(move |spill| spill.extents(buckets.clone())).chain(held)
    }

    fn held_bytes(&self) -> usize {
        self.slab.size_bytes() + self.spill.as_ref().map_or(0, Spill::index_bytes)
    }
}

/// What a team of sorters took.
struct Taken {
    closed: Vec<Closed>,
    histogram: Histogram,
    /// What the records of each bucket take while they are sorted in memory.
    sizes: Vec<usize>,
}

impl Taken {
    fn new(closed: Vec<Closed>) -> Taken {
        let mut histogram = Histogram::new();
        closed.iter().for_each(|closed| histogram.add(&closed.histogram));
        let mut taken = Taken { closed, histogram, sizes: Vec::new() };
        taken.sizes = (0..buckets::COUNT).map(|bucket| taken.size_bytes(bucket)).collect();
        taken
    }

    fn extents(&self, buckets: Range<usize>) -> impl Iterator<Item = Extent<'_>> {
        self.closed.iter().flat_map(move |closed| closed.extents(buckets.clone()))
    }

    fn size_bytes(&self, bucket: usize) -> usize {
        let bytes: usize = self.extents(bucket..bucket + 1).map(|extent| extent.size_bytes()).sum();
        // Equal ones that were pushed as one record are counted as many.
        let records_max = bytes / form::RECORD_BYTES_MIN;
        let records = usize::try_from(self.histogram.records(bucket)).unwrap_or(usize::MAX);
        bytes + records.min(records_max) * piece::ENTRY_BYTES
    }
}

/// All that a team of sorters took, to be read in ranges of the hash by any number of threads.
pub struct Sources {
    taken: Arc<Taken>,
    /// What each reader may take to sort.
    reader_bytes: usize,
}

/// A range of hashes.
pub type Buckets = Range<usize>;

impl Sources {
    /// For as many readers at a time.
    pub fn new(closed: Vec<Closed>, readers: usize) -> Sources {
        let memory_bytes = closed.iter().map(|closed| closed.memory_bytes).max().unwrap_or(0);
        let held_bytes = closed.iter().map(Closed::held_bytes).sum();
        let free_bytes = (memory_bytes / 2).saturating_sub(held_bytes);
        let reader_bytes = (free_bytes / readers.max(1)).clamp(READER_BYTES_MIN, READER_BYTES_MAX);
        Sources { taken: Arc::new(Taken::new(closed)), reader_bytes }
    }

    /// Cuts the records into ranges of at most as many, and of as many bytes, unless their hashes are too close.
    ///
    /// The cuts depend on the records alone: not on the order they came in, nor on who took them.
    pub fn ranges(&self, records_max: u64, bytes_max: u64) -> Vec<Buckets> {
        self.taken.histogram.ranges(records_max, bytes_max)
    }

    /// The records of a range. Buckets of it that are too large for the memory are sorted now, which takes long.
    ///
    /// # Errors
    /// `Unavailable` when a file of the sort can't be written or read; those of `check`.
    pub fn read(&self, range: &Buckets, check: Check<'_>) -> Result<Sorted> {
        let taken = &self.taken;
        let is_large = |bucket: &usize| taken.sizes[*bucket] > self.reader_bytes;
        let sort = |bucket: usize| {
            let Some(closed) = taken.closed.first() else { return Ok(None) };
            let extents = taken.extents(bucket..bucket + 1);
            let strands = large::sort(extents, self.reader_bytes, &closed.scratch, check)?;
            Ok(Some(Large { bucket, strands }))
        };
        let large: Result<_> =
            range.clone().filter(is_large).map(sort).filter_map(Result::transpose).collect();
        Ok(Sorted::new(taken.clone(), range.clone(), large?, self.reader_bytes))
    }
}

#[cfg(test)]
mod tests;
