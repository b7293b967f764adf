//! Where records end, and nothing else about them: a file is cut there, so that threads can read its pieces.

use memchr::{memchr, memchr_iter, memrchr};

use super::Position;
use crate::block::{self, Block};
use crate::dialect::Dialect;

/// Follows a file from the start of a record on, and knows where the last whole record ended.
///
/// It goes by the rules of the splitter, also behind text after a closing quote, where nothing counts until the line
/// ends; and no further than to a quote that is never closed, or a record that is too long: those end the file.
#[derive(Clone, Debug)]
pub struct RecordEnds {
    dialect: Dialect,
    state: State,
    seen: Position,
    last: Position,
}

/// Between which bytes it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a value.
    Start,
    /// Among values without quotes.
    Plain,
    Quoted,
    /// Behind a backslash within quotes.
    Escape,
    /// Behind a quote within quotes: it closed them, or is the first of a pair.
    Closed,
    /// Behind text after a closing quote, or a CR that may be such text.
    Skipping,
}

impl RecordEnds {
    /// `from` is the start of a record.
    pub fn new(dialect: Dialect, from: Position) -> RecordEnds {
        RecordEnds { dialect, state: State::Start, seen: from, last: from }
    }

    /// The place behind the last line end that is no part of a value; at first where it began.
    pub fn last(&self) -> Position {
        self.last
    }

    /// Looks at the file's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Start | State::Plain) && memchr(b'"', bytes).is_none() {
            return self.push_plain(bytes);
        }
        let (blocks, rest) = bytes.as_chunks();
        blocks.iter().for_each(|block| self.push_block(block));
        rest.iter().for_each(|&byte| self.push_byte(byte));
    }

    // Without a quote every line's end is the end of a record.
    fn push_plain(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        self.state = if matches!(last, b',' | b'\n') { State::Start } else { State::Plain };
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        self.seen.line += memchr_iter(b'\n', &bytes[..whole]).count() as u64;
        if whole > 0 {
            self.last = Position { byte: self.seen.byte + whole as u64, ..self.seen };
        }
        self.seen.byte += bytes.len() as u64;
    }

    // Quotes that come in turn, opening and closing, need no state machine. Where one stands that opens nothing, or
    // text behind one that closes, or an escape, the bytes are gone through one by one.
    fn push_block(&mut self, block: &Block) {
        let quotes = block::equal(block, b'"');
        let separators = block::either(block, b',', b'\n');
        let before = fold_parity(quotes) << 1 ^ quotes_before(self.state);
        let (opening, closing) = (quotes & !before, quotes & before);
        let may_open =
            (separators | closing) << 1 | u64::from(matches!(self.state, State::Start | State::Closed));
        let escapes = if self.dialect == Dialect::Aws { block::equal(block, b'\\') & before } else { 0 };
        let behind = closing << 1 | u64::from(self.state == State::Closed);
        let is_text =
            behind & !(separators | quotes) != 0 && behind & !(separators | quotes | line_ends(block)) != 0;
        let is_known = matches!(self.state, State::Start | State::Plain | State::Quoted | State::Closed);
        if opening & !may_open != 0 || escapes != 0 || is_text || !is_known {
            return block.iter().for_each(|&byte| self.push_byte(byte));
        }
        self.add_lines(block::equal(block, b'\n'), before);
        const LAST: u64 = 1 << (block::SIZE - 1);
        self.state = if (before ^ quotes) & LAST != 0 {
            State::Quoted
        } else if closing & LAST != 0 {
            State::Closed
        } else if separators & LAST != 0 {
            State::Start
        } else {
            State::Plain
        };
    }

    fn add_lines(&mut self, lines: u64, within_quotes: u64) {
        let ends = lines & !within_quotes;
        if ends != 0 {
            let behind = block::SIZE - ends.leading_zeros() as usize;
            self.last = Position {
                line: self.seen.line + u64::from((lines & block::below(behind)).count_ones()),
                byte: self.seen.byte + behind as u64,
            };
        }
        self.seen.line += u64::from(lines.count_ones());
        self.seen.byte += block::SIZE as u64;
    }

    fn push_byte(&mut self, byte: u8) {
        self.seen.byte += 1;
        self.seen.line += u64::from(byte == b'\n');
        self.state = match (self.state, byte) {
            (State::Start | State::Closed, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, b'\\') if self.dialect == Dialect::Aws => State::Escape,
            (State::Quoted | State::Escape, _) => State::Quoted,
            (_, b'\n') => {
                self.last = self.seen;
                State::Start
            }
            (State::Skipping, _) => State::Skipping,
            (_, b',') => State::Start,
            (State::Closed, _) => State::Skipping,
            (_, _) => State::Plain,
        };
    }
}

// Every CR with its LF behind it in the same block.
fn line_ends(block: &Block) -> u64 {
    block::equal(block, b'\r') & block::equal(block, b'\n') >> 1
}

