//! Spills: what did not fit in memory, in files that nobody else sees. They survive no crash and need no fsync.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::error::{Context, Result};

use super::slab::Slab;

/// A folder of spills that goes when nobody needs it any more.
pub(super) struct Scratch {
    folder: PathBuf,
    files: AtomicU64,
}

impl Scratch {
    pub fn new(folder: &Path) -> Arc<Scratch> {
        Arc::new(Scratch { folder: folder.to_owned(), files: AtomicU64::new(0) })
    }

    /// A file without a name: its space is free as soon as nobody has it open.
    pub fn create(&self) -> Result<File> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.create_unnamed(number).unavailable(|| "create a file for sorting".to_owned())
    }

    fn create_unnamed(&self, number: u64) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{number}.spill"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is cleared at the next start.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What one thread has spilled: slab after slab, each bucket by bucket.
pub(super) struct Spill {
    file: File,
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
        let starts = slab.write(&mut self.file).unavailable(|| "write a file for sorting".to_owned())?;
        let from = self.size_bytes;
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
    File { file: &'a File, range: Range<u64> },
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
            Extent::File { file, range } => read_at(file, range.start + at as u64, out)?,
        }
        Ok(())
    }
}

pub(super) fn read_at(file: &File, from: u64, out: &mut [u8]) -> Result<()> {
    file.read_exact_at(out, from).unavailable(|| "read a file of the sort".to_owned())
}

/// Appends to a file.
pub(super) fn write_all(mut file: &File, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).unavailable(|| "write a file for sorting".to_owned())
}
