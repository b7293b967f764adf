//! Chunks: files cut at the ends of records, so that threads can read them beside each other.

use std::io::Read;
use std::sync::Arc;

use csv::{ColumnMap, Header, Position, Settings, Splitter, Violation};
use memchr::{memchr, memchr_iter, memrchr};
use model::Layout;
use model::error::{Context, Error, Result};

use super::{Matching, SourceFile, violated};

/// Whole records of one file, its header not among them.
pub struct Chunk {
    pub file: Arc<OpenFile>,
    pub bytes: Vec<u8>,
    /// Where in the file the bytes begin.
    pub from: Position,
    /// How many bytes were read from the source for it.
    pub read_bytes: u64,
}

/// What all chunks of a file share.
pub struct OpenFile {
    pub key: String,
    pub dialect: csv::Dialect,
    pub columns: ColumnMap,
}

/// Cuts one file into chunks; without a header it is none.
pub struct Cutter {
    file: Arc<OpenFile>,
    source: Box<dyn Read + Send>,
    chunk_bytes: usize,
    /// Read, and in no chunk yet.
    pending: Vec<u8>,
    /// Where `pending` begins.
    from: Position,
    has_ended: bool,
    /// A record that can't be split, behind all that was given out.
    violation: Option<Violation>,
    read_bytes: u64,
}

impl Cutter {
    /// Reads the header.
    ///
    /// # Errors
    /// `Invalid` when it does not match the layout; `Unavailable` when the file can't be read.
    pub fn open(file: SourceFile, layout: &Layout, matching: Matching, chunk_bytes: usize) -> Result<Cutter> {
        let SourceFile { key, dialect, bytes: mut source } = file;
        let mut splitter = Splitter::new(dialect, Settings::default());
        let (mut pending, mut has_ended) = (Vec::new(), false);
        // A file without a header has no columns; the published sentence says so.
        let header = loop {
            let before = pending.len();
            has_ended = read_more(&mut source, &key, chunk_bytes, &mut pending)? || has_ended;
            splitter.push(&pending[before..]);
            if has_ended {
                splitter.finish();
            }
            match splitter.next_record().map_err(|v| violated(&key, &v))? {
                Some(record) => break Header::read(&record).map_err(|v| violated(&key, &v))?,
                None if has_ended => break Header::default(),
                None => {}
            }
        };
        // The published sentence, and the file's name behind it.
        let columns = matching(&header, layout);
        let columns = columns.map_err(|e| Error::invalid(format!("{e} (file {key})")))?;
        let (from, read_bytes) = (splitter.position(), pending.len() as u64);
        pending.drain(..usize::try_from(from.byte).unwrap_or(usize::MAX).min(pending.len()));
        let file = Arc::new(OpenFile { key, dialect, columns });
        Ok(Cutter { file, source, chunk_bytes, pending, from, has_ended, violation: None, read_bytes })
    }

    /// The next chunk; `None` at the file's end.
    ///
    /// # Errors
    /// `Invalid` at a record that can't be split; `Unavailable` when the file can't be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if let Some(violation) = self.violation.take() {
            return Err(violated(&self.file.key, &violation));
        }
        if !self.has_ended && self.pending.len() < self.chunk_bytes {
            self.read_more()?;
        }
        if self.pending.is_empty() {
            return Ok(None);
        }
        let end = match self.plain_end() {
            Some(end) => self.go_to(end),
            None => self.split()?,
        };
        let rest = self.pending.split_off(end.bytes);
        let bytes = std::mem::replace(&mut self.pending, rest);
        let from = std::mem::replace(&mut self.from, end.position);
        let read_bytes = std::mem::take(&mut self.read_bytes);
        Ok(Some(Chunk { file: self.file.clone(), bytes, from, read_bytes }))
    }

    // Without a quote every line's end is the end of a record.
    fn plain_end(&self) -> Option<usize> {
        if memchr(b'"', &self.pending).is_some() {
            return None;
        }
        let last = || memrchr(b'\n', &self.pending).map(|at| at + 1);
        if self.has_ended { Some(self.pending.len()) } else { last() }
    }

    fn go_to(&self, bytes: usize) -> End {
        let lines = memchr_iter(b'\n', &self.pending[..bytes]).count() as u64;
        let position = Position { line: self.from.line + lines, byte: self.from.byte + bytes as u64 };
        End { bytes, position }
    }

    // With quotes only splitting tells where records end. A record longer than a chunk makes the chunk longer.
    fn split(&mut self) -> Result<End> {
        let settings = Settings { from: self.from, ..Settings::default() };
        let mut splitter = Splitter::new(self.file.dialect, settings);
        let mut pushed = 0;
        let mut end = self.from;
        loop {
            splitter.push(&self.pending[pushed..]);
            pushed = self.pending.len();
            if self.has_ended {
                splitter.finish();
            }
            self.violation = loop {
                match splitter.next_record() {
                    Ok(Some(_)) => end = splitter.position(),
                    Ok(None) => break None,
                    Err(violation) => break Some(violation),
                }
            };
            if self.violation.is_some() || self.has_ended || end.byte > self.from.byte {
                break;
            }
            self.read_more()?;
        }
        if self.has_ended && self.violation.is_none() {
            end = splitter.position();
        }
        let bytes = usize::try_from(end.byte - self.from.byte).unwrap_or(usize::MAX);
        Ok(End { bytes: bytes.min(self.pending.len()), position: end })
    }

    fn read_more(&mut self) -> Result<()> {
        let before = self.pending.len();
        self.has_ended = read_more(&mut self.source, &self.file.key, self.chunk_bytes, &mut self.pending)?;
        self.read_bytes += (self.pending.len() - before) as u64;
        Ok(())
    }
}

/// Where a chunk ends.
struct End {
    bytes: usize,
    position: Position,
}

// Reads as many bytes more as a chunk has; whether the file has ended.
fn read_more(source: &mut dyn Read, key: &str, chunk_bytes: usize, pending: &mut Vec<u8>) -> Result<bool> {
    let mut more = source.take(chunk_bytes as u64);
    let read = more.read_to_end(pending).unavailable(|| format!("read {key}"))?;
    Ok(read < chunk_bytes)
}
