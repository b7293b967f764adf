//! How many distinct records runs hold together.

use std::ops::RangeInclusive;

use model::Layout;
use model::error::Result;
use store::merge::{Batches, Merge};
use store::{OpenRun, Piece};

use crate::Progress;

/// Counts the distinct records of runs within a range of hashes. Holds one batch of each in memory.
///
/// # Errors
/// `Corrupt` when a run is damaged; `Unavailable` when a read fails or the work was stopped.
pub fn count_distinct(
    layout: &Layout,
    runs: &[OpenRun],
    range: RangeInclusive<u64>,
    progress: &Progress,
) -> Result<u64> {
    let open = |run: &OpenRun| Ok(Box::new(run.read(range.clone(), false)?) as Batches);
    let mut merge = Merge::new(layout, runs.iter().map(open).collect::<Result<_>>()?)?;
    let mut distinct = 0;
    while let Some(piece) = merge.next_piece()? {
        progress.check()?;
        distinct += match piece {
            Piece::Span { range, .. } => range.len() as u64,
            Piece::One(_) => 1,
        };
    }
    Ok(distinct)
}
