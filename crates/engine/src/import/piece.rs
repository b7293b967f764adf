//! Pieces of files: which records belong to a range of bytes, when several read one file far from each other.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{Dialect, Position, RecordEnds};

use super::SourceFile;

/// The records of a file that begin in a range of its bytes; a record's beginning is the end of the one before.
pub struct SourcePiece<'a> {
    /// From its start, which tells the columns.
    pub file: SourceFile,
    /// `None`: from the header on.
    pub rest: Option<Rest>,
    /// The piece ends with the first record that ends here or behind; `None`: with the file.
    pub end: Option<u64>,
    pub borders: &'a Borders,
}

/// Where a piece begins that does not begin with its file.
pub struct Rest {
    pub begin: Begin,
    pub bytes: Box<dyn Read + Send>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the record that begins here, as do the bytes.
    Record(u64),
    /// With the first record that begins here or behind, if this is no place within quotes; the bytes begin one before.
    Behind(u64),
}

/// Where the records of a piece were found to begin, and to end: pieces fit when one ends where the next begins.
#[derive(Debug, Default)]
pub struct Borders {
    begin: AtomicU64,
    end: AtomicU64,
}

impl<'a> SourcePiece<'a> {
    /// All records of a file.
    pub fn whole(file: SourceFile, borders: &'a Borders) -> SourcePiece<'a> {
        SourcePiece { file, rest: None, end: None, borders }
    }
}

impl Borders {
    pub const NONE: Borders = Borders { begin: AtomicU64::new(0), end: AtomicU64::new(0) };

    pub fn begin(&self) -> u64 {
        self.begin.load(Ordering::Relaxed)
    }

    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    pub(super) fn begin_at(&self, byte: u64) {
        self.begin.store(byte, Ordering::Relaxed);
        self.end_at(byte);
    }

    pub(super) fn end_at(&self, byte: u64) {
        self.end.store(byte, Ordering::Relaxed);
    }
}

/// Where the first record begins behind the first byte; `None` when no record ends in these bytes.
///
/// Nobody knows what stands before them. They are taken to be outside quotes, which is wrong within a quoted text with
/// line breaks: whoever knows where the record before ends finds that out.
pub fn first_record(dialect: Dialect, bytes: &[u8]) -> Option<usize> {
    // It can't be told whether these open or close; behind them it does not matter, but for line breaks.
    let quotes = bytes.iter().take_while(|byte| **byte == b'"').count();
    let mut ends = RecordEnds::new(dialect, Position { line: 1, byte: 0 });
    for line in bytes[quotes..].split_inclusive(|byte| *byte == b'\n') {
        ends.push(line);
        let end = usize::try_from(ends.last().byte).unwrap_or(usize::MAX);
        if end > 0 {
            return Some(quotes + end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<&str> {
        first_record(Dialect::Aws, text.as_bytes()).map(|at| &text[at..])
    }

    #[test]
    fn a_record_begins_behind_a_line_end() {
        assert_eq!(first("\nb,c\nd"), Some("b,c\nd"));
        assert_eq!(first("a,b\r\nc"), Some("c"));
        assert_eq!(first("a\n"), Some(""));
        assert_eq!(first("a,b"), None);
    }

    #[test]
    fn line_breaks_within_quotes_are_none_where_the_quote_can_be_seen() {
        assert_eq!(first(",\"a\nb\",c\nd"), Some("d"));
        assert_eq!(first("x\",\"a\nb\"\nd"), Some("d"));
        assert_eq!(first("\",\"a\nb\"\nd"), Some("d"));
        assert_eq!(first("\"\nd"), Some("d"));
        // Only whoever reads from before knows better.
        assert_eq!(first("a\nb\",c\nd"), Some("b\",c\nd"));
    }
}
