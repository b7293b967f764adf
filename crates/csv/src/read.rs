//! The splitter: takes a file in buffers of any size, gives its records one by one.

mod columns;
mod ends;
mod header;
mod marks;
mod places;
mod record;
mod records;
mod scan;

pub use columns::ColumnMap;
pub use ends::RecordEnds;
pub use header::{Header, HeaderError};
pub use record::{Record, Text};
pub use records::Records;

use memchr::{memchr, memchr_iter};

use crate::dialect::Dialect;
use crate::violation::{Rule, Violation, shorten};
use scan::{Scanner, Step};

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Physical lines, each with an LF at its end, counted from 1.
    pub line: u64,
    /// Counted from 0, a byte order mark included.
    pub byte: u64,
}

impl Position {
    pub const FILE_START: Position = Position { line: 1, byte: 0 };
}

/// How much a splitter takes, and where in the file it begins.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most bytes of one record, the line's end not counted; at most 4 GiB.
    pub record_size_bytes_max: usize,
    /// The place of the first byte that is pushed; it must be the start of a line outside quotes.
    pub from: Position,
}

impl Default for Settings {
    /// 16 MiB, which is 100 columns of 20,000 characters and more, from the start of a file.
    fn default() -> Settings {
        Settings { record_size_bytes_max: 16 << 20, from: Position::FILE_START }
    }
}

/// Splits bytes into records: [`push`](Splitter::push) some, take records until there are none, push more.
///
/// Lines end with LF or CRLF, the last one also with the file; empty lines and a byte order mark at the file's
/// start are skipped. A quote opens quoting at the start of a value only and is text elsewhere. Line ends within
/// quotes are text. Where the buffers are cut makes no difference.
///
/// Memory: one record and what was pushed last. Nothing is allocated per record.
///
/// Source: "Formatting your input data".
#[derive(Debug)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// Where in the buffer the next record begins.
    start: usize,
    /// The place in the file of `start`.
    position: Position,
    scanner: Scanner,
    size_bytes_max: usize,
    state: State,
    is_finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FileStart,
    Record,
    /// The scanner holds a record that was given out.
    BetweenRecords,
    /// Behind text after a closing quote: nothing counts until the line ends.
    Skipping,
    /// Behind a violation that leaves no way to tell where records begin.
    Ended,
}

impl Splitter {
    pub fn new(dialect: Dialect, settings: Settings) -> Splitter {
        Splitter {
            buffer: Vec::new(),
            start: 0,
            position: settings.from,
            scanner: Scanner::new(dialect),
            size_bytes_max: settings.record_size_bytes_max.min(u32::MAX as usize),
            state: if settings.from.byte == 0 { State::FileStart } else { State::Record },
            is_finished: false,
        }
    }

    /// Takes the file's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.state != State::Ended {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Says that the file has ended: what is left is the last record.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The next record; `None` when more bytes are needed, or after [`finish`](Splitter::finish) when there are none.
    ///
    /// # Errors
    /// After `text after a closing quote` the next call goes on with the next line. A record that is too long and a
    /// quote that is never closed end the file: from then on there are no records.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, Violation> {
        let Some(found) = self.advance()? else {
            return Ok(None);
        };
        Ok(Some(self.scanner.record(&self.buffer[found.start..found.end], found.position)))
    }

    /// The place behind the last record that was given out, where the next one may begin.
    pub fn position(&self) -> Position {
        self.position
    }

    fn advance(&mut self) -> Result<Option<Found>, Violation> {
        while self.is_at_record() {
            let text = &self.buffer[self.start..];
            match self.scanner.scan(text, self.is_finished) {
                Step::More => {
                    self.check_size(text.len())?;
                    return Ok(None);
                }
                Step::Record { end, line_end } => {
                    self.check_size(line_end)?;
                    let found = self.take(end, line_end);
                    if !self.scanner.is_blank() {
                        return Ok(Some(found));
                    }
                }
                Step::TextAfterQuote { at, seen } => {
                    self.check_size(seen)?;
                    return Err(self.refuse_text(at));
                }
                Step::Unclosed { opened } => {
                    self.check_size(text.len())?;
                    return Err(self.refuse_quote(opened));
                }
            }
        }
        Ok(None)
    }

    // Leaves behind what is no part of the next record. False: there is no byte of it.
    fn is_at_record(&mut self) -> bool {
        let is_record = match self.state {
            State::FileStart => self.skip_byte_order_mark(),
            State::Record => true,
            State::BetweenRecords => {
                self.scanner.reset();
                true
            }
            State::Skipping => self.skip_line(),
            State::Ended => false,
        };
        if is_record {
            self.state = State::Record;
        }
        is_record && self.start < self.buffer.len()
    }

    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if self.buffer.starts_with(MARK) {
            self.go_to(MARK.len(), 0);
        }
        self.is_finished || self.start > 0 || !MARK.starts_with(&self.buffer)
    }

    fn skip_line(&mut self) -> bool {
        self.scanner.reset();
        let rest = &self.buffer[self.start..];
        match memchr(b'\n', rest) {
            Some(end) => {
                self.go_to(end + 1, 1);
                true
            }
            None => {
                self.go_to(rest.len(), 0);
                false
            }
        }
    }

    fn take(&mut self, end: usize, line_end: usize) -> Found {
        let found = Found { start: self.start, end: self.start + end, position: self.position };
        let with_end = (line_end + 1).min(self.buffer.len() - self.start);
        self.go_to(with_end, self.scanner.inner_lines() + 1);
        self.state = State::BetweenRecords;
        found
    }

    fn refuse_text(&mut self, at: usize) -> Violation {
        let field = self.scanner.last_field_start();
        let value = shorten(&self.buffer[self.start + field..self.start + at]);
        self.go_to(at, self.lines_in(at));
        self.state = State::Skipping;
        self.violation(value, Rule::TextAfterQuote)
    }

    fn refuse_quote(&mut self, opened: usize) -> Violation {
        self.go_to(opened, self.lines_in(opened));
        let value = shorten(&self.buffer[self.start..]);
        self.end();
        self.violation(value, Rule::UnclosedQuote)
    }

    // `seen` bytes are known to belong to the record; the answer must not depend on how many more have arrived.
    fn check_size(&mut self, seen: usize) -> Result<(), Violation> {
        if seen <= self.size_bytes_max {
            return Ok(());
        }
        let value = shorten(&self.buffer[self.start..self.start + self.size_bytes_max]);
        self.end();
        Err(self.violation(value, Rule::RecordTooLong { size_bytes_max: self.size_bytes_max }))
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.buffer = Vec::new();
        self.start = 0;
    }

    fn violation(&self, value_shortened: String, rule: Rule) -> Violation {
        let Position { line, byte } = self.position;
        Violation { line, byte, column: None, value_shortened, rule }
    }

    fn lines_in(&self, bytes: usize) -> u64 {
        memchr_iter(b'\n', &self.buffer[self.start..self.start + bytes]).count() as u64
    }

    fn go_to(&mut self, bytes: usize, lines: u64) {
        self.start += bytes;
        self.position.byte += bytes as u64;
        self.position.line += lines;
    }
}

struct Found {
    start: usize,
    end: usize,
    position: Position,
}

#[cfg(test)]
mod tests;
