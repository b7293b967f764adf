//! Spill files: sorted records on the disk for as long as a sort lasts. They survive no crash and need no fsync.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use model::error::{Context, Result};

use super::Sorted;
use crate::Arrivals;

const BUFFER_BYTES: usize = 256 << 10;

pub(super) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).unavailable(|| "make a folder for sorting".to_owned())
}

pub(super) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).unavailable(|| "remove a spill file".to_owned())
}

pub(super) struct SpillWriter(BufWriter<File>);

impl SpillWriter {
    pub(super) fn create(path: &Path) -> Result<SpillWriter> {
        let file = File::create(path).unavailable(|| "create a spill file".to_owned())?;
        Ok(SpillWriter(BufWriter::with_capacity(BUFFER_BYTES, file)))
    }

    pub(super) fn write_all(mut self, sorted: &mut Sorted) -> Result<()> {
        let writing = || "write a spill file".to_owned();
        while let Some((record, arrivals)) = sorted.next_record()? {
            self.write(record, arrivals).unavailable(writing)?;
        }
        self.0.flush().unavailable(writing)
    }

    fn write(&mut self, record: &[u8], arrivals: Arrivals) -> io::Result<()> {
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        self.0.write_all(&length.to_le_bytes())?;
        self.0.write_all(&arrivals.sequence_min.to_le_bytes())?;
        self.0.write_all(&arrivals.sequence_max.to_le_bytes())?;
        self.0.write_all(&arrivals.copies.to_le_bytes())?;
        self.0.write_all(record)
    }
}

pub(super) struct SpillReader {
    file: BufReader<File>,
    record: Vec<u8>,
    arrivals: Option<Arrivals>,
}

impl SpillReader {
    pub(super) fn open(path: &Path) -> Result<SpillReader> {
        let file = File::open(path).unavailable(|| "open a spill file".to_owned())?;
        let mut reader = SpillReader {
            file: BufReader::with_capacity(BUFFER_BYTES, file),
            record: Vec::new(),
            arrivals: None,
        };
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
        let mut length = [0u8; 4];
        match self.file.read_exact(&mut length) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let mut number = || -> io::Result<u64> {
            let mut bytes = [0u8; 8];
            self.file.read_exact(&mut bytes)?;
            Ok(u64::from_le_bytes(bytes))
        };
        let arrivals = Arrivals { sequence_min: number()?, sequence_max: number()?, copies: number()? };
        self.record.resize(u32::from_le_bytes(length) as usize, 0);
        self.file.read_exact(&mut self.record)?;
        Ok(Some(arrivals))
    }
}
