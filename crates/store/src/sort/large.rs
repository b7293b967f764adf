//! A bucket that is too large to be sorted in memory: it becomes strands, sorted one at a time, to be merged.

use std::io::Write;
use std::sync::Arc;

use model::error::{Context, Result};

use super::Check;
use super::form;
use super::merged::{Merged, Strand};
use super::piece::Piece;
use super::scratch::{Scratch, ScratchFile};
use super::spill::Extent;
use crate::Arrivals;

/// The most strands that are merged at once.
pub(super) const FAN_IN: usize = 64;
/// The most that is read or written at once.
const STEP_BYTES: usize = 256 << 10;
const CHECK_EVERY_RECORDS: u64 = 8192;

/// Sorts what the extents hold into a few strands; the memory is that of one piece and of merging strands.
pub(super) fn sort<'a>(
    extents: impl Iterator<Item = Extent<'a>>,
    memory_bytes: usize,
    scratch: &Scratch,
    check: Check<'_>,
) -> Result<Vec<Strand>> {
    let piece_bytes = memory_bytes / 2;
    let step_bytes = (piece_bytes / 4).clamp(1, STEP_BYTES);
    let mut strands = Strands::create(scratch, memory_bytes - piece_bytes, check)?;
    let mut piece = Piece::default();
    for extent in extents {
        for from in (0..extent.size_bytes()).step_by(step_bytes) {
            piece.add_part(&extent, from, step_bytes.min(extent.size_bytes() - from))?;
            if piece.size_bytes() >= piece_bytes {
                piece.deal();
                strands.add(&mut piece)?;
                piece.clear();
            }
        }
    }
    piece.sort()?;
    strands.add(&mut piece)?;
    Ok(strands.levels.into_iter().flatten().collect())
}

/// Strands in one file: those of the second level were merged from those of the first, and so on.
struct Strands<'a> {
    file: Arc<ScratchFile>,
    size_bytes: u64,
    levels: Vec<Vec<Strand>>,
    memory_bytes: usize,
    check: Check<'a>,
}

impl<'a> Strands<'a> {
    fn create(scratch: &Scratch, memory_bytes: usize, check: Check<'a>) -> Result<Strands<'a>> {
        Ok(Strands {
            file: Arc::new(scratch.create()?),
            size_bytes: 0,
            levels: Vec::new(),
            memory_bytes,
            check,
        })
    }

    fn add(&mut self, piece: &mut Piece) -> Result<()> {
        let mut writer = StrandWriter::new(&self.file, self.size_bytes, self.check);
        while let Some((record, arrivals)) = piece.next_record() {
            writer.push(record, arrivals)?;
        }
        let size_bytes = writer.finish()?;
        self.put(0, size_bytes)
    }

    // A full level becomes one strand of the next, so that each record is written once a level.
    fn put(&mut self, level: usize, size_bytes: u64) -> Result<()> {
        let from = self.size_bytes;
        self.size_bytes += size_bytes;
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(Strand { file: self.file.clone(), range: from..self.size_bytes });
        if self.levels[level].len() < FAN_IN {
            return Ok(());
        }
        let mut merged = Merged::open(std::mem::take(&mut self.levels[level]), self.memory_bytes)?;
        let mut writer = StrandWriter::new(&self.file, self.size_bytes, self.check);
        while let Some((record, arrivals)) = merged.next_record()? {
            writer.push(record, arrivals)?;
        }
        let size_bytes = writer.finish()?;
        self.put(level + 1, size_bytes)
    }
}

/// Writes a strand to the end of the file.
struct StrandWriter<'a> {
    file: &'a ScratchFile,
    /// Where the strand begins.
    from: u64,
    buffer: Vec<u8>,
    written: u64,
    records: u64,
    check: Check<'a>,
}

impl<'a> StrandWriter<'a> {
    fn new(file: &'a ScratchFile, from: u64, check: Check<'a>) -> StrandWriter<'a> {
        StrandWriter { file, from, buffer: Vec::with_capacity(STEP_BYTES), written: 0, records: 0, check }
    }

    fn push(&mut self, record: &[u8], arrivals: Arrivals) -> Result<()> {
        form::write(record, arrivals, &mut self.buffer);
        self.records += 1;
        if self.records.is_multiple_of(CHECK_EVERY_RECORDS) {
            (self.check)()?;
        }
        if self.buffer.len() >= STEP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut end = self.file.append(self.from + self.written);
        let written = end.write_all(&self.buffer).and_then(|()| end.flush());
        written.unavailable(|| "write a file for sorting".to_owned())?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<u64> {
        self.flush()?;
        Ok(self.written)
    }
}
