//! Import: CSV files → records checked by the schema → one sorted run that nobody sees yet.

mod buffer;
mod chunk;
mod gather;
mod left_out;
mod piece;
mod read;
mod rejects;

use std::io::Read;

use csv::{ColumnMap, Dialect, Header, HeaderError, Violation, failure_reason};
use model::Layout;
use model::error::{Error, Result};
use store::run::{ROW_GROUP_BYTES, ROW_GROUP_ROWS, RowGroup, RowGroups};
use store::sort::Buckets;
use store::{Arrivals, Objects, RunFile, RunWriter, ScratchFolder, Sources};

use crate::Progress;
use crate::in_order::{self, Ahead, Give, Output};
use crate::metrics::Aggregator;
use gather::gather;
pub use left_out::RejectsFile;
pub use piece::{Begin, Borders, Rest, SourcePiece};
use read::Numbering;
pub use rejects::{Reject, Rejecting, Rejects};

/// A file to be read, opened with the permission to do so.
pub struct SourceFile {
    /// The name that a person knows the file by.
    pub key: String,
    pub dialect: Dialect,
    pub bytes: Box<dyn Read + Send>,
}

/// Where an import writes, and with how much memory and how many threads: the run does not depend on these.
pub struct Target<'a> {
    pub objects: &'a Objects,
    /// The name of the run's object.
    pub object: String,
    /// A folder of its own for sorting.
    pub scratch: ScratchFolder,
    pub memory_bytes: usize,
    pub threads: usize,
    /// How much of a file is read at once; the threads hold two of these each.
    pub chunk_bytes: usize,
    pub rejecting: Rejecting,
}

impl Target<'_> {
    // Begins as the run's object does: both go with the attempt.
    fn rejects_object(&self) -> String {
        format!("{}-rejects", self.object.trim_end_matches(".parquet"))
    }

    // A thread fills one row group while another waits for its turn.
    fn writers(&self) -> usize {
        self.threads.min(self.memory_bytes / (2 * ROW_GROUP_BYTES)).max(1)
    }
}

/// What `Target::chunk_bytes` is where nobody has reasons for another size.
pub const CHUNK_BYTES: usize = 2 << 20;

/// How the columns of a file are found by its header.
pub(crate) type Matching = fn(&Header, &Layout) -> Result<ColumnMap, HeaderError>;

/// A range ends with its row group: at as many records, or bytes of what they are before they are packed.
const RANGE_BYTES: u64 = 2 * ROW_GROUP_BYTES as u64;
const CHECK_EVERY_ROWS: u64 = 8192;
/// With the first number of an import.
const FIRST: Arrivals = Arrivals { sequence_min: 0, sequence_max: 0, copies: 1 };

/// Reads all files, checks every record, and writes one run; its sequence numbers count from 0 in file order, then
/// in row order. Shows every record to `metrics` where there are some.
///
/// Rows that break a rule come beside it, whether they were left out or the import failed for them: the same ones for
/// any number of threads.
///
/// # Errors
/// `Invalid` for the first record that breaks a rule where more do than are tolerated, with the sentence for the job's
/// `failureReason` naming file, line and column; nothing stays behind. `Unavailable` when a read or write fails. Those
/// of `metrics`.
pub fn import(
    layout: &Layout,
    files: impl IntoIterator<Item = Result<SourceFile>>,
    target: &Target<'_>,
    metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> (Rejects, Result<RunFile>) {
    write_run(layout, Header::match_columns, files, target, metrics, progress)
}

/// Reads pieces of files, checks every record, and writes one run; its sequence numbers count from 0 in the order of
/// pieces, then of rows.
///
/// # Errors
/// `Invalid` for the first record that breaks a rule: which one, only a piece of one whole file says rightly.
/// `Unavailable` when a read or write fails.
pub fn import_pieces<'a>(
    layout: &Layout,
    pieces: impl IntoIterator<Item = Result<SourcePiece<'a>>>,
    target: &Target<'_>,
    progress: &Progress,
) -> Result<RunFile> {
    let (_, gathered) = gather(layout, Header::match_columns, pieces, target, None, progress);
    gathered.and_then(|(sources, numbering)| write(layout, &sources, &numbering, target, progress))
}

pub(crate) fn write_run(
    layout: &Layout,
    matching: Matching,
    files: impl IntoIterator<Item = Result<SourceFile>>,
    target: &Target<'_>,
    metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> (Rejects, Result<RunFile>) {
    let borders = Borders::NONE;
    let whole = |file: Result<SourceFile>| file.map(|file| SourcePiece::whole(file, &borders));
    let pieces = files.into_iter().map(whole);
    let (rejects, gathered) = gather(layout, matching, pieces, target, metrics, progress);
    let written =
        gathered.and_then(|(sources, numbering)| write(layout, &sources, &numbering, target, progress));
    (rejects, written)
}

// Ranges of the hash are merged and encoded beside each other, and appended in their order.
fn write(
    layout: &Layout,
    sources: &Sources,
    numbering: &Numbering,
    target: &Target<'_>,
    progress: &Progress,
) -> Result<RunFile> {
    let mut run = RunWriter::create(target.objects, &target.object, layout)?;
    let ranges = sources.ranges(ROW_GROUP_ROWS as u64, RANGE_BYTES);
    let threads = target.writers();
    let ahead = Ahead { units: threads + 1, pieces: 1 };
    let format = run.format().clone();
    // What arrives in one import is told apart by nobody but who asks for the newest record of an id; and numbers that
    // jump about would be a quarter of the run.
    let is_keyed = layout.dataset_type.is_keyed();
    let number = |arrivals: Arrivals| {
        if is_keyed { numbering.number(arrivals) } else { Arrivals { copies: arrivals.copies, ..FIRST } }
    };
    let encode = |range: &Buckets, give: Give<'_, RowGroup>| {
        let mut groups = RowGroups::new(&format)?;
        let mut sorted = sources.read(range, &|| progress.check())?;
        let mut written: u64 = 0;
        while let Some((record, arrivals)) = sorted.next_record()? {
            groups.push_record(record, number(arrivals))?.map_or(Ok(()), &mut *give)?;
            written += 1;
            if written.is_multiple_of(CHECK_EVERY_ROWS) {
                progress.check()?;
            }
        }
        groups.finish()?.map_or(Ok(()), give)
    };
    progress.expect_steps(ranges.len() as u64);
    in_order::run(&ranges, threads, ahead, &encode, |_, output| match output {
        Output::Piece(group) => run.append(group),
        Output::Done(()) => {
            progress.add_step();
            Ok(())
        }
    })?;
    run.finish()
}

fn violated(key: &str, violation: &Violation) -> Error {
    Error::invalid(failure_reason(key, violation))
}
