//! Gathering: all files are read, by one thread or by several, and sorted.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use model::Layout;
use model::error::{Error, Result};
use store::sort::Closed;
use store::{Sorter, Sources};

use super::chunk::{Chunk, Cutter};
use super::read::{Numbering, Reader};
use super::{Matching, SourceFile, Target};
use crate::Progress;
use crate::metrics::Aggregator;

/// What one thread has read.
type Part = (Closed, Vec<(usize, u64)>);

/// Reads all files; records come out sorted, and are numbered in the order of files and rows.
///
/// # Errors
/// The first one in that order, whoever comes upon it.
pub fn gather(
    layout: &Layout,
    matching: Matching,
    files: impl IntoIterator<Item = Result<SourceFile>>,
    target: &Target<'_>,
    metrics: Option<&mut Aggregator>,
    progress: &Progress,
) -> Result<(Sources, Numbering)> {
    let mut chunks = chunks(layout, matching, files, target.chunk_bytes, progress).fuse();
    // One chunk is not worth a thread.
    let head: Vec<Result<Chunk>> = chunks.by_ref().take(2).collect();
    let is_small = head.len() < 2 || head.iter().any(Result::is_err);
    let chunks = head.into_iter().chain(chunks);
    // Metrics are summed in the order of records.
    let threads = if is_small || metrics.is_some() { 1 } else { target.threads };
    let team = Sorter::team(&target.scratch, target.memory_bytes, threads);
    let mut readers: Vec<Reader> = team.into_iter().map(Reader::new).collect();
    let parts = match readers.pop() {
        Some(reader) if readers.is_empty() => vec![read_alone(reader, chunks, metrics, progress)?],
        last => {
            readers.extend(last);
            read_together(readers, chunks, progress)?
        }
    };
    let (closed, rows): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    Ok((Sources::new(closed, target.writers()), Numbering::new(rows.concat())?))
}

// All chunks of all files; ends behind the first error.
fn chunks(
    layout: &Layout,
    matching: Matching,
    files: impl IntoIterator<Item = Result<SourceFile>>,
    chunk_bytes: usize,
    progress: &Progress,
) -> impl Iterator<Item = Result<Chunk>> {
    let mut files = files.into_iter();
    let mut cutter: Option<Cutter> = None;
    let mut next = move || -> Result<Option<Chunk>> {
        loop {
            progress.check()?;
            if let Some(chunk) = cutter.as_mut().map_or(Ok(None), Cutter::next_chunk)? {
                return Ok(Some(chunk));
            }
            let Some(file) = files.next() else { return Ok(None) };
            cutter = Some(Cutter::open(file?, layout, matching, chunk_bytes)?);
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
    progress: &Progress,
) -> Result<Part> {
    for (n, chunk) in chunks.enumerate() {
        reader.read(n, &chunk?, metrics.as_deref_mut(), progress)?;
    }
    reader.close()
}

// This thread cuts; what it finds wrong stands behind all chunks that it gave out.
fn read_together(
    readers: Vec<Reader>,
    chunks: impl Iterator<Item = Result<Chunk>>,
    progress: &Progress,
) -> Result<Vec<Part>> {
    let failure = Failure::default();
    let (give, chunks_given) = sync_channel(1);
    let chunks_given = Mutex::new(chunks_given);
    let parts = std::thread::scope(|scope| {
        let work = |reader| work(reader, &chunks_given, &failure, progress);
        let threads: Vec<_> = readers.into_iter().map(|reader| scope.spawn(move || work(reader))).collect();
        for (n, chunk) in chunks.enumerate() {
            match chunk {
                _ if failure.is_before(usize::MAX) => break,
                Err(cause) => failure.note(n, cause),
                // The threads are there until this end is dropped.
                Ok(chunk) => drop(give.send((n, chunk))),
            }
        }
        drop(give);
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    failure.into_result()?;
    let ended = |_| Error::internal("a thread of the import ended before its work");
    parts.into_iter().map(|part| part.map_err(ended)?).collect()
}

fn work(
    mut reader: Reader,
    chunks: &Mutex<Receiver<(usize, Chunk)>>,
    failure: &Failure,
    progress: &Progress,
) -> Result<Part> {
    loop {
        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((n, chunk)) = next else { break };
        // A failure of an earlier chunk counts more than one of this.
        if !failure.is_before(n)
            && let Err(cause) = reader.read(n, &chunk, None, progress)
        {
            failure.note(n, cause);
        }
    }
    if failure.is_before(usize::MAX) {
        Err(Error::unavailable("the work was stopped"))
    } else {
        reader.close()
    }
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

    fn into_result(self) -> Result<()> {
        let first = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), |(_, cause)| Err(cause))
    }
}
