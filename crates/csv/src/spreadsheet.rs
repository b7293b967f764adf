//! CSV altered for programs that take a cell for a formula: an apostrophe stands before what would begin one.

use crate::Dialect;

/// Puts an apostrophe before each cell that begins with `=`, `+`, `-`, `@`, a tab or CR, and changes nothing else.
///
/// Takes the text piece by piece, cut anywhere, and holds none of it.
///
/// Source: "CSV Injection" of the OWASP community pages.
pub struct Guard {
    dialect: Dialect,
    place: Place,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cell,
    Plain,
    /// Behind the quote that opens a cell.
    Opened,
    Quoted,
    /// Behind a quote that ends the cell, unless another follows.
    Closed,
    /// Behind a backslash that escapes.
    Escaped,
}

impl Guard {
    pub fn new(dialect: Dialect) -> Guard {
        Guard { dialect, place: Place::Cell }
    }

    /// The altered text of the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 16);
        for &byte in piece {
            if self.is_formula(byte) {
                out.push(b'\'');
            }
            out.push(byte);
            self.place = self.behind(byte);
        }
        out
    }

    // Outside quotes, CR ends a line.
    fn is_formula(&self, byte: u8) -> bool {
        let begins = matches!(byte, b'=' | b'+' | b'-' | b'@' | b'\t');
        match self.place {
            Place::Cell => begins,
            Place::Opened => begins || byte == b'\r',
            _ => false,
        }
    }

    fn behind(&self, byte: u8) -> Place {
        match (self.place, byte) {
            (Place::Cell, b'"') => Place::Opened,
            (Place::Opened | Place::Quoted, b'"') => Place::Closed,
            (Place::Opened | Place::Quoted, b'\\') if self.dialect == Dialect::Aws => Place::Escaped,
            (Place::Opened | Place::Quoted | Place::Escaped, _) | (Place::Closed, b'"') => Place::Quoted,
            (Place::Cell | Place::Plain | Place::Closed, b',' | b'\n' | b'\r') => Place::Cell,
            (Place::Cell | Place::Plain | Place::Closed, _) => Place::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(dialect: Dialect, text: &str, piece: usize) -> String {
        let mut guard = Guard::new(dialect);
        let out: Vec<u8> = text.as_bytes().chunks(piece).flat_map(|piece| guard.push(piece)).collect();
        String::from_utf8(out).unwrap()
    }

    fn check(dialect: Dialect, text: &str, expected: &str) {
        for piece in 1..=text.len() {
            assert_eq!(guarded(dialect, text, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_cell_that_would_be_a_formula_gets_an_apostrophe_however_the_file_is_cut() {
        let text = "ID,T\n=1+1,+a\n-5,@b\n\tc,d=e\n\"=f,g\",\"\"\"=h\"\n\"\rx\",\"i\n=j\"\n,\r\n=k\n";
        let expected =
            "ID,T\n'=1+1,'+a\n'-5,'@b\n'\tc,d=e\n\"'=f,g\",\"\"\"=h\"\n\"'\rx\",\"i\n=j\"\n,\r\n'=k\n";
        check(Dialect::Rfc4180, text, expected);
    }

    #[test]
    fn a_quote_within_quotes_ends_no_cell() {
        check(Dialect::Rfc4180, "\"a\"\",=b\",=c\n", "\"a\"\",=b\",'=c\n");
        check(Dialect::Rfc4180, "\"\",=c\n\"\"\",=\"\n", "\"\",'=c\n\"\"\",=\"\n");
        check(Dialect::Aws, "\"a\\\",=b\",=c\n", "\"a\\\",=b\",'=c\n");
        check(Dialect::Aws, "\"a\\\\\",=b\n\"\\\"=\"\n", "\"a\\\\\",'=b\n\"\\\"=\"\n");
        // A backslash is a backslash where it escapes nothing.
        check(Dialect::Rfc4180, "\"a\\\",=b\n", "\"a\\\",'=b\n");
    }

    #[test]
    fn what_has_no_formula_stays_byte_by_byte() {
        let text = "A,B\n1,\"x, \"\"y\"\"\nz\"\nä=,''\n";
        check(Dialect::Rfc4180, text, text);
    }
}
