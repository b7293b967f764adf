//! One file of an export: its header, its records as CSV, its hashes, cut into pieces.

use crc_fast::{CrcAlgorithm, Digest};
use model::Layout;
use model::error::Result;
use store::Merged;
use store::rows::Values;

use super::{FileSummary, Piece};
use crate::Progress;

pub struct FileEncoder {
    file: usize,
    part_size_bytes: usize,
    buffer: Vec<u8>,
    rows: u64,
    bytes: u64,
    reported: u64,
    crc64nvme: Digest,
    blake3: blake3::Hasher,
}

const REPORT_EVERY_ROWS: u64 = 8192;

impl FileEncoder {
    pub fn begin(layout: &Layout, file: usize, part_size_bytes: usize) -> FileEncoder {
        let mut buffer = Vec::with_capacity(part_size_bytes + (64 << 10));
        csv::write::write_header(layout.columns.iter().map(|c| c.name()), &mut buffer);
        let crc64nvme = Digest::new(CrcAlgorithm::Crc64Nvme);
        let blake3 = blake3::Hasher::new();
        FileEncoder { file, part_size_bytes, buffer, rows: 0, bytes: 0, reported: 0, crc64nvme, blake3 }
    }

    pub fn file(&self) -> usize {
        self.file
    }

    pub fn write(
        &mut self,
        record: &Merged,
        progress: &Progress,
        emit: &mut dyn FnMut(Piece) -> Result<()>,
    ) -> Result<()> {
        for (n, column) in record.rows.columns.iter().enumerate() {
            if n > 0 {
                self.buffer.push(b',');
            }
            write_value(column, record.row, &mut self.buffer);
        }
        self.buffer.push(b'\n');
        self.rows += 1;
        if self.rows - self.reported >= REPORT_EVERY_ROWS {
            self.report(progress)?;
        }
        while self.buffer.len() >= self.part_size_bytes {
            let rest = self.buffer.split_off(self.part_size_bytes);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.buffer.reserve(self.part_size_bytes);
            self.emit_part(part, emit)?;
        }
        Ok(())
    }

    /// Ends this file and begins the next.
    pub fn next(
        self,
        layout: &Layout,
        progress: &Progress,
        emit: &mut dyn FnMut(Piece) -> Result<()>,
    ) -> Result<FileEncoder> {
        let next = FileEncoder::begin(layout, self.file + 1, self.part_size_bytes);
        self.end(progress, emit)?;
        Ok(next)
    }

    pub fn end(mut self, progress: &Progress, emit: &mut dyn FnMut(Piece) -> Result<()>) -> Result<()> {
        self.report(progress)?;
        let last = std::mem::take(&mut self.buffer);
        if !last.is_empty() {
            self.emit_part(last, emit)?;
        }
        emit(Piece::End(FileSummary {
            file: self.file,
            rows: self.rows,
            bytes: self.bytes,
            crc64nvme: self.crc64nvme.finalize(),
            blake3: self.blake3.finalize().to_hex().to_string(),
        }))
    }

    fn emit_part(&mut self, bytes: Vec<u8>, emit: &mut dyn FnMut(Piece) -> Result<()>) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.crc64nvme.update(&bytes);
        self.blake3.update(&bytes);
        emit(Piece::Part { file: self.file, bytes })
    }

    fn report(&mut self, progress: &Progress) -> Result<()> {
        progress.add(self.rows - self.reported, 0);
        self.reported = self.rows;
        progress.check()
    }
}

fn write_value(column: &Values, row: usize, out: &mut Vec<u8>) {
    use arrow_array::Array;
    match column {
        Values::Strings(a) if a.is_valid(row) => csv::write::write_string(a.value(row), out),
        Values::Longs(a) if a.is_valid(row) => csv::write::write_long(a.value(row), out),
        Values::Doubles(a) if a.is_valid(row) => csv::write::write_double(a.value(row), out),
        Values::Booleans(a) if a.is_valid(row) => csv::write::write_boolean(a.value(row), out),
        _ => {}
    }
}
