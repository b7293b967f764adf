//! One file, read from its first byte to its last: size, checksum, hash, header and rows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

use super::difference::{Difference, Differences};
use super::plan::Expected;

/// What was read of a file so far; holds none of its bytes but the first line.
pub struct Reading<'a> {
    expected: &'a Expected,
    bytes: u64,
    crc64nvme: Digest,
    blake3: blake3::Hasher,
    first: Vec<u8>,
    lines: u64,
    is_quoted: bool,
    last: u8,
}

impl<'a> Reading<'a> {
    pub fn new(expected: &'a Expected) -> Reading<'a> {
        Reading {
            expected,
            bytes: 0,
            crc64nvme: Digest::new(CrcAlgorithm::Crc64Nvme),
            blake3: blake3::Hasher::new(),
            first: Vec::new(),
            lines: 0,
            is_quoted: false,
            last: b'\n',
        }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.crc64nvme.update(piece);
        self.blake3.update(piece);
        let missing = self.expected.header.len() - self.first.len();
        self.first.extend_from_slice(&piece[..missing.min(piece.len())]);
        self.count_lines(piece);
        self.last = piece.last().copied().unwrap_or(self.last);
    }

    // A record ends with a line end that is not within quotes.
    fn count_lines(&mut self, piece: &[u8]) {
        for at in memchr::memchr2_iter(b'"', b'\n', piece) {
            if piece[at] == b'"' {
                self.is_quoted = !self.is_quoted;
            } else {
                self.lines += u64::from(!self.is_quoted);
            }
        }
    }

    /// What differs, once all bytes were read.
    pub fn end(self) -> Vec<Difference> {
        let Expected { name, entry, header } = self.expected;
        let mut differences = Differences::of(name);
        differences.compare("bytes", entry.bytes, self.bytes);
        let crc64nvme = STANDARD.encode(self.crc64nvme.finalize().to_be_bytes());
        differences.compare("crc64nvme", entry.crc64nvme.as_str(), crc64nvme.as_str());
        differences.compare("blake3", entry.blake3.as_str(), self.blake3.finalize().to_hex().as_str());
        let line = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
        differences.compare("header", line(header), line(&self.first));
        // The header is none; a last line without its end is a row that was cut.
        let is_whole = !self.is_quoted && self.last == b'\n';
        let rows = format!("{}", self.lines.saturating_sub(1));
        let found = if is_whole { rows } else { format!("{rows} and a piece of one") };
        differences.compare("rows", entry.rows.to_string(), found);
        differences.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use model::manifest::FileEntry;

    use super::*;

    const TEXT: &[u8] = b"A,B\n1,\"x\ny \"\"z\"\"\"\n2,\n";

    fn expected(text: &[u8]) -> Expected {
        let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, text);
        let entry = FileEntry {
            key: "out/j/f.csv".into(),
            rows: 2,
            bytes: text.len() as u64,
            crc64nvme: STANDARD.encode(crc.to_be_bytes()),
            blake3: blake3::hash(text).to_hex().to_string(),
        };
        Expected { name: "f.csv".into(), entry, header: b"A,B\n".to_vec() }
    }

    fn read(expected: &Expected, text: &[u8], piece: usize) -> Vec<&'static str> {
        let mut reading = Reading::new(expected);
        text.chunks(piece).for_each(|piece| reading.push(piece));
        reading.end().iter().map(|difference| difference.what).collect()
    }

    #[test]
    fn a_file_is_what_it_was_however_it_comes() {
        for piece in 1..=TEXT.len() {
            assert!(read(&expected(TEXT), TEXT, piece).is_empty(), "{piece}");
        }
    }

    #[test]
    fn a_changed_byte_changes_checksum_and_hash() {
        let mut changed = TEXT.to_vec();
        changed[4] = b'7';
        assert_eq!(read(&expected(TEXT), &changed, 5), ["crc64nvme", "blake3"]);
    }

    #[test]
    fn another_header_is_named() {
        let changed = [&b"A,C\n"[..], &TEXT[4..]].concat();
        assert_eq!(read(&expected(&changed), &changed, 3), ["header"]);
    }

    #[test]
    fn a_cut_file_has_too_few_rows() {
        let cut = &TEXT[..TEXT.len() - 1];
        assert_eq!(read(&expected(TEXT), cut, 100), ["bytes", "crc64nvme", "blake3", "rows"]);
        assert_eq!(read(&expected(cut), cut, 100), ["rows"]);
        assert_eq!(read(&expected(b""), b"", 1), ["header", "rows"]);
    }
}
