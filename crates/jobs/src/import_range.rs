//! Ranges of an import: its files cut into tasks by bytes, each sorted into a run of its own, and put together again.
//!
//! Nobody knows whether a range begins within quotes before the range in front of it was read. So each one takes its
//! begin to be outside, and tells where its records began and ended; a range that does not begin where the one before
//! ended is done again, from there. Rows that break a rule, and imports that are asked for more than their records, are
//! left to an import of the whole, which alone counts lines and tells of them in their order.

mod cut;
mod opener;

use std::ops::RangeInclusive;
use std::sync::Arc;

use access::source::Source;
use access::{Errand, S3Location};
use catalog::{JobRow, Lease};
use engine::import::{Borders, CHUNK_BYTES, Rejecting, Target, import_pieces};
use engine::{Progress, count_distinct};
use model::Layout;
use model::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use store::{OpenRun, RunFile};
use tokio::runtime::Handle;
use tracing::info;

use self::cut::{Fit, cut, fit};
use self::opener::Opener;
use crate::task::Work;
use crate::{Parts, blocking, dataset_of, team};

/// After so many times that ranges did not fit, the import is left to one that reads all of it.
const PASSES_MAX: u32 = 4;

/// What one task reads: pieces of files, one behind the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Range {
    /// What the run's object is to be called begins with it.
    attempt: String,
    schema_version: u32,
    /// Whether the files are those of an export.
    is_exported: bool,
    /// Where its first record begins, once that is known; a file's beginning is no question.
    begin: Option<u64>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    key: String,
    etag: String,
    size: u64,
    begin: u64,
    end: u64,
}

/// What came of a range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Read {
    Done {
        begin: u64,
        end: u64,
        run: Run,
    },
    /// A header or a row breaks a rule, if the range was read from where its first record begins.
    Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    object: String,
    rows: u64,
    records: u64,
    csv_bytes: u64,
    size_bytes: u64,
}

/// Runs whose distinct records are to be counted, in one of equal parts of all hashes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Count {
    schema_version: u32,
    objects: Vec<String>,
    part: u64,
    of: u64,
}

/// All that an import has read, with the number of each run's first record.
pub struct Imported {
    pub runs: Vec<(RunFile, u64)>,
    pub records: u64,
    pub distinct: u64,
}

/// Has an import done as tasks; `None` when it has to be done as a whole.
///
/// # Errors
/// Those of tasks that are no fault of a row.
pub async fn import_all(
    parts: &Arc<Parts>,
    lease: &Lease,
    layout: &Layout,
    source: &Source,
    attempt: &str,
    progress: &Progress,
) -> Result<Option<Imported>> {
    team::begin(parts, lease).await?;
    let range = |pieces| Range {
        attempt: attempt.to_owned(),
        schema_version: layout.schema_version,
        is_exported: source.is_exported,
        begin: None,
        pieces,
    };
    let ranges: Vec<Range> =
        cut(&source.files, parts.settings.import_task_bytes).into_iter().map(range).collect();
    progress.expect_steps(ranges.len() as u64);
    let first_count = ranges.len() as i64;
    let Some(runs) = read_all(parts, lease, ranges, progress).await? else { return Ok(None) };
    let records = runs.iter().map(|run| run.records).sum();
    let runs: Vec<Run> = runs.into_iter().filter(|run| run.rows > 0).collect();
    let distinct = count(parts, lease, layout, &runs, first_count, progress).await?;
    // What was read from a wrong place counts no more.
    progress.begin_again();
    progress.tell(records, source.size_bytes(), 0);
    Ok(Some(Imported { runs: numbered(layout, runs), records, distinct }))
}

// The records of all ranges are numbered as those of one: of those that nobody asks for the newest of, all are the first.
fn numbered(layout: &Layout, runs: Vec<Run>) -> Vec<(RunFile, u64)> {
    let (mut before, is_keyed) = (0, layout.dataset_type.is_keyed());
    let number = |run: Run| {
        let base = if is_keyed { before } else { 0 };
        before += run.records;
        let Run { object, rows, records, csv_bytes, size_bytes } = run;
        (RunFile { object, rows, records, csv_bytes, size_bytes }, base)
    };
    runs.into_iter().map(number).collect()
}

/// Reads all ranges until they fit each other; `None` when a row breaks a rule, or they don't come to fit.
async fn read_all(
    parts: &Arc<Parts>,
    lease: &Lease,
    mut ranges: Vec<Range>,
    progress: &Progress,
) -> Result<Option<Vec<Run>>> {
    let mut reads: Vec<Option<Read>> = vec![None; ranges.len()];
    for _ in 0..PASSES_MAX {
        let missing: Vec<usize> = (0..ranges.len()).filter(|n| reads[*n].is_none()).collect();
        let work = |n: &usize| (*n as i64, Work::Import(ranges[*n].clone()));
        let done = team::run(parts, lease, progress, missing.iter().map(work).collect()).await?;
        missing.into_iter().zip(done).for_each(|(n, read)| reads[n] = Some(read));
        match fit(&mut ranges, &mut reads) {
            Fit::Wrong => return Ok(None),
            Fit::All => return Ok(Some(reads.into_iter().filter_map(run_of).collect())),
            Fit::Again(count) => {
                info!(job.arn = %lease.arn, "{count} ranges of the import begin within quotes and are read again")
            }
        }
    }
    Ok(None)
}

