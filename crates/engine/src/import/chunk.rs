//! Chunks: files cut at the ends of records, so that threads can read them beside each other.

use std::io::Read;
use std::sync::Arc;

use csv::{ColumnMap, Header, Position, RecordEnds, Settings, Splitter};
use model::Layout;
use model::error::{Context, Error, Result};

use super::buffer::{Buffer, Buffers};
use super::piece::{Begin, Borders, SourcePiece, first_record};
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

/// How much is read at once to find where the last record of a piece ends.
const LAST_BYTES: usize = 64 << 10;

/// Cuts one file, or a piece of it, into chunks; without a header it is none.
pub struct Cutter<'a> {
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
    /// Of a piece: the byte at or behind which its last record ends.
    end: Option<u64>,
    borders: &'a Borders,
}

impl<'a> Cutter<'a> {
    /// Reads the header, and goes to where the piece begins.
    ///
    /// # Errors
    /// `Invalid` when it does not match the layout; `Unavailable` when the file can't be read.
    pub fn open(
        piece: SourcePiece<'a>,
        layout: &Layout,
        matching: Matching,
        chunk_bytes: usize,
    ) -> Result<Cutter<'a>> {
        let SourcePiece { file, rest, end, borders } = piece;
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
        let (begin, mut from, mut read_bytes) = (from, splitter.position(), pending.len() as u64);
        let mut header: Vec<u8> = pending.drain(..offset(from).min(pending.len())).skip(begin).collect();
        if !header.ends_with(b"\n") {
            header.push(b'\n');
        }
        let file = Arc::new(OpenFile { key, dialect, columns, header });
        if let Some(rest) = rest {
            (source, pending) = (rest.bytes, Vec::new());
            (from, has_ended) = go_to(rest.begin, &file, &mut source, chunk_bytes, &mut pending)?;
            read_bytes += pending.len() as u64;
        }
        let (ends, buffers) = (RecordEnds::new(dialect, from), Buffers::new());
        borders.begin_at(from.byte);
        let mut cutter = Cutter {
            file,
            source,
            chunk_bytes,
            pending,
            from,
            ends,
            has_ended,
            read_bytes,
            buffers,
            end,
            borders,
        };
        cutter.see(0);
        Ok(cutter)
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
        self.borders.end_at(self.from.byte + whole as u64);
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
        let bytes = self.bytes_wanted();
        self.has_ended = read_more(&mut self.source, &self.file.key, bytes, &mut self.pending)?;
        self.read_bytes += (self.pending.len() - before) as u64;
        self.see(before);
        Ok(())
    }

    // Of a piece hardly more is read than belongs to it.
    fn bytes_wanted(&self) -> usize {
        let Some(end) = self.end else { return self.chunk_bytes };
        let left = end.saturating_sub(self.from.byte + self.pending.len() as u64);
        let wanted = if left == 0 { LAST_BYTES } else { usize::try_from(left).unwrap_or(usize::MAX) };
        wanted.min(self.chunk_bytes)
    }

    // Looks for the ends of records behind the first `seen` bytes. Behind those of a piece each one may be its last.
    fn see(&mut self, seen: usize) {
        let Some(end) = self.end else { return self.ends.push(&self.pending[seen..]) };
        let inside = usize::try_from(end.saturating_sub(self.from.byte)).unwrap_or(usize::MAX);
        let (inside, behind) = self.pending[seen..].split_at(inside.clamp(seen, self.pending.len()) - seen);
        self.ends.push(inside);
        let mut lines = behind.split_inclusive(|byte| *byte == b'\n');
        while self.ends.last().byte < end
            && let Some(line) = lines.next()
        {
            self.ends.push(line);
        }
        if self.ends.last().byte >= end {
            self.pending.truncate(self.whole_bytes());
            self.has_ended = true;
        }
    }
}

/// Goes to the first record of a piece, and takes what is read of it; gives its place, and whether the file has ended.
fn go_to(
    begin: Begin,
    file: &OpenFile,
    source: &mut dyn Read,
    chunk_bytes: usize,
    pending: &mut Vec<u8>,
) -> Result<(Position, bool)> {
    let at = |byte| Position { line: 1, byte };
    let behind = match begin {
        Begin::Record(byte) => return Ok((at(byte), false)),
        Begin::Behind(byte) => byte.saturating_sub(1),
    };
    loop {
        let has_ended = read_more(source, &file.key, chunk_bytes.min(LAST_BYTES), pending)?;
        if let Some(first) = first_record(file.dialect, pending) {
            pending.drain(..first);
            return Ok((at(behind + first as u64), has_ended));
        }
        if has_ended {
            let end = behind + pending.len() as u64;
            pending.clear();
            return Ok((at(end), true));
        }
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
