//! A run's file as the Parquet reader takes it: page by page, each of them whole.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::super::sums::Pages;
use crate::objects::Object;

/// How often a page is read that its checksum does not confirm.
const TRIES: usize = 3;

/// An open file of which nothing is given that its checksums don't confirm.
pub struct ObjectFile {
    file: Object,
    pages: Arc<Pages>,
    /// The page that was read last: its header is asked for first, then what is behind it.
    last: Mutex<Option<(usize, Bytes)>>,
    /// Set when the store did not answer: what Parquet then calls damage is none.
    outage: Arc<AtomicBool>,
}

impl ObjectFile {
    pub fn new(file: Object, pages: Arc<Pages>, outage: Arc<AtomicBool>) -> ObjectFile {
        ObjectFile { file, pages, last: Mutex::default(), outage }
    }

    /// From an offset to the end of its page.
    fn rest_of_page(&self, offset: u64) -> Result<Bytes> {
        let damaged = || ParquetError::General(format!("damaged at offset {offset}"));
        let (page, start, size) = self.pages.at(offset).ok_or_else(damaged)?;
        let within = usize::try_from(offset - start)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.as_ref().filter(|(read, _)| *read == page) {
            return Ok(bytes.slice(within..));
        }
        let bytes = self.read_page(page, start, size)?.ok_or_else(damaged)?;
        let bytes = Bytes::from(bytes);
        *last = Some((page, bytes.clone()));
        Ok(bytes.slice(within..))
    }

    /// `None` when the page is not as it was written.
    fn read_page(&self, page: usize, start: u64, size: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; size];
        for _ in 0..TRIES {
            if let Err(cause) = self.file.read_exact_at(&mut bytes, start) {
                self.outage.fetch_or(cause.kind() == ErrorKind::TimedOut, Ordering::Relaxed);
                return Err(cause.into());
            }
            if self.pages.is_whole(page, &bytes) {
                return Ok(Some(bytes));
            }
            // What lies in a cache, or came over a network, may be damaged on its way.
            if !self.file.forget() {
                break;
            }
        }
        Ok(None)
    }
}

impl Clone for ObjectFile {
    fn clone(&self) -> ObjectFile {
        ObjectFile::new(self.file.clone(), self.pages.clone(), self.outage.clone())
    }
}

impl Length for ObjectFile {
    fn len(&self) -> u64 {
        self.pages.end()
    }
}

impl ChunkReader for ObjectFile {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.rest_of_page(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = self.rest_of_page(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("{length} bytes at offset {start}")));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}
