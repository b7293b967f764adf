//! The files of an export, one after the other: content as it comes, hashes, cut into parts.

use crc_fast::{CrcAlgorithm, checksum, checksum_combine};
use model::error::Result;
use sha2::{Digest, Sha256};

use super::content::Content;
use super::form::FileForm;
use super::part::Space;
use super::{FileId, FileSummary, Piece};

/// Writes one file after the other.
pub struct FileWriter<'f> {
    form: &'f FileForm,
    content: Content,
    body: Body,
    rows: u64,
}

/// The bytes of a file as they are stored.
struct Body {
    file: FileId,
    part_size_bytes: usize,
    part: Vec<u8>,
    space: Space,
    bytes: u64,
    crc64nvme: u64,
    blake3: blake3::Hasher,
    sha256: Option<Sha256>,
}

type Emit<'a> = &'a mut dyn FnMut(Piece) -> Result<()>;

impl<'f> FileWriter<'f> {
    /// Begins a file.
    pub fn begin(
        number: usize,
        form: &'f FileForm,
        part_size_bytes: usize,
        emit: Emit<'_>,
    ) -> Result<FileWriter<'f>> {
        FileWriter::of(number, form, part_size_bytes, Space::default(), emit)
    }

    fn of(
        number: usize,
        form: &'f FileForm,
        part_size_bytes: usize,
        space: Space,
        emit: Emit<'_>,
    ) -> Result<FileWriter<'f>> {
        let file = FileId { are_losers: form.are_losers, number };
        let body = Body {
            file,
            part_size_bytes,
            part: space.take(),
            space,
            bytes: 0,
            crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, &[]),
            blake3: blake3::Hasher::new(),
            sha256: form.has_sha256.then(Sha256::new),
        };
        let mut writer = FileWriter { form, content: Content::begin(form)?, body, rows: 0 };
        writer.write(&form.header, emit)?;
        Ok(writer)
    }

    /// Ends all files before `file`; those in between hold the header alone.
    pub fn go_to(&mut self, file: usize, emit: Emit<'_>) -> Result<()> {
        while self.body.file.number < file {
            let (number, space) = (self.body.file.number + 1, self.body.space.clone());
            let next = FileWriter::of(number, self.form, self.body.part_size_bytes, space, emit)?;
            std::mem::replace(self, next).end(emit)?;
        }
        Ok(())
    }

    /// Writes what a unit encoded.
    pub fn write(&mut self, bytes: &[u8], emit: Emit<'_>) -> Result<()> {
        match self.content.push(bytes)? {
            Some(stored) => self.body.write(&stored, emit),
            None if self.content.is_plain() => self.body.write(bytes, emit),
            None => Ok(()),
        }
    }

    /// Counts records whose bytes were written.
    pub fn count(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// Ends the last file.
    pub fn end(mut self, emit: Emit<'_>) -> Result<()> {
        let rest = std::mem::take(&mut self.content).end()?;
        self.body.write(&rest, emit)?;
        self.body.end(self.rows, emit)
    }
}

impl Body {
    fn write(&mut self, mut bytes: &[u8], emit: Emit<'_>) -> Result<()> {
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

    // A file of nothing has a part of nothing: there is no upload without one.
    fn end(mut self, rows: u64, emit: Emit<'_>) -> Result<()> {
        let last = std::mem::take(&mut self.part);
        if !last.is_empty() || self.bytes == 0 {
            self.emit_part(last, emit)?;
        }
        emit(Piece::End(FileSummary {
            file: self.file,
            rows,
            bytes: self.bytes,
            crc64nvme: self.crc64nvme,
            blake3: self.blake3.finalize().to_hex().to_string(),
            sha256: self.sha256.map(|sha256| hex::encode(sha256.finalize())),
        }))
    }

    fn emit_part(&mut self, bytes: Vec<u8>, emit: Emit<'_>) -> Result<()> {
        let len = bytes.len() as u64;
        let crc64nvme = checksum(CrcAlgorithm::Crc64Nvme, &bytes);
        self.bytes += len;
        self.crc64nvme = checksum_combine(CrcAlgorithm::Crc64Nvme, self.crc64nvme, crc64nvme, len);
        self.blake3.update(&bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&bytes);
        }
        emit(Piece::Part { file: self.file, bytes: self.space.part(bytes), crc64nvme })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::form::Form;
    use model::export::ExportOptions;
    use model::{DatasetType, IngestionMode, Layout, Schema};

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
                    let file = file.number;
                    files.resize(files.len().max(file + 1), String::new());
                    files[file].push_str(std::str::from_utf8(bytes).unwrap());
                }
                Piece::End(summary) => summaries.push(summary),
            }
            Ok(())
        };
        let options = ExportOptions { has_sha256: true, ..ExportOptions::default() };
        let form = Form::new(&layout(), IngestionMode::All, &options, None).file(&layout());
        let mut writer = FileWriter::begin(0, &form, part_size_bytes, &mut emit).unwrap();
        for (file, text) in chunks {
            writer.go_to(*file, &mut emit).unwrap();
            writer.write(text.as_bytes(), &mut emit).unwrap();
        }
        writer.go_to(last, &mut emit).unwrap();
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
                assert_eq!(summary.sha256, Some(hex::encode(Sha256::digest(file))));
                assert_eq!(summary.crc64nvme, checksum(CrcAlgorithm::Crc64Nvme, file.as_bytes()));
            }
        }
    }
}
