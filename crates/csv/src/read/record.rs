//! One record as it stands in the file: where its values are, and where it is.

use super::Position;
use crate::violation::{Rule, Violation, shorten};

/// A record; it lives until the splitter is asked for the next one.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub(super) raw: &'a [u8],
    /// The same and what was unescaped, where it is known that they are UTF-8.
    pub(super) text: Option<(&'a str, &'a str)>,
    pub(super) unescaped: &'a [u8],
    pub(super) spans: &'a [Span],
    /// A place before the record, and the bytes between it and the record: lines are counted when they are asked for.
    pub(super) from: Position,
    pub(super) before: &'a [u8],
    pub(super) has_backslash_escapes: bool,
}

/// Where a value is: in the record's bytes, or among those that were unescaped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its place in the record's bytes, behind an opening quote.
    pub at: u32,
    pub start: u32,
    pub end: u32,
    pub is_unescaped: bool,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl<'a> Record<'a> {
    /// How many values there are; at least one.
    pub fn field_count(&self) -> usize {
        self.spans.len()
    }

    /// The bytes of the nth value, without its quotes and escapes.
    pub fn field(&self, n: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(n)?;
        let bytes = if span.is_unescaped { self.unescaped } else { self.raw };
        bytes.get(span.range())
    }

    /// The bytes as they stand in the file, the line's end not included.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Where the record begins.
    pub fn position(&self) -> Position {
        let Position { line, byte } = self.from;
        Position { line: line + count_lines(self.before), byte: byte + self.before.len() as u64 }
    }

    /// Whether a backslash was read as an escape: under RFC 4180 the record would say something else.
    pub fn has_backslash_escapes(&self) -> bool {
        self.has_backslash_escapes
    }

    /// The values as text.
    ///
    /// # Errors
    /// `NotUtf8` at the first byte that belongs to no character.
    #[inline]
    pub fn text(&self) -> Result<Text<'a>, Violation> {
        if let Some((raw, unescaped)) = self.text {
            return Ok(Text { raw, unescaped, spans: self.spans });
        }
        match (simdutf8::basic::from_utf8(self.raw), simdutf8::basic::from_utf8(self.unescaped)) {
            (Ok(raw), Ok(unescaped)) => Ok(Text { raw, unescaped, spans: self.spans }),
            _ => Err(self.not_utf8()),
        }
    }

    /// # Errors
    /// `FieldCount` when there are more or fewer values than `expected`.
    #[inline]
    pub fn expect_fields(&self, expected: usize) -> Result<(), Violation> {
        let found = self.field_count();
        if found == expected {
            return Ok(());
        }
        Err(self.violation_at(0, self.raw, Rule::FieldCount { expected, found }))
    }

    /// The violation of a rule by the nth value, in the column of this name.
    pub fn violation(&self, n: usize, column: &str, rule: Rule) -> Violation {
        let at = self.spans.get(n).map_or(0, |span| span.at as usize);
        let value = self.field(n).unwrap_or_default();
        Violation { column: Some(column.to_owned()), ..self.violation_at(at, value, rule) }
    }

    fn not_utf8(&self) -> Violation {
        let valid = std::str::from_utf8(self.raw).map_or_else(|e| e.valid_up_to(), str::len);
        self.violation_at(valid, &self.raw[valid..], Rule::NotUtf8)
    }

    fn violation_at(&self, at: usize, value: &[u8], rule: Rule) -> Violation {
        let Position { line, byte } = self.position();
        Violation {
            line: line + count_lines(&self.raw[..at]),
            byte: byte + at as u64,
            column: None,
            value_shortened: shorten(value),
            rule,
        }
    }
}

fn count_lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// The values of a record whose bytes are known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) unescaped: &'a str,
    pub(super) spans: &'a [Span],
}

impl<'a> Text<'a> {
    pub(super) fn field_count(&self) -> usize {
        self.spans.len()
    }

    /// The nth value, without its quotes and escapes.
    #[inline]
    pub fn field(&self, n: usize) -> Option<&'a str> {
        let span = self.spans.get(n)?;
        let text = if span.is_unescaped { self.unescaped } else { self.raw };
        text.get(span.range())
    }

    pub fn fields(&self) -> impl Iterator<Item = &'a str> {
        (0..self.spans.len()).map_while(|n| self.field(n))
    }
}
