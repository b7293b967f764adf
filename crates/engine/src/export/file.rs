//! The files of an export, one after the other: header, bytes as they come, hashes, cut into parts.

use crc_fast::{CrcAlgorithm, checksum, checksum_combine};
use model::Layout;
use model::error::Result;

use super::part::Space;
use super::{FileSummary, Piece};

/// Writes one file after the other.
pub struct FileWriter {
    file: usize,
    part_size_bytes: usize,
    part: Vec<u8>,
    space: Space,
    rows: u64,
    bytes: u64,
    crc64nvme: u64,
    blake3: blake3::Hasher,
}

type Emit<'a> = &'a mut dyn FnMut(Piece) -> Result<()>;

impl FileWriter {
    /// Begins the first file.
    pub fn begin(layout: &Layout, part_size_bytes: usize) -> FileWriter {
        FileWriter::of(0, layout, part_size_bytes, Space::default())
    }

    fn of(file: usize, layout: &Layout, part_size_bytes: usize, space: Space) -> FileWriter {
        let mut part = space.take();
        csv::write::write_header(layout.columns.iter().map(|c| c.name()), &mut part);
        let crc64nvme = checksum(CrcAlgorithm::Crc64Nvme, &[]);
        let blake3 = blake3::Hasher::new();
        FileWriter { file, part_size_bytes, part, space, rows: 0, bytes: 0, crc64nvme, blake3 }
    }

    /// Ends all files before `file`; those in between hold the header alone.
    pub fn go_to(&mut self, file: usize, layout: &Layout, emit: Emit<'_>) -> Result<()> {
        while self.file < file {
            let next = FileWriter::of(self.file + 1, layout, self.part_size_bytes, self.space.clone());
            std::mem::replace(self, next).end(emit)?;
        }
        Ok(())
    }

    pub fn write(&mut self, mut bytes: &[u8], emit: Emit<'_>) -> Result<()> {
        while self.part.len() + bytes.len() >= self.part_size_bytes {
            // A header can be longer than a part.
            let (now, later) = bytes.split_at(self.part_size_bytes.saturating_sub(self.part.len()));
            self.append(now);
            bytes = later;
            let mut rest = self.space.take();
            rest.extend_from_slice(&self.part[self.part_size_bytes..]);
            self.part.truncate(self.part_size_bytes);
            let part = std::mem::replace(&mut self.part, rest);
            self.emit_part(part, emit)?;
        }
        self.append(bytes);
        Ok(())
    }

    // A part gets all its room at once: it is filled to the end, but for the last one.
    fn append(&mut self, bytes: &[u8]) {
        self.part.reserve_exact(self.part_size_bytes.saturating_sub(self.part.len()).max(bytes.len()));
        self.part.extend_from_slice(bytes);
    }

    /// Counts records whose bytes were written.
    pub fn count(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// Ends the last file.
    pub fn end(mut self, emit: Emit<'_>) -> Result<()> {
        self.write(&[], emit)?;
        let last = std::mem::take(&mut self.part);
        if !last.is_empty() {
            self.emit_part(last, emit)?;
        }
        emit(Piece::End(FileSummary {
            file: self.file,
            rows: self.rows,
            bytes: self.bytes,
            crc64nvme: self.crc64nvme,
            blake3: self.blake3.finalize().to_hex().to_string(),
        }))
    }

    fn emit_part(&mut self, bytes: Vec<u8>, emit: Emit<'_>) -> Result<()> {
        let len = bytes.len() as u64;
        let crc64nvme = checksum(CrcAlgorithm::Crc64Nvme, &bytes);
        self.bytes += len;
        self.crc64nvme = checksum_combine(CrcAlgorithm::Crc64Nvme, self.crc64nvme, crc64nvme, len);
        self.blake3.update(&bytes);
        emit(Piece::Part { file: self.file, bytes: self.space.part(bytes), crc64nvme })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{DatasetType, Schema};

    fn layout() -> Layout {
        let schema = r#"{"type":"record","name":"Users","fields":[{"name":"USER_ID","type":"string"},
            {"name":"AGE","type":"int"}]}"#;
        Layout::new(DatasetType::Users, &Schema::parse(schema, None).unwrap())
    }

    fn write(
        part_size_bytes: usize,
        chunks: &[(usize, &str)],
        last: usize,
    ) -> (Vec<String>, Vec<FileSummary>) {
        let (mut files, mut summaries) = (Vec::<String>::new(), Vec::new());
        let mut emit = |piece| {
            match piece {
                Piece::Part { file, bytes, crc64nvme } => {
                    let bytes = bytes.as_ref();
                    assert_eq!(crc64nvme, checksum(CrcAlgorithm::Crc64Nvme, bytes));
                    assert!(bytes.len() <= part_size_bytes);
                    files.resize(files.len().max(file + 1), String::new());
                    files[file].push_str(std::str::from_utf8(bytes).unwrap());
                }
                Piece::End(summary) => summaries.push(summary),
            }
            Ok(())
        };
        let mut writer = FileWriter::begin(&layout(), part_size_bytes);
        for (file, text) in chunks {
            writer.go_to(*file, &layout(), &mut emit).unwrap();
            writer.write(text.as_bytes(), &mut emit).unwrap();
        }
        writer.go_to(last, &layout(), &mut emit).unwrap();
        writer.end(&mut emit).unwrap();
        (files, summaries)
    }

    #[test]
    fn every_file_has_its_header_and_true_hashes_whatever_the_parts() {
        for part_size_bytes in [1, 3, 7, 1000] {
            let (files, summaries) =
                write(part_size_bytes, &[(0, "u1,1\n"), (0, "u2,2\n"), (2, "u3,3\n")], 3);
            let header = "USER_ID,AGE\n";
            assert_eq!(
                files,
                [format!("{header}u1,1\nu2,2\n"), header.into(), format!("{header}u3,3\n"), header.into()]
            );
            for (file, summary) in files.iter().zip(summaries) {
                assert_eq!(summary.bytes, file.len() as u64);
                assert_eq!(summary.blake3, blake3::hash(file.as_bytes()).to_hex().to_string());
                assert_eq!(summary.crc64nvme, checksum(CrcAlgorithm::Crc64Nvme, file.as_bytes()));
            }
        }
    }
}
