//! The state machine that finds the values of one record; it can stop at any byte and go on when more are there.

use super::Position;
use super::record::{Record, Span};
use crate::dialect::Dialect;
use crate::swar;

/// Scans one record from its first byte on; what it has found stays until [`reset`](Scanner::reset).
///
/// All places are counted from the record's first byte.
#[derive(Debug)]
pub(super) struct Scanner {
    dialect: Dialect,
    mode: Mode,
    /// The first byte that is not decided yet.
    at: usize,
    /// Where the current value begins; behind its opening quote, if it has one.
    field: usize,
    /// Whether the current quoted value holds two bytes that mean one.
    has_pairs: bool,
    has_quotes: bool,
    inner_lines: u64,
    has_backslash_escapes: bool,
    spans: Vec<Span>,
    unescaped: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a closing quote.
    Closed,
}

/// How far a scan came.
pub(super) enum Step {
    /// The record has ended: its bytes are `..end`, the LF stands at `line_end`, or else the file ends there.
    Record { end: usize, line_end: usize },
    /// All bytes are looked at, and the record has not ended.
    More,
    /// Text at `at` behind a closing quote, which the byte at `seen` gave away.
    TextAfterQuote { at: usize, seen: usize },
    /// The file has ended within the quotes opened at `opened`.
    Unclosed { opened: usize },
}

