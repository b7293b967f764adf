//! A snapshot opened: the pinned runs of a dataset, and the pinned piece of the log as one run more.

use catalog::{RunRow, Snapshot};
use engine::export::{Source, SourceRun};
use model::error::{Error, Result};
use model::{IngestionMode, Origin};
use store::tail::read_tail;
use store::{Objects, OpenRun, RunFile, RunWriter, ScratchFolder, Sorter};

use crate::Parts;

/// The snapshot's piece of the log as a run of its own, for as long as somebody reads it.
pub(crate) struct Tail {
    folder: ScratchFolder,
}

impl Tail {
    pub fn new(parts: &Parts) -> Tail {
        Tail { folder: parts.scratch.join(format!("{}-tail", parts.clock.hex(16))) }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // What can't be removed now is cleared at the next start.
        let _ = std::fs::remove_dir_all(self.folder.path());
    }
}

/// Opens the pinned runs of a dataset, and the pinned piece of the log.
pub(crate) fn open_source(
    parts: &Parts,
    dataset_id: i64,
    snapshot: &Snapshot,
    runs: &[RunRow],
    mode: IngestionMode,
    tail: &Tail,
) -> Result<Source> {
    let mut source = Source { runs: Vec::new(), csv_bytes: 0 };
    let layout = &snapshot.layout;
    for row in runs.iter().filter(|row| mode.takes(row.run.origin)) {
        let stored = &row.run;
        let run = OpenRun::open(&parts.objects, &stored.object, layout, stored.sequence_base)?;
        let (origin, rows, records) = (stored.origin, stored.rows, stored.records);
        source.runs.push(SourceRun { origin, run, rows, records });
        // The separators of the columns that came later count as well, as they do once the run is compacted.
        let separators = records * layout.added_after(stored.schema_version) as u64;
        source.csv_bytes += stored.csv_bytes + separators;
    }
    if mode.takes(Origin::Put) {
        let objects = Objects::open(tail.folder.path())?.with_keys(parts.objects.keys().clone());
        let file = write_tail(parts, dataset_id, snapshot, &objects, tail)?;
        if file.rows > 0 {
            let run = OpenRun::open(&objects, &file.object, layout, 0)?;
            source.runs.push(SourceRun { origin: Origin::Put, run, rows: file.rows, records: file.records });
            source.csv_bytes += file.csv_bytes;
        }
    }
    Ok(source)
}

/// Whether all that a snapshot has of the log was still there when it was read: nothing pins it, and a flush may have moved
/// it to a run that the snapshot knows nothing of.
///
/// # Errors
/// `Unavailable` when it may not have been.
pub(crate) async fn check_kept(parts: &Parts, dataset_id: i64, log_from: u64) -> Result<()> {
    let dataset = parts.catalog.dataset_by_id(dataset_id).await?;
    match dataset.is_some_and(|dataset| dataset.flushed_position == log_from) {
        true => Ok(()),
        false => Err(Error::unavailable("records have moved while they were read")),
    }
}

fn write_tail(
    parts: &Parts,
    dataset_id: i64,
    snapshot: &Snapshot,
    objects: &Objects,
    tail: &Tail,
) -> Result<RunFile> {
    let mut sorter = Sorter::new(tail.folder.join("sorting"), parts.settings.job_memory_bytes / 4);
    let id = dataset_id.cast_unsigned();
    let keys = objects.keys();
    read_tail(&parts.log, id, snapshot.log_from, snapshot.log_to, &snapshot.layout, keys, &mut sorter)?;
    let mut sorted = sorter.finish()?;
    let mut run = RunWriter::create(objects, "tail.parquet", &snapshot.layout)?;
    while let Some((record, arrivals)) = sorted.next_record()? {
        run.push_record(record, arrivals)?;
    }
    run.finish()
}
