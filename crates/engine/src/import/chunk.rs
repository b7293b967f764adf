//! Chunks: files cut at the ends of records, so that threads can read them beside each other.

use std::io::Read;
use std::sync::Arc;

use csv::{ColumnMap, Header, Position, RecordEnds, Settings, Splitter};
use model::Layout;
use model::error::{Context, Error, Result};

use super::buffer::{Buffer, Buffers};
use super::{Matching, SourceFile, violated};

/// Whole records of one file, its header not among them.
pub struct Chunk {
    pub file: Arc<OpenFile>,
    pub bytes: Buffer,
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
    /// The first row as it stands in the file, with its line's end.
    pub header: Vec<u8>,
}

impl OpenFile {
    /// Whether rows of one file can stand below the header of the other.
    pub fn reads_as(&self, other: &OpenFile) -> bool {
        self.dialect == other.dialect && without_line_end(&self.header) == without_line_end(&other.header)
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
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
    /// Has seen all that is pending.
    ends: RecordEnds,
    has_ended: bool,
    read_bytes: u64,
    buffers: Buffers,
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
        let (header, from) = loop {
            let before = pending.len();
            has_ended = read_more(&mut source, &key, chunk_bytes, &mut pending)? || has_ended;
            splitter.push(&pending[before..]);
            if has_ended {
                splitter.finish();
            }
            match splitter.next_record().map_err(|v| violated(&key, &v))? {
                Some(record) => {
                    let header = Header::read(&record).map_err(|v| violated(&key, &v))?;
                    break (header, offset(record.position()));
                }
                None if has_ended => break (Header::default(), 0),
                None => {}
            }
        };
        // The published sentence, and the file's name behind it.
        let columns = matching(&header, layout);
        let columns = columns.map_err(|e| Error::invalid(format!("{e} (file {key})")))?;
        let (begin, from, read_bytes) = (from, splitter.position(), pending.len() as u64);
        let mut header: Vec<u8> = pending.drain(..offset(from).min(pending.len())).skip(begin).collect();
        if !header.ends_with(b"\n") {
            header.push(b'\n');
        }
        let file = Arc::new(OpenFile { key, dialect, columns, header });
        let mut ends = RecordEnds::new(dialect, from);
        ends.push(&pending);
        let buffers = Buffers::new();
        Ok(Cutter { file, source, chunk_bytes, pending, from, ends, has_ended, read_bytes, buffers })
    }

    /// The next chunk; `None` at the file's end, or behind a record that is longer than any may be.
    ///
    /// The chunk holds whatever is wrong with its records: whoever reads them comes upon it.
    ///
    /// # Errors
    /// `Unavailable` when the file can't be read.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.pending.len() < self.chunk_bytes {
            self.read_more()?;
        }
        // A record longer than a chunk makes the chunk longer.
        while self.whole_bytes() == 0 && !self.has_ended {
            if self.pending.len() > Settings::default().record_size_bytes_max {
                self.has_ended = true;
            }
            self.read_more()?;
        }
        if self.pending.is_empty() {
            return Ok(None);
        }
        let whole = if self.has_ended { self.pending.len() } else { self.whole_bytes() };
        let mut next = self.buffers.take(self.chunk_bytes);
        next.extend_from_slice(&self.pending[whole..]);
        let mut bytes = std::mem::replace(&mut self.pending, next);
        bytes.truncate(whole);
        let from = std::mem::replace(&mut self.from, self.ends.last());
        let read_bytes = std::mem::take(&mut self.read_bytes);
        let bytes = self.buffers.lend(bytes);
        Ok(Some(Chunk { file: self.file.clone(), bytes, from, read_bytes }))
    }

    // How many of the pending bytes are whole records.
    fn whole_bytes(&self) -> usize {
        usize::try_from(self.ends.last().byte - self.from.byte).unwrap_or(usize::MAX).min(self.pending.len())
    }

    fn read_more(&mut self) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        let before = self.pending.len();
        self.has_ended = read_more(&mut self.source, &self.file.key, self.chunk_bytes, &mut self.pending)?;
        self.ends.push(&self.pending[before..]);
        self.read_bytes += (self.pending.len() - before) as u64;
        Ok(())
    }
}

fn offset(position: Position) -> usize {
    usize::try_from(position.byte).unwrap_or(usize::MAX)
}

// Reads as many bytes more as a chunk has; whether the file has ended.
fn read_more(source: &mut dyn Read, key: &str, chunk_bytes: usize, pending: &mut Vec<u8>) -> Result<bool> {
    pending.reserve(chunk_bytes);
    let mut more = source.take(chunk_bytes as u64);
    let read = more.read_to_end(pending).unavailable(|| format!("read {key}"))?;
    Ok(read < chunk_bytes)
}

#[cfg(test)]
mod tests;
