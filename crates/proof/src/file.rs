//! One file, read from its first byte to its last: size, checksum, hashes, header and rows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use sha2::{Digest as _, Sha256};

use crate::difference::{Difference, Differences};
use crate::plan::Expected;
use crate::rows::Rows;

/// What was read of a file so far; holds little of its bytes.
pub struct Reading<'a> {
    expected: &'a Expected,
    bytes: u64,
    crc64nvme: Digest,
    blake3: blake3::Hasher,
    /// Where the manifest tells one.
    sha256: Option<Sha256>,
    rows: std::io::Result<Rows>,
}

impl<'a> Reading<'a> {
    pub fn new(expected: &'a Expected) -> Reading<'a> {
        Reading {
            expected,
            bytes: 0,
            crc64nvme: Digest::new(CrcAlgorithm::Crc64Nvme),
            blake3: blake3::Hasher::new(),
            sha256: expected.entry.sha256.is_some().then(Sha256::new),
            rows: Rows::new(&expected.form),
        }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.crc64nvme.update(piece);
        self.blake3.update(piece);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(piece);
        }
        if let Ok(rows) = &mut self.rows
            && let Err(cause) = rows.push(piece)
        {
            self.rows = Err(cause);
        }
    }

    /// What differs, once all bytes were read.
    pub fn end(self) -> Vec<Difference> {
        let Expected { name, entry, form } = self.expected;
        let mut differences = Differences::of(name);
        differences.compare("bytes", entry.bytes, self.bytes);
        let crc64nvme = STANDARD.encode(self.crc64nvme.finalize().to_be_bytes());
        differences.compare("crc64nvme", entry.crc64nvme.as_str(), crc64nvme.as_str());
        differences.compare("blake3", entry.blake3.as_str(), self.blake3.finalize().to_hex().as_str());
        if let (Some(expected), Some(sha256)) = (&entry.sha256, self.sha256) {
            differences.compare("sha256", expected.as_str(), hex::encode(sha256.finalize()).as_str());
        }
        match self.rows.and_then(Rows::end) {
            Ok(found) => {
                let header = String::from_utf8_lossy(&form.header()).trim_end_matches('\n').to_owned();
                differences.compare("header", header, found.header);
                // A last line without its end is a row that was cut.
                let cut = if found.is_cut { " and a piece of one" } else { "" };
                differences.compare("rows", entry.rows.to_string(), format!("{}{cut}", found.rows));
            }
            Err(cause) => {
                let whole = format!("{} rows of {}", entry.rows, form.format.as_str());
                differences.compare("content", whole, cause.to_string());
            }
        }
        differences.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use csv::Dialect;
    use model::export::{Compression, Format};
    use model::manifest::FileEntry;

    use crate::rows::Form;

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
            sha256: None,
        };
        let form = Form {
            format: Format::Csv,
            compression: Compression::None,
            dialect: Dialect::Rfc4180,
            columns: vec!["A".into(), "B".into()],
        };
        Expected { name: "f.csv".into(), entry, form }
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
