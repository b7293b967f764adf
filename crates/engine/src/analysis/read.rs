//! A dataset read for its analysis: ranges of hashes, merged over all runs by several threads.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Layout;
use model::error::{Error, Result};
use store::Piece;
use store::merge::{Batches, Mark, Merge};

use super::Limits;
use super::census::Census;
use super::newest::Newest;
use crate::Progress;
use crate::export::{Source, SourceRun};

const REPORT_EVERY_ROWS: u64 = 8192;

/// Counts all records that an export of ALL would write.
///
/// # Errors
/// `Corrupt` when a run is damaged or holds another number of records than the catalog says; `Unavailable` once the work
/// was asked to stop.
pub fn read(
    layout: &Layout,
    source: &Source,
    limits: &Limits,
    threads: usize,
    progress: &Progress,
) -> Result<Census> {
    let ranges = ranges(&source.runs);
    let next = AtomicUsize::new(0);
    let work = || work(layout, source, limits, &ranges, &next, progress);
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.clamp(1, ranges.len())).map(|_| scope.spawn(work)).collect();
        let ended = |_| Err(Error::internal("a thread of a job ended before its work"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect::<Vec<_>>()
    });
    let (mut whole, mut read) = (Census::new(layout, limits), 0);
    for part in done {
        let (census, rows_read) = part?;
        whole.merge(&census);
        read += rows_read;
    }
    if read != source.runs.iter().map(|run| run.rows).sum::<u64>() {
        return Err(Error::corrupt("the analysis read another number of records than its snapshot holds"));
    }
    Ok(whole)
}

// Behind the first hash of each of the largest run's row groups, so that nearly nothing is read twice.
fn ranges(runs: &[SourceRun]) -> Vec<RangeInclusive<u64>> {
    let largest = runs.iter().max_by_key(|run| run.rows);
    let borders = largest.map_or(&[][..], |run| run.run.borders());
    let mut starts = vec![0];
    starts.extend(borders.iter().skip(1).filter_map(|border| border.checked_add(1)));
    starts.dedup();
    let end = |n: usize| starts.get(n + 1).map_or(u64::MAX, |next| next - 1);
    starts.iter().enumerate().map(|(n, start)| *start..=end(n)).collect()
}

// What one thread counts, and how many records of the runs it read.
fn work(
    layout: &Layout,
    source: &Source,
    limits: &Limits,
    ranges: &[RangeInclusive<u64>],
    next: &AtomicUsize,
    progress: &Progress,
) -> Result<(Census, u64)> {
    let (mut census, mut read) = (Census::new(layout, limits), 0);
    while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
        match read_range(layout, source, range, &mut census, progress) {
            Ok(rows) => read += rows,
            Err(cause) => {
                // The others need not go on.
                next.store(ranges.len(), Ordering::Relaxed);
                return Err(cause);
            }
        }
    }
    census.end();
    Ok((census, read))
}

fn read_range(
    layout: &Layout,
    source: &Source,
    range: &RangeInclusive<u64>,
    census: &mut Census,
    progress: &Progress,
) -> Result<u64> {
    let is_keyed = layout.dataset_type.is_keyed();
    let mut merge = Merge::marked(layout, open(source, range, is_keyed)?)?;
    let mut newest = is_keyed.then(|| Newest::new(layout.id_column()));
    let mut reported = 0;
    while let Some(piece) = merge.next_piece()? {
        match (&mut newest, piece) {
            (None, Piece::Span { rows, range, .. }) => census.count(&rows, range),
            (None, Piece::One(one)) => census.count(&one.rows, one.row..one.row + 1),
            (Some(newest), Piece::Span { rows, range, .. }) => {
                range.for_each(|row| newest.push(&rows, row, rows.arrivals(row), census));
            }
            (Some(newest), Piece::One(one)) => newest.push(&one.rows, one.row, one.arrivals, census),
        }
        if merge.rows_read() - reported >= REPORT_EVERY_ROWS {
            progress.add(merge.rows_read() - reported, 0);
            reported = merge.rows_read();
            progress.check()?;
        }
    }
    if let Some(mut newest) = newest {
        newest.hand_on(census);
    }
    census.end_ids();
    progress.add(merge.rows_read() - reported, 0);
    progress.check()?;
    Ok(merge.rows_read())
}

// Only of what has a newest record does it matter when records came.
fn open(source: &Source, range: &RangeInclusive<u64>, is_asked: bool) -> Result<Vec<(Batches, Mark)>> {
    let open = |run: &SourceRun| {
        let reader = run.run.read(range.clone(), is_asked)?;
        Ok((Box::new(reader) as Batches, Mark { origin: run.origin, since: 0 }))
    };
    source.runs.iter().map(open).collect()
}
