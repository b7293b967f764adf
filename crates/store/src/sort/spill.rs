//! Spill files: sorted records on the disk for as long as a sort lasts. They survive no crash and need no fsync.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use model::error::{Context, Result};
use model::record::hash_of;

use super::buckets;
use super::sorted::Sorted;
use crate::Arrivals;

/// Of each spill in a merge, once for each thread.
const BUFFER_BYTES: usize = 128 << 10;

/// Set in a record's length when it arrived more than once.
const REPEATED: u32 = 1 << 31;

pub(super) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).unavailable(|| "make a folder for sorting".to_owned())
}

/// A finished file, and where in it each bucket of hashes begins.
pub(super) struct Spill {
    path: PathBuf,
    starts: Vec<u64>,
}

impl Spill {
    pub(super) fn write(path: PathBuf, sorted: &mut Sorted) -> Result<Spill> {
        let starts = SpillWriter::create(&path)?.write_all(sorted)?;
        Ok(Spill { path, starts })
    }

    pub(super) fn read(&self, buckets: &Range<usize>) -> Result<SpillReader> {
        let (from, end) = (self.starts[buckets.start], self.starts[buckets.end]);
        SpillReader::open(&self.path, from, end - from)
    }

    pub(super) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).unavailable(|| "remove a spill file".to_owned())
    }
}

struct SpillWriter {
    file: BufWriter<File>,
    written: u64,
    starts: Vec<u64>,
}

impl SpillWriter {
    fn create(path: &Path) -> Result<SpillWriter> {
        let file = File::create(path).unavailable(|| "create a spill file".to_owned())?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(SpillWriter { file, written: 0, starts: Vec::with_capacity(buckets::COUNT + 1) })
    }

    fn write_all(mut self, sorted: &mut Sorted) -> Result<Vec<u64>> {
        let writing = || "write a spill file".to_owned();
        while let Some((record, arrivals)) = sorted.next_record()? {
            self.begin_bucket(buckets::of(hash_of(record)));
            self.write(record, arrivals).unavailable(writing)?;
        }
        self.begin_bucket(buckets::COUNT);
        self.file.flush().unavailable(writing)?;
        Ok(self.starts)
    }

    fn begin_bucket(&mut self, bucket: usize) {
        if self.starts.len() <= bucket {
            self.starts.resize(bucket + 1, self.written);
        }
    }

    fn write(&mut self, record: &[u8], arrivals: Arrivals) -> io::Result<()> {
        let length = u32::try_from(record.len()).ok().filter(|length| length & REPEATED == 0);
        let length = length.ok_or_else(|| io::Error::other("a record of 2 GiB"))?;
        let is_repeated = arrivals != Arrivals::once(arrivals.sequence_min);
        let mark = if is_repeated { REPEATED } else { 0 };
        self.put(&(length | mark).to_le_bytes())?;
        self.put(&arrivals.sequence_min.to_le_bytes())?;
        if is_repeated {
            self.put(&arrivals.sequence_max.to_le_bytes())?;
            self.put(&arrivals.copies.to_le_bytes())?;
        }
        self.put(record)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

pub(super) struct SpillReader {
    file: BufReader<Take<File>>,
    left: u64,
    record: Vec<u8>,
    arrivals: Option<Arrivals>,
}

impl SpillReader {
    fn open(path: &Path, from: u64, size_bytes: u64) -> Result<SpillReader> {
        let opening = || "open a spill file".to_owned();
        let mut file = File::open(path).unavailable(opening)?;
        file.seek(SeekFrom::Start(from)).unavailable(opening)?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file.take(size_bytes));
        let mut reader = SpillReader { file, left: size_bytes, record: Vec::new(), arrivals: None };
        reader.advance()?;
        Ok(reader)
    }

    pub(super) fn head(&self) -> Option<(&[u8], Arrivals)> {
        self.arrivals.map(|arrivals| (self.record.as_slice(), arrivals))
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        self.arrivals = self.read().unavailable(|| "read a spill file".to_owned())?;
        Ok(())
    }

    fn read(&mut self) -> io::Result<Option<Arrivals>> {
        if self.left == 0 {
            return Ok(None);
        }
        let length = u32::from_le_bytes(self.take()?);
        let mut arrivals = Arrivals::once(self.number()?);
        if length & REPEATED != 0 {
            arrivals.sequence_max = self.number()?;
            arrivals.copies = self.number()?;
        }
        let length = (length & !REPEATED) as usize;
        self.record.resize(length, 0);
        self.file.read_exact(&mut self.record)?;
        self.left = self.left.saturating_sub(length as u64);
        Ok(Some(arrivals))
    }

    fn number(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.left = self.left.saturating_sub(N as u64);
        Ok(bytes)
    }
}
