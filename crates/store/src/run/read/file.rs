//! A run's file as the Parquet reader takes it.

use std::io::{self, BufReader, Read};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::objects::Object;

/// An open file and its size.
#[derive(Clone)]
pub struct ObjectFile {
    file: Object,
    size: u64,
}

impl ObjectFile {
    pub fn new(file: Object) -> io::Result<ObjectFile> {
        let size = file.size()?;
        Ok(ObjectFile { file, size })
    }
}

impl Length for ObjectFile {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for ObjectFile {
    type T = BufReader<Reading>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(Reading { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // What a damaged footer asks for is not reserved before it is known to be there.
        if start.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Err(ParquetError::EOF(format!("{length} bytes at offset {start} of {}", self.size)));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A place in the file that moves on as it is read.
pub struct Reading {
    file: Object,
    at: u64,
}

impl Read for Reading {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(bytes, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
