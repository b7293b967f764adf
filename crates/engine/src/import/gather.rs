//! Gathering: all pieces of files are read, by one thread or by several, and sorted.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use model::Layout;
use model::error::{Error, Result};
use store::sort::Closed;
use store::{Sorter, Sources};

use super::chunk::{Chunk, Cutter};
use super::piece::SourcePiece;
use super::read::{Numbering, Reader};
use super::rejects::{Collector, Rejects};
use super::{Matching, Target};
use crate::Progress;
use crate::metrics::Aggregator;

/// What one thread has read.
type Part = (Closed, Vec<(usize, u64)>);

/// Reads all pieces; records come out sorted, and are numbered in their order, then in that of rows.
///
/// # Errors
/// The first one in that order, whoever comes upon it; beside it what rows are wrong.
pub fn gather<'a>(
    layout: &Layout,
    matching: Matching,
    pieces: impl IntoIterator<Item = Result<SourcePiece<'a>>>,
    target: &Target<'_>,
    metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> (Rejects, Result<(Sources, Numbering)>) {
    let rejects = Collector::new(target.rejecting, target.objects, &target.rejects_object());
    let failure = Failure::default();
    let parts = read_all(layout, matching, pieces, target, metrics, (&rejects, &failure), progress);
    let (rejects, outcome) = rejects.finish(failure.into_inner());
    let numbered = |parts: Vec<Part>| {
        let (closed, rows): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Ok((Sources::new(closed, target.writers()), Numbering::new(rows.concat())?))
    };
    (rejects, outcome.and(parts).and_then(numbered))
}

fn read_all<'a>(
    layout: &Layout,
    matching: Matching,
    pieces: impl IntoIterator<Item = Result<SourcePiece<'a>>>,
    target: &Target<'_>,
    metrics: Option<&mut Aggregator>,
    found: (&Collector<'_>, &Failure),
    progress: &Progress,
) -> Result<Vec<Part>> {
    let mut chunks = chunks(layout, matching, pieces, target.chunk_bytes, progress).fuse();
    // One chunk is not worth a thread.
    let head: Vec<Result<Chunk>> = chunks.by_ref().take(2).collect();
    let is_small = head.len() < 2 || head.iter().any(Result::is_err);
    let chunks = head.into_iter().chain(chunks);
    // Metrics are summed in the order of records.
    let threads = if is_small || metrics.is_some() { 1 } else { target.threads };
    let team = Sorter::team(&target.scratch, target.memory_bytes, threads);
    let mut readers: Vec<Reader> = team.into_iter().map(Reader::new).collect();
    match readers.pop() {
        Some(reader) if readers.is_empty() => Ok(vec![read_alone(reader, chunks, metrics, found, progress)?]),
        last => {
            readers.extend(last);
            read_together(readers, chunks, found, progress)
        }
    }
}

// All chunks of all pieces; ends behind the first error.
fn chunks<'a>(
    layout: &Layout,
    matching: Matching,
    pieces: impl IntoIterator<Item = Result<SourcePiece<'a>>>,
    chunk_bytes: usize,
    progress: &Progress,
) -> impl Iterator<Item = Result<Chunk>> {
    let mut pieces = pieces.into_iter();
    let mut cutter: Option<Cutter<'_>> = None;
    let mut next = move || -> Result<Option<Chunk>> {
        loop {
            progress.check()?;
            if let Some(chunk) = cutter.as_mut().map_or(Ok(None), Cutter::next_chunk)? {
                return Ok(Some(chunk));
            }
            let Some(piece) = pieces.next() else { return Ok(None) };
            cutter = Some(Cutter::open(piece?, layout, matching, chunk_bytes)?);
        }
    };
    let mut has_failed = false;
    std::iter::from_fn(move || {
        let chunk = if has_failed { None } else { next().transpose() };
        has_failed |= matches!(chunk, Some(Err(_)));
        chunk
    })
}

fn read_alone(
    mut reader: Reader,
    chunks: impl Iterator<Item = Result<Chunk>>,
    mut metrics: Option<&mut Aggregator>,
    (rejects, failure): (&Collector<'_>, &Failure),
    progress: &Progress,
) -> Result<Part> {
    for (n, chunk) in chunks.enumerate() {
        if rejects.is_beyond(n) {
            break;
        }
        let read = chunk.and_then(|chunk| reader.read(n, &chunk, metrics.as_deref_mut(), rejects, progress));
        if let Err(cause) = read {
            failure.note(n, cause);
            break;
        }
    }
    if failure.is_before(usize::MAX) || rejects.is_failed() { Err(stopped()) } else { reader.close() }
}

// This thread cuts; what it finds wrong stands behind all chunks that it gave out.
fn read_together(
    readers: Vec<Reader>,
    chunks: impl Iterator<Item = Result<Chunk>>,
    (rejects, failure): (&Collector<'_>, &Failure),
    progress: &Progress,
) -> Result<Vec<Part>> {
    let (give, chunks_given) = sync_channel(1);
    let chunks_given = Mutex::new(chunks_given);
    let parts = std::thread::scope(|scope| {
        let work = |reader| work(reader, &chunks_given, (rejects, failure), progress);
        let threads: Vec<_> = readers.into_iter().map(|reader| scope.spawn(move || work(reader))).collect();
        for (n, chunk) in chunks.enumerate() {
            match chunk {
                _ if failure.is_before(usize::MAX) || rejects.is_beyond(n) => break,
                Err(cause) => failure.note(n, cause),
                // The threads are there until this end is dropped.
                Ok(chunk) => drop(give.send((n, chunk))),
            }
        }
        drop(give);
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let ended = |_| Error::internal("a thread of the import ended before its work");
    parts.into_iter().map(|part| part.map_err(ended)?).collect()
}

fn work(
    mut reader: Reader,
    chunks: &Mutex<Receiver<(usize, Chunk)>>,
    (rejects, failure): (&Collector<'_>, &Failure),
    progress: &Progress,
) -> Result<Part> {
    loop {
        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((n, chunk)) = next else { break };
        // A failure of an earlier chunk counts more than one of this.
        if !failure.is_before(n)
            && !rejects.is_beyond(n)
            && let Err(cause) = reader.read(n, &chunk, None, rejects, progress)
        {
            failure.note(n, cause);
        }
    }
    if failure.is_before(usize::MAX) || rejects.is_failed() { Err(stopped()) } else { reader.close() }
}

fn stopped() -> Error {
    Error::unavailable("the work was stopped")
}

/// The first failure in the order of chunks.
#[derive(Default)]
struct Failure(Mutex<Option<(usize, Error)>>);

impl Failure {
    fn note(&self, n: usize, cause: Error) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(other, _)| n < *other) {
            *first = Some((n, cause));
        }
    }

    fn is_before(&self, n: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|(other, _)| *other < n)
    }

    fn into_inner(self) -> Option<(usize, Error)> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
