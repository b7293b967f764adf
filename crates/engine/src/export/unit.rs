//! The unit of an export's work: a range of hashes, merged over all runs and encoded into one file's bytes.

use std::ops::RangeInclusive;

use model::error::Result;
use model::{IngestionMode, Layout};
use store::Piece;
use store::merge::{Batches, Merge};

use super::choose::Chooser;
use super::encode::Encoder;
use super::{Source, SourceRun};
use crate::Progress;

/// One range of hashes; all its records go into one file.
pub struct Unit<'a> {
    pub file: usize,
    range: RangeInclusive<u64>,
    layout: &'a Layout,
    mode: IngestionMode,
    runs: &'a [SourceRun],
}

/// What became of a unit's records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Records of all runs.
    pub read: u64,
    /// Those of them that differ.
    pub distinct: u64,
    pub written: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.read += other.read;
        self.distinct += other.distinct;
        self.written += other.written;
    }
}

/// Cuts an export into units: at the borders of files, and where the largest run's row groups begin, so that nearly
/// nothing is read twice.
pub fn plan<'a>(layout: &'a Layout, mode: IngestionMode, source: &'a Source, files: usize) -> Vec<Unit<'a>> {
    let bits = files.trailing_zeros();
    let file_start = |file: usize| if bits == 0 { 0 } else { (file as u64) << (64 - bits) };
    let mut starts: Vec<u64> = (0..files).map(file_start).collect();
    if let Some(largest) = source.runs.iter().max_by_key(|run| run.rows) {
        starts.extend_from_slice(largest.run.borders());
    }
    starts.sort_unstable();
    starts.dedup();
    let end = |n: usize| starts.get(n + 1).map_or(u64::MAX, |next| next - 1);
    let file_of = |start: u64| if bits == 0 { 0 } else { usize::try_from(start >> (64 - bits)).unwrap_or(0) };
    let unit = |(n, &start): (usize, &u64)| Unit {
        file: file_of(start),
        range: start..=end(n),
        layout,
        mode,
        runs: &source.runs,
    };
    starts.iter().enumerate().map(unit).collect()
}

const REPORT_EVERY_ROWS: u64 = 8192;

impl Unit<'_> {
    /// Merges and encodes the range; `out` takes its bytes in order, about a MiB at a time.
    ///
    /// Holds one batch of each run, the records of one id where an id has several, and one piece of output.
    pub fn encode(&self, progress: &Progress, out: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<Tally> {
        let is_keyed = self.layout.dataset_type.is_keyed();
        let mut runs: Vec<_> = Vec::with_capacity(self.runs.len());
        for source in self.runs {
            // Only of items and users does it matter when they came.
            let reader = source.run.read(self.range.clone(), is_keyed)?;
            runs.push((source.origin, Box::new(reader) as Batches));
        }
        let mut merge = Merge::new(self.layout, runs)?;
        let mut encoder = Encoder::new(out);
        let mut chooser = is_keyed.then(|| Chooser::new(self.layout, self.mode));
        let (mut distinct, mut reported) = (0, 0);
        while let Some(piece) = merge.next_piece()? {
            let (rows, range) = match piece {
                Piece::Span { rows, range } => (rows, range),
                Piece::One(merged) if chooser.is_none() => (merged.rows, merged.row..merged.row + 1),
                Piece::One(merged) => {
                    distinct += 1;
                    if let Some(chooser) = &mut chooser {
                        chooser.push(merged.rows, merged.row, merged.arrivals, &mut encoder)?;
                    }
                    continue;
                }
            };
            distinct += range.len() as u64;
            match &mut chooser {
                None => encoder.write(&rows, range)?,
                Some(chooser) => chooser.push_span(&rows, range, &mut encoder)?,
            }
            if encoder.rows() - reported >= REPORT_EVERY_ROWS {
                progress.add(encoder.rows() - reported, 0);
                reported = encoder.rows();
                progress.check()?;
            }
        }
        if let Some(chooser) = &mut chooser {
            chooser.end(&mut encoder)?;
        }
        let written = encoder.end()?;
        progress.add(written - reported, 0);
        progress.check()?;
        Ok(Tally { read: merge.rows_read(), distinct, written })
    }
}