// All ones where the quotes before the block are open.
fn quotes_before(state: State) -> u64 {
    if state == State::Quoted { u64::MAX } else { 0 }
}

// Each bit becomes the parity of itself and all lower ones.
#[inline]
fn fold_parity(quotes: u64) -> u64 {
    if quotes == 0 {
        return 0;
    }
    [1, 2, 4, 8, 16, 32].iter().fold(quotes, |parity, n| parity ^ parity << n)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::read::{Settings, Splitter};

    const FROM: Position = Position { line: 3, byte: 100 };

    fn last_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>, dialect: Dialect) -> Position {
        let mut ends = RecordEnds::new(dialect, FROM);
        parts.into_iter().for_each(|part| ends.push(part));
        ends.last()
    }

    /// Where the splitter has got to before more bytes are needed; `None` when it is within a line that it skips.
    fn split_last(text: &[u8], dialect: Dialect) -> Option<Position> {
        let mut splitter = Splitter::new(dialect, Settings { from: FROM, ..Settings::default() });
        splitter.push(text);
        loop {
            match splitter.next_record() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The line is skipped with the next call.
                Err(_) => {
                    let at = (splitter.position().byte - FROM.byte) as usize;
                    memchr(b'\n', &text[at..])?;
                }
            }
        }
        Some(splitter.position())
    }

    #[test]
    fn a_line_end_within_quotes_ends_no_record() {
        let at = |text: &str| last_of([text.as_bytes()], Dialect::Aws);
        assert_eq!(at("a,b"), FROM);
        assert_eq!(at("a\n\"b\n\",c\nd"), Position { line: 6, byte: 109 });
        assert_eq!(at("a\n\"b\\\"\n"), Position { line: 4, byte: 102 });
        assert_eq!(at("5\"\n"), Position { line: 4, byte: 103 });
        assert_eq!(last_of([&b"\"b\\\"\n"[..]], Dialect::Rfc4180), Position { line: 4, byte: 105 });
    }

    #[test]
    fn text_behind_a_closing_quote_is_skipped_to_the_end_of_its_line() {
        let at = |text: &str| last_of([text.as_bytes()], Dialect::Aws).byte - FROM.byte;
        for more in ["", &"x".repeat(80)] {
            assert_eq!(at(&format!("\"a\"x{more},\"b\nc")), 8 + more.len() as u64);
            assert_eq!(at(&format!("\"a\"\r{more}x,\"b\nc")), 9 + more.len() as u64);
        }
        assert_eq!(at("\"a\"\r\n\"b\n"), 5);
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            4 => "[a-z\\\\]{0,12}",
            1 => "[a-z]{1,3}\"[a-z\"]{0,3}",
            4 => "\"([a-z\n,]|\"\"){0,40}\"",
            1 => "\"([a-z\n,]|\\\\[a-z\\\\\"]|\"\"){0,40}\"",
            1 => "[a,\"\\\\\n\r]{0,3}",
            1 => "\"[a\n]{0,3}\"[a\r]{1,2}",
        ];
        let end = prop_oneof![4 => Just(","), 2 => Just("\n"), 1 => Just("\r\n")];
        prop::collection::vec((value, end).prop_map(|(value, end)| value + end), 0..30)
            .prop_map(|values| values.concat().into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

        #[test]
        fn the_ends_are_those_of_the_splitter(
            text in text(), size in 1..150_usize, dialect in prop_oneof![Just(Dialect::Aws), Just(Dialect::Rfc4180)]
        ) {
            let last = last_of([&text[..]], dialect);
            prop_assert_eq!(last_of(text.chunks(size), dialect), last);
            prop_assert_eq!(last_of(text.chunks(1), dialect), last);
            if let Some(split) = split_last(&text, dialect) {
                prop_assert_eq!(last, split);
            }
        }

        #[test]
        fn records_before_a_violation_are_whole(
            text in text(), dialect in prop_oneof![Just(Dialect::Aws), Just(Dialect::Rfc4180)]
        ) {
            let mut splitter = Splitter::new(dialect, Settings { from: FROM, ..Settings::default() });
            splitter.push(&text);
            let mut ends = vec![FROM.byte];
            let violation = loop {
                match splitter.next_record() {
                    Ok(Some(_)) => ends.push(splitter.position().byte),
                    Ok(None) => break None,
                    Err(violation) => break Some(violation.byte),
                }
            };
            // Blank lines may be cut off as well; a cut before the violation is never within a record.
            for cut in 0..=text.len() {
                let last = last_of([&text[..cut]], dialect).byte;
                let is_blank = |at: u64| {
                    let before = ends.iter().copied().filter(|&end| end <= at).max().unwrap_or(FROM.byte);
                    text[(before - FROM.byte) as usize..(at - FROM.byte) as usize].iter().all(|b| b"\r\n".contains(b))
                };
                prop_assert!(violation.is_some_and(|at| last > at) || is_blank(last), "{} {:?}", last, ends);
            }
        }
    }
}