fn run_of(read: Option<Read>) -> Option<Run> {
    match read {
        Some(Read::Done { run, .. }) => Some(run),
        _ => None,
    }
}

/// Does the task of reading a range into a run, as the job's role.
pub async fn read(parts: &Arc<Parts>, job: &JobRow, range: &Range, progress: &Arc<Progress>) -> Result<Read> {
    let request = job.import_request()?;
    let dataset = dataset_of(parts, job).await?;
    let parts = parts.of_dataset(&dataset).await?;
    let layout = dataset.layout.as_of(range.schema_version);
    let place =
        S3Location::parse(&request.data_location).ok_or_else(|| Error::invalid("Invalid Data location."))?;
    let bucket = parts.access.open_bucket(&job.role_arn, &job.arn, &Errand::reading(&place)).await?;
    let (range, progress, handle) = (range.clone(), progress.clone(), Handle::current());
    blocking(move || {
        let opener = Opener { bucket, range: &range, progress: &progress, handle };
        let done = read_pieces(&parts, &layout, &opener);
        match done {
            Err(cause) if cause.kind == ErrorKind::Invalid => {
                // The reason quotes the data, and the log tells of none.
                info!("a range of an import has wrong rows: it is left to an import of the whole");
                Ok(Read::Wrong)
            }
            done => done,
        }
    })
    .await
}

fn read_pieces(parts: &Parts, layout: &Layout, opener: &Opener<'_>) -> Result<Read> {
    let range = opener.range;
    let name = format!("{}-{}", range.attempt, parts.clock.hex(16));
    let target = Target {
        objects: &parts.objects,
        object: format!("{name}.parquet"),
        scratch: parts.scratch.join(&name),
        memory_bytes: parts.settings.job_memory_bytes,
        threads: parts.settings.threads,
        chunk_bytes: CHUNK_BYTES,
        rejecting: Rejecting::FIRST,
    };
    let borders: Vec<Borders> = range.pieces.iter().map(|_| Borders::default()).collect();
    let pieces = range.pieces.iter().zip(&borders).enumerate();
    let pieces = pieces
        .map(|(n, (piece, borders))| opener.open(piece, if n == 0 { range.begin } else { None }, borders));
    let file = import_pieces(layout, pieces, &target, opener.progress)?;
    let RunFile { object, rows, records, csv_bytes, size_bytes } = file;
    let run = Run { object, rows, records, csv_bytes, size_bytes };
    let begin = borders.first().map_or(0, Borders::begin);
    Ok(Read::Done { begin, end: borders.last().map_or(0, Borders::end), run })
}

/// How many distinct records runs hold together: those that are in several count once.
async fn count(
    parts: &Arc<Parts>,
    lease: &Lease,
    layout: &Layout,
    runs: &[Run],
    first: i64,
    progress: &Progress,
) -> Result<u64> {
    if runs.len() <= 1 {
        return Ok(runs.iter().map(|run| run.rows).sum());
    }
    let objects: Vec<String> = runs.iter().map(|run| run.object.clone()).collect();
    // To count takes far less time than to read; each task opens all runs.
    let (schema_version, of) = (layout.schema_version, runs.len().div_ceil(4).next_power_of_two() as u64);
    let count = |part| Work::Count(Count { schema_version, objects: objects.clone(), part, of });
    let works = (0..of).map(|part| (first + part.cast_signed(), count(part))).collect();
    let counts: Vec<u64> = team::run(parts, lease, progress, works).await?;
    Ok(counts.into_iter().sum())
}

/// Does the task of counting.
pub async fn count_part(
    parts: &Arc<Parts>,
    job: &JobRow,
    count: &Count,
    progress: &Arc<Progress>,
) -> Result<u64> {
    let dataset = dataset_of(parts, job).await?;
    let parts = parts.of_dataset(&dataset).await?;
    let (count, layout, progress) =
        (count.clone(), dataset.layout.as_of(count.schema_version), progress.clone());
    blocking(move || {
        let open = |object: &String| OpenRun::open(&parts.objects, object, &layout, 0);
        let runs: Vec<OpenRun> = count.objects.iter().map(open).collect::<Result<_>>()?;
        count_distinct(&layout, &runs, hashes(count.part, count.of), &progress)
    })
    .await
}

// `of` is a power of two.
fn hashes(part: u64, of: u64) -> RangeInclusive<u64> {
    let size = (u64::MAX / of.max(1)).max(1);
    let size = if of > 1 { size + 1 } else { size };
    let begin = part.saturating_mul(size);
    let end = if part + 1 >= of { u64::MAX } else { begin + (size - 1) };
    begin..=end
}

#[cfg(test)]
mod tests;
