//! Spills: what did not fit in memory, in files that nobody else sees. They survive no crash and need no fsync.

use std::io::Write;
use std::ops::Range;

use model::error::{Context, Result};

use super::scratch::{Scratch, ScratchFile};
use super::slab::Slab;

/// What one thread has spilled: slab after slab, each bucket by bucket.
pub(super) struct Spill {
    file: ScratchFile,
    size_bytes: u64,
    slabs: Vec<Written>,
}

/// A slab in the file.
struct Written {
    from: u64,
    /// Where in it each bucket begins, and the end.
    starts: Vec<u32>,
}

impl Spill {
    pub fn create(scratch: &Scratch) -> Result<Spill> {
        Ok(Spill { file: scratch.create()?, size_bytes: 0, slabs: Vec::new() })
    }

    pub fn append(&mut self, slab: &Slab) -> Result<()> {
        let writing = || "write a file for sorting".to_owned();
        let from = self.size_bytes;
        let mut end = self.file.append(from);
        let starts = slab.write(&mut end).unavailable(writing)?;
        end.flush().unavailable(writing)?;
        self.size_bytes += starts.last().copied().map_or(0, u64::from);
        self.slabs.push(Written { from, starts });
        Ok(())
    }

    /// What it takes in memory to know where everything is.
    pub fn index_bytes(&self) -> usize {
        self.slabs.iter().map(|slab| slab.starts.len() * size_of::<u32>()).sum()
    }

    /// Where the records of some buckets are.
    pub fn extents(&self, buckets: Range<usize>) -> impl Iterator<Item = Extent<'_>> {
        let extent = move |slab: &Written| {
            let (start, end) = (slab.starts[buckets.start], slab.starts[buckets.end]);
            let range = slab.from + u64::from(start)..slab.from + u64::from(end);
            Extent::File { file: &self.file, range }
        };
        self.slabs.iter().map(extent)
    }
}

/// Bytes that lie side by side.
pub(super) enum Extent<'a> {
    Memory(&'a [u8]),
    File { file: &'a ScratchFile, range: Range<u64> },
}

impl Extent<'_> {
    pub fn size_bytes(&self) -> usize {
        match self {
            Extent::Memory(bytes) => bytes.len(),
            // A slab has less than 4 GiB.
            Extent::File { range, .. } => (range.end - range.start) as usize,
        }
    }

    /// Reads from `at` on, as many bytes as `out` has; so many there must be.
    pub fn read(&self, at: usize, out: &mut [u8]) -> Result<()> {
        match self {
            Extent::Memory(bytes) => out.copy_from_slice(&bytes[at..at + out.len()]),
            Extent::File { file, range } => file.read_at(range.start + at as u64, out)?,
        }
        Ok(())
    }
}