impl Scanner {
    pub fn new(dialect: Dialect) -> Scanner {
        Scanner {
            dialect,
            mode: Mode::FieldStart,
            at: 0,
            field: 0,
            has_pairs: false,
            has_quotes: false,
            inner_lines: 0,
            has_backslash_escapes: false,
            spans: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    pub fn reset(&mut self) {
        self.mode = Mode::FieldStart;
        self.at = 0;
        self.field = 0;
        self.has_quotes = false;
        self.inner_lines = 0;
        self.has_backslash_escapes = false;
        self.spans.clear();
        self.unescaped.clear();
    }

    /// Goes on with a record. `text` begins where it did before, and may have grown.
    pub fn scan(&mut self, text: &[u8], is_finished: bool) -> Step {
        loop {
            let step = match self.mode {
                Mode::FieldStart => self.begin_field(text, is_finished),
                Mode::Unquoted => self.scan_unquoted(text, is_finished),
                Mode::Quoted => self.scan_quoted(text, is_finished),
                Mode::Closed => self.end_quoted(text, is_finished),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Whether the record is an empty line.
    pub fn is_blank(&self) -> bool {
        !self.has_quotes && matches!(self.spans[..], [Span { start, end, .. }] if start == end)
    }

    /// How many lines end within the record's values.
    pub fn inner_lines(&self) -> u64 {
        self.inner_lines
    }

    pub fn last_field_start(&self) -> usize {
        self.spans.last().map_or(0, |span| span.at as usize)
    }

    pub fn record<'a>(&'a self, raw: &'a [u8], position: Position) -> Record<'a> {
        Record {
            raw,
            text: None,
            unescaped: &self.unescaped,
            spans: &self.spans,
            from: position,
            before: &[],
            has_backslash_escapes: self.has_backslash_escapes,
        }
    }

    fn begin_field(&mut self, text: &[u8], is_finished: bool) -> Option<Step> {
        self.field = self.at;
        self.mode = Mode::Unquoted;
        match text.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                self.field = self.at;
                self.has_pairs = false;
                self.has_quotes = true;
                self.mode = Mode::Quoted;
            }
            None if !is_finished => {
                self.mode = Mode::FieldStart;
                return Some(Step::More);
            }
            _ => {}
        }
        None
    }

    // The hot loop: all values up to the line's end, or to the next that is quoted.
    fn scan_unquoted(&mut self, text: &[u8], is_finished: bool) -> Option<Step> {
        let mut at = self.at;
        while at < text.len() {
            let word = swar::word_at(text, at);
            let mut marks = swar::equal(word, swar::splat(b',')) | swar::equal(word, swar::splat(b'\n'));
            while marks != 0 {
                let found = at + swar::first(marks);
                marks &= marks - 1;
                if text[found] == b'\n' {
                    return Some(self.end_line(text, found));
                }
                self.add_raw(found);
                self.field = found + 1;
                if matches!(text.get(found + 1), None | Some(b'"')) {
                    self.at = found + 1;
                    self.mode = Mode::FieldStart;
                    return None;
                }
            }
            at += 8;
        }
        self.at = text.len();
        Some(if is_finished { self.end_line(text, text.len()) } else { Step::More })
    }

    fn end_line(&mut self, text: &[u8], line_end: usize) -> Step {
        let end = if text[self.field..line_end].ends_with(b"\r") { line_end - 1 } else { line_end };
        self.add_raw(end);
        Step::Record { end, line_end }
    }

    // The same for a quoted value: up to its closing quote. Most have no byte that is special but that.
    fn scan_quoted(&mut self, text: &[u8], is_finished: bool) -> Option<Step> {
        while let Some(found) = self.next_special(text) {
            self.at = found;
            match (text[found], text.get(found + 1)) {
                (b'\n', _) => {
                    self.inner_lines += 1;
                    self.at += 1;
                }
                (_, None) if !is_finished => return Some(Step::More),
                (b'"', Some(b'"')) => self.skip_pair(),
                (b'"', _) => {
                    self.close(text);
                    return None;
                }
                (_, Some(b'"' | b'\\')) => {
                    self.has_backslash_escapes = true;
                    self.skip_pair();
                }
                _ => self.at += 1,
            }
        }
        self.at = text.len();
        Some(if is_finished { Step::Unclosed { opened: self.field - 1 } } else { Step::More })
    }

    #[inline]
    fn next_special(&self, text: &[u8]) -> Option<usize> {
        let escape = self.dialect.escape();
        (self.at..text.len()).step_by(8).find_map(|at| {
            let word = swar::word_at(text, at);
            let is = |byte| swar::equal(word, swar::splat(byte));
            let marks = is(b'"') | is(escape) | is(b'\n');
            (marks != 0).then(|| at + swar::first(marks))
        })
    }

    fn skip_pair(&mut self) {
        self.has_pairs = true;
        self.at += 2;
    }

    fn close(&mut self, text: &[u8]) {
        if self.has_pairs {
            let start = self.unescaped.len();
            self.dialect.unescape(&text[self.field..self.at], &mut self.unescaped);
            self.add(start, self.unescaped.len(), true);
        } else {
            self.add_raw(self.at);
        }
        self.at += 1;
        self.mode = Mode::Closed;
    }

    fn end_quoted(&mut self, text: &[u8], is_finished: bool) -> Option<Step> {
        let at = self.at;
        let record = |line_end| Some(Step::Record { end: at, line_end });
        match (text.get(at), text.get(at + 1)) {
            (Some(b','), _) => {
                self.at += 1;
                self.mode = Mode::FieldStart;
                None
            }
            (Some(b'\n'), _) => record(at),
            (Some(b'\r'), Some(b'\n')) => record(at + 1),
            (None | Some(b'\r'), None) if is_finished => record(text.len()),
            (None | Some(b'\r'), None) => Some(Step::More),
            (Some(b'\r'), Some(_)) => Some(Step::TextAfterQuote { at, seen: at + 1 }),
            (_, _) => Some(Step::TextAfterQuote { at, seen: at }),
        }
    }

    fn add_raw(&mut self, end: usize) {
        self.add(self.field, end, false);
    }

    // A record of more than 4 GiB is refused for its size before its spans are looked at.
    fn add(&mut self, start: usize, end: usize, is_unescaped: bool) {
        let span = Span { at: self.field as u32, start: start as u32, end: end as u32, is_unescaped };
        self.spans.push(span);
    }
}
