//! The unit of an export's work: a range of hashes, merged over all runs and encoded into one file's bytes.

use std::ops::RangeInclusive;

use model::error::Result;
use model::{IngestionMode, Layout};
use serde::{Deserialize, Serialize};
use store::merge::{Batches, Mark, Merge};
use store::{Piece, ScratchFolder};

use super::SourceRun;
use super::choose::Chooser;
use super::form::Form;
use super::pool::Pool;
use super::sink::Left;
use crate::Progress;

/// What all units of an export have in common.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub layout: &'a Layout,
    pub mode: IngestionMode,
    pub runs: &'a [SourceRun],
    pub form: &'a Form,
    /// Whether what is left out is written, in place of what is not.
    pub takes_losers: bool,
    pub pool: &'a Pool,
    pub scratch: &'a ScratchFolder,
    /// What a unit may take to put the records of one id in order.
    pub memory_bytes: usize,
}

/// One range of hashes; all its records go into one file.
pub struct Unit<'a> {
    pub file: usize,
    number: usize,
    range: RangeInclusive<u64>,
    plan: Plan<'a>,
}

/// What became of a unit's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records of all runs.
    pub read: u64,
    /// Those of them that differ.
    pub distinct: u64,
    pub written: u64,
    pub left: Left,
    /// Those of the filtered ones that were there before.
    pub earlier: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.read += other.read;
        self.distinct += other.distinct;
        self.written += other.written;
        self.left = self.left + other.left;
        self.earlier += other.earlier;
    }
}

impl<'a> Plan<'a> {
    /// Cuts an export into units: at the borders of files, and behind the first hash of each of the largest run's row
    /// groups, so that nearly nothing is read twice.
    pub fn units(self, files: usize) -> Vec<Unit<'a>> {
        let bits = files.trailing_zeros();
        let file_start = |file: usize| if bits == 0 { 0 } else { (file as u64) << (64 - bits) };
        let mut starts: Vec<u64> = (0..files).map(file_start).collect();
        if let Some(largest) = self.runs.iter().max_by_key(|run| run.rows) {
            // Records of that hash can stand at the end of the row group before, too.
            starts.extend(largest.run.borders().iter().skip(1).filter_map(|border| border.checked_add(1)));
        }
        starts.sort_unstable();
        starts.dedup();
        let end = |n: usize| starts.get(n + 1).map_or(u64::MAX, |next| next - 1);
        let file_of =
            |start: u64| if bits == 0 { 0 } else { usize::try_from(start >> (64 - bits)).unwrap_or(0) };
        let unit = |(number, &start): (usize, &u64)| Unit {
            file: file_of(start),
            number,
            range: start..=end(number),
            plan: self,
        };
        starts.iter().enumerate().map(unit).collect()
    }
}

const REPORT_EVERY_ROWS: u64 = 8192;

impl Unit<'_> {
    /// Merges and encodes the range; `out` takes its bytes in order, a piece at a time.
    ///
    /// Holds one batch of each run, the records of one id where an id has several (within the
    /// plan's memory), and one piece of output.
    pub fn encode(&self, progress: &Progress, out: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<Tally> {
        let plan = &self.plan;
        let mut merge = Merge::marked(plan.layout, self.open()?)?;
        let mut sink = plan.form.sink(plan.takes_losers, plan.pool, out);
        let mut chooser = self.chooser();
        let (mut distinct, mut reported) = (0, 0);
        while let Some(piece) = merge.next_piece()? {
            match piece {
                Piece::Span { rows, range, mark } => {
                    distinct += range.len() as u64;
                    match &mut chooser {
                        None => sink.keep_span(&rows, range, mark)?,
                        Some(chooser) => chooser.push_span(&rows, range, mark, &mut sink)?,
                    }
                }
                Piece::One(merged) => {
                    distinct += 1;
                    match &mut chooser {
                        None => sink.keep(&merged.into())?,
                        Some(chooser) => chooser.push(merged.into(), &mut sink)?,
                    }
                }
            }
            if merge.rows_read() - reported >= REPORT_EVERY_ROWS {
                progress.add(merge.rows_read() - reported, 0);
                reported = merge.rows_read();
                progress.check()?;
            }
        }
        if let Some(chooser) = &mut chooser {
            chooser.end(&mut sink)?;
        }
        let (left, earlier) = (sink.left, sink.earlier);
        let written = sink.end()?;
        progress.add(merge.rows_read() - reported, 0);
        progress.check()?;
        Ok(Tally { read: merge.rows_read(), distinct, written, left, earlier })
    }

    fn open(&self) -> Result<Vec<(Batches, Mark)>> {
        let plan = &self.plan;
        let is_asked = plan.takes_losers || plan.form.needs_arrivals || plan.layout.dataset_type.is_keyed();
        let open = |source: &SourceRun| {
            let reader = source.run.read(self.range.clone(), is_asked)?;
            Ok((Box::new(reader) as Batches, plan.form.mark(source.origin)))
        };
        plan.runs.iter().map(open).collect()
    }

    // Only of items and users does it matter when they came; what is left out needs no order.
    fn chooser(&self) -> Option<Chooser> {
        let plan = &self.plan;
        let is_chosen = !plan.takes_losers || plan.mode == IngestionMode::All;
        let scratch = || plan.scratch.join(self.number.to_string());
        (plan.layout.dataset_type.is_keyed() && is_chosen)
            .then(|| Chooser::new(plan.layout, plan.mode, scratch(), plan.memory_bytes))
    }
}
