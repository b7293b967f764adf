//! Upkeep: put records flushed from the log to runs, segments and objects that nobody needs cleared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{DatasetRow, RunRow};
use model::Origin;
use model::error::{Error, ErrorKind, Result};
use store::compact::Input;
use store::hold::{Guard, Hold};
use store::tail::read_tail;
use store::{RunFile, RunWriter, Sorter};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::complaint::Complaints;
use crate::duty::alone;
use crate::{Parts, attempt, blocking, measured, new_run};

const EVERY: Duration = Duration::from_secs(1);
/// How often a bucket is looked through for what nobody needs.
const SWEEP_EVERY_MS: i64 = 60_000;

pub async fn run(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) {
    let (unflushed, uncarried) = Default::default();
    let mut upkeep = Upkeep { parts, waiting_since_ms: HashMap::new(), unflushed, uncarried, swept_ms: None };
    while !*stopped.borrow() {
        if let Err(cause) = upkeep.round().await {
            warn!(error = %cause.chain(), "upkeep is tried again later");
        }
        tokio::select! {
            _ = stopped.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

struct Upkeep {
    parts: Arc<Parts>,
    /// For each dataset with unflushed records, since when it has had some.
    waiting_since_ms: HashMap<i64, i64>,
    /// Of datasets that can't be flushed.
    unflushed: Complaints<i64>,
    /// Of those whose records could not even move within the log.
    uncarried: Complaints<i64>,
    /// When the objects were last looked through.
    swept_ms: Option<i64>,
}

impl Upkeep {
    async fn round(&mut self) -> Result<()> {
        self.parts.log.refresh().await?;
        // In this order: what the log holds of a dataset comes after the dataset.
        let in_log = self.parts.log.datasets();
        let datasets = self.parts.catalog.all_datasets().await?;
        self.forget_deleted(&in_log, &datasets);
        self.measure(&datasets);
        for dataset in &datasets {
            if !self.must_flush(dataset) {
                continue;
            }
            // One that can't be flushed keeps no other one waiting.
            let flushing = flush(&self.parts, dataset.id, self.parts.log.durable());
            match alone(&self.parts, &format!("flush/{}", dataset.id), flushing).await {
                Ok(Some(())) => self.flushed(dataset),
                // The next round sees what came of it.
                Ok(None) => {}
                Err(cause) => {
                    let (text, now_ms) = (cause.chain(), self.parts.clock.now_ms());
                    if self.unflushed.is_due(dataset.id, &text, now_ms) {
                        warn!(dataset.arn = %dataset.arn, error = %text, "a dataset is flushed later");
                    }
                    self.make_way(dataset, &cause).await;
                }
            }
        }
        let parts = self.parts.clone();
        let clearing = async {
            trim_log(&self.parts).await?;
            // While a backup copies files none of them goes.
            let Some(_going) = leave_to_clear(&self.parts.holds.objects).await? else { return Ok(()) };
            delete_retired(&self.parts).await?;
            self.sweep().await
        };
        alone(&parts, "clear", clearing).await.map(drop)
    }

    // What is waited for is noted before it is flushed, which may take long or fail.
    fn measure(&mut self, datasets: &[DatasetRow]) {
        let (mut records, now_ms) = (0, self.parts.clock.now_ms());
        for dataset in datasets {
            match self.parts.log.pending(dataset.id.cast_unsigned(), dataset.flushed_position).records {
                0 => _ = self.waiting_since_ms.remove(&dataset.id),
                pending => {
                    records += pending;
                    self.waiting_since_ms.entry(dataset.id).or_insert(now_ms);
                }
            }
        }
        measured::unflushed(records, self.waiting_since_ms.values().min().copied());
    }

    // In a bucket each look costs a request, and there is nothing to be found but after a failure.
    async fn sweep(&mut self) -> Result<()> {
        let now_ms = self.parts.clock.now_ms();
        let is_early = self.swept_ms.is_some_and(|swept| (swept..swept + SWEEP_EVERY_MS).contains(&now_ms));
        if is_early && self.parts.objects.are_remote() {
            return Ok(());
        }
        clear_orphans(&self.parts).await?;
        delete_unnamed(&self.parts).await?;
        self.swept_ms = Some(now_ms);
        Ok(())
    }

    fn flushed(&mut self, dataset: &DatasetRow) {
        self.waiting_since_ms.remove(&dataset.id);
        if self.unflushed.ends(&dataset.id) {
            info!(dataset.arn = %dataset.arn, "the dataset can be flushed again");
        }
    }

    // What can't be flushed for want of its key goes to the log's end where it keeps a full log from being cut.
    async fn make_way(&mut self, dataset: &DatasetRow, cause: &Error) {
        let log = &self.parts.log;
        let held = log.pending(dataset.id.cast_unsigned(), dataset.flushed_position).bytes;
        let is_worth_it = log.total_bytes() >= self.parts.settings.log_size_bytes.max(2 * held);
        if cause.kind == ErrorKind::Invalid
            && is_worth_it
            && let Err(cause) = carry(&self.parts, dataset.id).await
            && self.uncarried.is_due(dataset.id, &cause.chain(), self.parts.clock.now_ms())
        {
            warn!(dataset.arn = %dataset.arn, error = %cause.chain(), "sealed records keep the log long");
        }
    }

    fn forget_deleted(&mut self, in_log: &[u64], datasets: &[DatasetRow]) {
        for id in in_log {
            if !datasets.iter().any(|d| d.id.cast_unsigned() == *id) {
                self.parts.log.forget_dataset(*id);
            }
        }
        let is_there = |id: &i64| datasets.iter().any(|d| d.id == *id);
        self.waiting_since_ms.retain(|id, _| is_there(id));
        self.unflushed.retain(is_there);
        self.uncarried.retain(is_there);
    }

    fn must_flush(&mut self, dataset: &DatasetRow) -> bool {
        let settings = &self.parts.settings;
        let pending = self.parts.log.pending(dataset.id.cast_unsigned(), dataset.flushed_position);
        if pending.records == 0 {
            // Somebody else may have flushed what could not be.
            self.flushed(dataset);
            return false;
        }
        let now_ms = self.parts.clock.now_ms();
        let since_ms = *self.waiting_since_ms.entry(dataset.id).or_insert(now_ms);
        // A clock that was set back must not keep records waiting.
        let age_s = (now_ms - since_ms).unsigned_abs() / 1000;
        pending.bytes >= settings.flush_size_bytes
            || age_s >= settings.flush_after_s
            || self.parts.log.total_bytes() >= settings.log_size_bytes
    }
}

/// Writes a dataset's frames again at the end of the log, still sealed, so that the segments before can go; nothing
/// happens while a data deletion job of its group counts on where they are.
///
/// A crash in between leaves frames twice under the same numbers, which the log gives once.
pub async fn carry(parts: &Arc<Parts>, dataset_id: i64) -> Result<()> {
    let _alone = parts.flushing.lock().await;
    let to = parts.log.rotate().await?;
    let Some(dataset) = parts.catalog.dataset_by_id(dataset_id).await? else { return Ok(()) };
    let from = dataset.flushed_position;
    if from >= to || parts.catalog.is_deleting_from(&dataset.group_arn).await? {
        return Ok(());
    }
    let frames = {
        let (parts, id) = (parts.clone(), dataset_id.cast_unsigned());
        blocking(move || parts.log.frames(id, from, to)).await?
    };
    info!(dataset.arn = %dataset.arn, frames = frames.len(), "sealed records move to the end of the log");
    parts.log.write_again(frames).await?;
    parts.catalog.finish_flush(dataset_id, from, to, None).await.map(drop)
}

/// Moves a dataset's put records below `to` from the log into a run; the run and the log position change in one
/// transaction, so that replay after a crash is exact.
pub async fn flush(parts: &Arc<Parts>, dataset_id: i64, to: u64) -> Result<()> {
    let _alone = parts.flushing.lock().await;
    let attempt = parts.clock.hex(16);
    parts.catalog.begin_attempt(&attempt).await?;
    // The position is read once the attempt is on record: a data deletion job that moves it knows whom to wait for.
    let done = match parts.catalog.dataset_by_id(dataset_id).await {
        Ok(Some(dataset)) if dataset.flushed_position < to => {
            let began = Instant::now();
            let flushed = flush_dataset(parts, &dataset, &attempt, to).await;
            let flushed = flushed.inspect_err(|_| measured::flush_failed());
            flushed.map(|records| measured::flushed(records, began.elapsed()))
        }
        Ok(_) => Ok(()),
        Err(cause) => Err(cause),
    };
    attempt::end(parts, &attempt).await;
    done
}

/// Gives the number of records.
async fn flush_dataset(parts: &Arc<Parts>, dataset: &DatasetRow, attempt: &str, to: u64) -> Result<u64> {
    let from = dataset.flushed_position;
    let file = {
        let (parts, dataset, attempt) =
            (parts.of_dataset(dataset).await?, dataset.clone(), attempt.to_owned());
        blocking(move || write_flush(&parts, &dataset, &attempt, from, to)).await?
    };
    let run = new_run(&dataset.layout, Origin::Put, file);
    info!(dataset.arn = %dataset.arn, rows = run.rows, "flushed {} put records", run.records);
    let records = run.records;
    // Records that are gone meanwhile, by another flush, leave a run without any.
    let run = (run.rows > 0).then_some(&run);
    parts.catalog.finish_flush(dataset.id, from, to, run).await?;
    Ok(records)
}

/// Makes sure that nothing of a dataset lies in the log below `position` but in runs; one that is gone has nothing.
///
/// The position moves also where there is nothing to flush, so that later snapshots don't pin the log below it.
pub async fn flush_before(parts: &Arc<Parts>, dataset_id: i64, position: u64) -> Result<()> {
    while let Some(from) = flushed(parts, dataset_id).await?
        && from < position
    {
        if !parts.log.holds(dataset_id.cast_unsigned(), from, position).await? {
            let _alone = parts.flushing.lock().await;
            parts.catalog.finish_flush(dataset_id, from, position, None).await?;
        } else if let Err(cause) = flush(parts, dataset_id, position).await {
            // Upkeep may have been faster, and may have dropped the segment that was being read.
            if flushed(parts, dataset_id).await? == Some(from) {
                return Err(cause);
            }
        }
    }
    Ok(())
}

async fn flushed(parts: &Parts, dataset_id: i64) -> Result<Option<u64>> {
    Ok(parts.catalog.dataset_by_id(dataset_id).await?.map(|dataset| dataset.flushed_position))
}

fn write_flush(parts: &Parts, dataset: &DatasetRow, attempt: &str, from: u64, to: u64) -> Result<RunFile> {
    let mut sorter = Sorter::new(parts.scratch.join(attempt), parts.settings.job_memory_bytes);
    let (id, keys) = (dataset.id.cast_unsigned(), parts.objects.keys());
    read_tail(&parts.log, id, from, to, &dataset.layout, keys, &mut sorter)?;
    let mut sorted = sorter.finish()?;
    let mut run = RunWriter::create(&parts.objects, &format!("{attempt}-0.parquet"), &dataset.layout)?;
    while let Some((record, arrivals)) = sorted.next_record()? {
        run.push_record(record, arrivals)?;
    }
    run.finish()
}

pub fn input(row: &RunRow) -> Input {
    Input {
        object: row.run.object.clone(),
        sequence_base: row.run.sequence_base,
        size_bytes: row.run.size_bytes,
    }
}

/// Leave to delete files, from before it is looked which can go; `None` while a backup copies them.
pub async fn leave_to_clear(hold: &Hold) -> Result<Option<Guard>> {
    let hold = hold.clone();
    blocking(move || hold.clearing()).await
}

/// Drops the segments of the log that are flushed and that no snapshot pins; none while a backup copies them.
pub async fn trim_log(parts: &Arc<Parts>) -> Result<()> {
    let Some(_going) = leave_to_clear(&parts.holds.log).await? else { return Ok(()) };
    parts.log.refresh().await?;
    // Flushed positions are read before the pins: a snapshot made in between pins no less than they do.
    let durable = parts.log.durable();
    let datasets = parts.catalog.all_datasets().await?;
    let pinned = parts.catalog.lowest_pinned_position().await?;
    let needed =
        datasets.iter().filter_map(|d| parts.log.pending(d.id.cast_unsigned(), d.flushed_position).oldest);
    let lowest = needed.chain(pinned).fold(durable, u64::min);
    let parts = parts.clone();
    blocking(move || parts.log.forget_before(lowest)).await
}

/// Deletes what calls that were refused have left in the log's store.
pub async fn clear_orphans(parts: &Arc<Parts>) -> Result<()> {
    let parts = parts.clone();
    blocking(move || parts.log.clear_orphans()).await
}

/// Deletes the objects of runs that are in no list and in no snapshot, and those that no row names; `false` where they
/// have to stay for now, as a backup copies them.
pub async fn clear_objects(parts: &Arc<Parts>) -> Result<bool> {
    let Some(_going) = leave_to_clear(&parts.holds.objects).await? else { return Ok(false) };
    delete_retired(parts).await?;
    delete_unnamed(parts).await.map(|()| true)
}

async fn delete_retired(parts: &Arc<Parts>) -> Result<()> {
    let retired = parts.catalog.retired_runs().await?;
    if retired.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = retired.iter().map(|row| row.run.object.clone()).collect();
    delete(parts, names).await?;
    parts.catalog.forget_runs(&retired.iter().map(|row| row.id).collect::<Vec<_>>()).await
}

/// What attempts that are no longer on record have left: objects that no row names, and half-written ones.
async fn delete_unnamed(parts: &Arc<Parts>) -> Result<()> {
    // In this order: an attempt that ends in between has its object named by a row by then.
    let objects = parts.objects.clone();
    let (found, unfinished) = blocking(move || Ok((objects.names()?, objects.unfinished()?))).await?;
    let attempts = parts.catalog.attempts().await?;
    let named: HashSet<String> = parts.catalog.named_objects().await?.into_iter().collect();
    let is_written = |name: &str| attempts.iter().any(|attempt| name.starts_with(attempt.as_str()));
    delete(parts, found.into_iter().filter(|name| !is_written(name) && !named.contains(name)).collect())
        .await?;
    let left: Vec<_> = unfinished.into_iter().filter(|object| !is_written(&object.name)).collect();
    let objects = parts.objects.clone();
    blocking(move || left.iter().try_for_each(|object| objects.give_up(object))).await
}

async fn delete(parts: &Arc<Parts>, names: Vec<String>) -> Result<()> {
    let objects = parts.objects.clone();
    blocking(move || objects.delete_all(&names)).await
}
