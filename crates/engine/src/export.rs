//! Export: a snapshot's runs → merged, chosen by the rules of the mode → CSV in files of equal hash ranges.

pub(crate) mod choose;
mod encode;

use model::error::{Error, Result};
use model::manifest::Ledger;
use model::{IngestionMode, Layout, Origin};
use store::merge::{Batches, Merge};

use crate::Progress;
use choose::Chooser;
use encode::FileEncoder;

/// What an export reads: the pinned runs of the chosen origins, and the size they have as CSV.
pub struct Source {
    pub runs: Vec<(Origin, Batches)>,
    /// The size of all records as they arrived; it decides into how many files the export is cut.
    pub csv_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The mean size of the files stays below this.
    pub file_size_bytes_max: u64,
    /// The size of the pieces a file is handed over in.
    pub part_size_bytes: usize,
}

/// A piece of the output, in order.
#[derive(Debug)]
pub enum Piece {
    /// The next bytes of a file, `part_size_bytes` of them except the last.
    Part { file: usize, bytes: Vec<u8> },
    /// A file has ended.
    End(FileSummary),
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSummary {
    pub file: usize,
    /// Records, the header not counted.
    pub rows: u64,
    pub bytes: u64,
    pub crc64nvme: u64,
    /// Lower-case hex.
    pub blake3: String,
}

/// How many files an export of this size is cut into: the smallest power of two that keeps their mean below the limit.
pub fn file_count(csv_bytes: u64, settings: &Settings) -> usize {
    let needed = csv_bytes.div_ceil(settings.file_size_bytes_max.max(1)).max(1);
    usize::try_from(needed.next_power_of_two()).unwrap_or(1 << 16).min(1 << 16)
}

/// Writes a snapshot as CSV, piece by piece, and says where every record went.
///
/// Files come one after the other, at least one, each with the header. Order and split depend on the data alone.
/// Holds one batch of each run and one piece of output in memory.
///
/// Source: "Exporting a dataset".
///
/// # Errors
/// `Corrupt` when a run is damaged, or when the ledger does not balance; those of `emit`.
pub fn export(
    layout: &Layout,
    mode: IngestionMode,
    source: Source,
    settings: &Settings,
    progress: &Progress,
    emit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<Ledger> {
    let files = file_count(source.csv_bytes, settings);
    let mut merge = Merge::new(layout, source.runs)?;
    let mut chooser = Chooser::new(layout, mode);
    let mut encoder = FileEncoder::begin(layout, 0, settings.part_size_bytes);
    let mut chosen = Vec::new();
    loop {
        let merged = merge.next_record()?;
        let is_last = merged.is_none();
        chooser.push(merged, &mut chosen);
        for record in chosen.drain(..) {
            let file = file_of(record.rows.hashes[record.row], files);
            while encoder.file() < file {
                encoder = encoder.next(layout, progress, emit)?;
            }
            encoder.write(&record, progress, emit)?;
        }
        if is_last {
            break;
        }
    }
    while encoder.file() + 1 < files {
        encoder = encoder.next(layout, progress, emit)?;
    }
    encoder.end(progress, emit)?;
    let ledger = chooser.ledger();
    if ledger.balances() { Ok(ledger) } else { Err(Error::corrupt("the export's ledger does not balance")) }
}

// The top bits of the hash: files are equal ranges of it, in its order.
fn file_of(hash: u64, files: usize) -> usize {
    let bits = files.trailing_zeros();
    if bits == 0 { 0 } else { usize::try_from(hash >> (64 - bits)).unwrap_or(0) }
}
