//! The records of a text that is all there: the same as the splitter's, sooner.
//!
//! Values are found by the marks of sixty-four bytes at once, in the text itself; nothing is copied but values with
//! escapes. What is not plain, such as a violation, is left to a [`Splitter`] from there on.

use super::marks::Marks;
use super::places::Places;
use super::record::{Record, Span, Text};
use super::{ColumnMap, Position, Settings, Splitter};
use crate::dialect::Dialect;
use crate::violation::Violation;

/// Gives the records of a piece of a file, which begins and ends with a record.
#[derive(Debug)]
pub struct Records<'a> {
    dialect: Dialect,
    settings: Settings,
    text: &'a str,
    /// Where in the text the next record begins.
    at: usize,
    /// Where the values end, in a text without quotes.
    places: Option<Places>,
    marks: Marks,
    spans: Vec<Span>,
    unescaped: String,
    /// Splits the rest of the text.
    rest: Option<Splitter>,
}

/// A record within the text, without its line's end.
struct Found {
    start: usize,
    end: usize,
    has_backslash_escapes: bool,
}

impl<'a> Records<'a> {
    /// `settings` say where in the file `bytes` begin.
    pub fn new(dialect: Dialect, settings: Settings, bytes: &'a [u8]) -> Records<'a> {
        let escape = memchr::memchr(b'"', bytes).map(|_| dialect.escape());
        // Where text is not UTF-8, or may begin with a byte order mark, the splitter does all.
        let text = simdutf8::basic::from_utf8(bytes).ok().filter(|_| settings.from.byte > 0);
        let mut records = Records {
            dialect,
            settings,
            text: text.unwrap_or_default(),
            at: 0,
            places: escape.is_none().then(Places::new),
            marks: Marks::new(text.unwrap_or_default().as_bytes(), escape),
            spans: Vec::new(),
            unescaped: String::new(),
            rest: None,
        };
        if text.is_none() {
            records.split(bytes, settings.from);
        }
        records
    }

    /// The next record.
    ///
    /// # Errors
    /// As [`Splitter::next_record`], for the same records.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, Violation> {
        match self.find() {
            Some(found) => Ok(Some(self.record(&found))),
            None => self.rest.as_mut().map_or(Ok(None), Splitter::next_record),
        }
    }

    /// Writes the canonical form of the next record; false when there are no more.
    ///
    /// The same as [`ColumnMap::encode`] of each record, with less on the way.
    ///
    /// # Errors
    /// As `next_record`, and as [`ColumnMap::read_values`].
    #[inline]
    pub fn encode_next(&mut self, columns: &ColumnMap, out: &mut Vec<u8>) -> Result<bool, Violation> {
        let Some(found) = self.find() else {
            let rest = self.rest.as_mut().map_or(Ok(None), Splitter::next_record)?;
            return rest.map_or(Ok(false), |record| columns.encode(&record, out).map(|()| true));
        };
        let raw = &self.text[found.start..found.end];
        let text = Text { raw, unescaped: &self.unescaped, spans: &self.spans };
        if columns.encode_text(&text, out) { Ok(true) } else { Err(columns.violation(&self.record(&found))) }
    }

    /// The place of the byte behind what was given out or refused last; within its line, where that has text after a
    /// closing quote.
    pub fn byte(&self) -> u64 {
        self.rest.as_ref().map_or(self.settings.from.byte + self.at as u64, |rest| rest.position().byte)
    }

    // The next plain record; `None` at the text's end, or where the splitter has to go on.
    fn find(&mut self) -> Option<Found> {
        while self.rest.is_none() && self.at < self.text.len() {
            let found = if self.places.is_some() { self.slice_plain() } else { self.slice() };
            match found {
                Some(_) if self.is_blank() => {}
                Some(found) => return Some(found),
                None => self.split_rest(),
            }
        }
        None
    }

    #[inline]
    fn record(&self, found: &Found) -> Record<'_> {
        let raw = &self.text[found.start..found.end];
        Record {
            raw: raw.as_bytes(),
            text: Some((raw, &self.unescaped)),
            unescaped: self.unescaped.as_bytes(),
            spans: &self.spans,
            from: self.settings.from,
            before: &self.text.as_bytes()[..found.start],
            has_backslash_escapes: found.has_backslash_escapes,
        }
    }

    #[cold]
    fn split_rest(&mut self) {
        // A record that is refused for its size may have had millions of values.
        self.spans = Vec::new();
        let (before, rest) = self.text.as_bytes().split_at(self.at);
        let Position { line, byte } = self.settings.from;
        let lines = memchr::memchr_iter(b'\n', before).count() as u64;
        self.split(rest, Position { line: line + lines, byte: byte + before.len() as u64 });
    }

    fn split(&mut self, rest: &[u8], from: Position) {
        let mut splitter = Splitter::new(self.dialect, Settings { from, ..self.settings });
        splitter.push(rest);
        splitter.finish();
        self.rest = Some(splitter);
    }

    fn is_blank(&self) -> bool {
        // A value in quotes begins behind its record.
        matches!(self.spans[..], [Span { at: 0, start: 0, end: 0, .. }])
    }

    /// As `slice`, of a text without quotes.
    fn slice_plain(&mut self) -> Option<Found> {
        let text = self.text.as_bytes();
        let places = self.places.as_mut()?;
        let start = self.at;
        let mut field = start;
        self.spans.clear();
        let line_end = loop {
            match places.next(text)? {
                (found, true) => break found,
                (found, false) => {
                    self.spans.push(plain_span(start, field, found));
                    field = found + 1;
                }
            }
        };
        let end = if text[field..line_end].ends_with(b"\r") { line_end - 1 } else { line_end };
        self.spans.push(plain_span(start, field, end));
        if line_end - start > self.settings.record_size_bytes_max {
            return None;
        }
        self.at = line_end + 1;
        Some(Found { start, end, has_backslash_escapes: false })
    }

    /// Finds the values of the next record. `None` where it is not plain; nothing has happened then.
    fn slice(&mut self) -> Option<Found> {
        let text = self.text.as_bytes();
        let start = self.at;
        let mut marks = self.marks;
        let mut has_backslash_escapes = false;
        let mut field = start;
        self.spans.clear();
        self.unescaped.clear();
        let (end, line_end) = loop {
            if text.get(field) == Some(&b'"') {
                let quoted = Quoted::read(&mut marks, self.text, field + 1, &mut self.unescaped)?;
                has_backslash_escapes |= quoted.has_backslash_escapes;
                self.spans.push(quoted.span(start, field + 1));
                let behind = quoted.closed + 1;
                match (text.get(behind)?, text.get(behind + 1)) {
                    (b',', _) => field = behind + 1,
                    (b'\n', _) => break (behind, behind),
                    (b'\r', Some(b'\n')) => break (behind, behind + 1),
                    _ => return None,
                }
                marks.skip_to(text, field);
                continue;
            }
            let found = marks.next_separator(text)?;
            if text[found] == b',' {
                self.spans.push(plain_span(start, field, found));
                field = found + 1;
                continue;
            }
            let end = if found > field && text[found - 1] == b'\r' { found - 1 } else { found };
            self.spans.push(plain_span(start, field, end));
            break (end, found);
        };
        if line_end - start > self.settings.record_size_bytes_max {
            return None;
        }
        marks.skip_to(text, line_end + 1);
        self.marks = marks;
        self.at = line_end + 1;
        Some(Found { start, end, has_backslash_escapes })
    }
}

// A record of more than 4 GiB is refused for its size before its spans are looked at.
#[inline]
fn plain_span(record: usize, start: usize, end: usize) -> Span {
    let (start, end) = ((start - record) as u32, (end - record) as u32);
    Span { at: start, start, end, is_unescaped: false }
}

/// A value in quotes.
struct Quoted {
    closed: usize,
    /// Where in the unescaped text it begins and ends, if it is there.
    unescaped: Option<(usize, usize)>,
    has_backslash_escapes: bool,
}

impl Quoted {
    // Reads on from behind the opening quote; `None` where no quote closes it.
    fn read(marks: &mut Marks, text: &str, opened: usize, unescaped: &mut String) -> Option<Quoted> {
        let bytes = text.as_bytes();
        marks.skip_to(bytes, opened);
        let (begun, mut piece) = (unescaped.len(), opened);
        let mut has_backslash_escapes = false;
        loop {
            let found = marks.next_special(bytes)?;
            match (bytes[found], bytes.get(found + 1)) {
                (b'"', Some(b'"')) => {}
                (b'"', _) => {
                    let is_plain = piece == opened;
                    if !is_plain {
                        unescaped.push_str(&text[piece..found]);
                    }
                    let unescaped = (!is_plain).then_some((begun, unescaped.len()));
                    return Some(Quoted { closed: found, unescaped, has_backslash_escapes });
                }
                (_, Some(b'"' | b'\\')) => has_backslash_escapes = true,
                _ => continue,
            }
            // Of the pair the second byte is meant: the next piece begins with it.
            unescaped.push_str(&text[piece..found]);
            piece = found + 1;
            marks.skip_to(bytes, found + 2);
        }
    }

    fn span(&self, record: usize, opened: usize) -> Span {
        let plain = plain_span(record, opened, self.closed);
        match self.unescaped {
            Some((start, end)) => Span { start: start as u32, end: end as u32, is_unescaped: true, ..plain },
            None => plain,
        }
    }
}

#[cfg(test)]
mod tests;
