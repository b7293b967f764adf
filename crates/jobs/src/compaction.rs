//! Compaction: runs of one origin merged beside the jobs, so that there are never many of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{DatasetRow, RunRow};
use engine::Progress;
use model::Origin;
use model::error::Result;
use store::compact::{Input, compact, fan_in, pick};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::budget::Budget;
use crate::complaint::Complaints;
use crate::duty::alone;
use crate::upkeep::input;
use crate::{Parts, attempt, blocking, measured, new_run};

const EVERY: Duration = Duration::from_secs(1);

/// Compacts what is worth it, one dataset after the other, until it is stopped. It is a task of its own: nobody waits
/// for a merge that takes long.
pub async fn run(parts: Arc<Parts>, budget: Arc<Budget>, mut stopped: watch::Receiver<bool>) {
    let progress = Arc::new(Progress::default());
    let compactor = Compactor { parts, budget, progress: progress.clone() };
    let mut told = stopped.clone();
    let watcher = tokio::spawn(async move {
        _ = told.wait_for(|is_stopped| *is_stopped).await;
        progress.stop();
    });
    let mut complaints = Complaints::default();
    while !*stopped.borrow() {
        match compactor.round(&mut complaints).await {
            // What was merged may be worth merging once more.
            Ok(true) => continue,
            Ok(false) => {}
            Err(cause) => warn!(error = %cause.chain(), "compaction is tried again later"),
        }
        tokio::select! {
            _ = stopped.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    watcher.abort();
}

pub struct Compactor {
    pub parts: Arc<Parts>,
    pub budget: Arc<Budget>,
    pub progress: Arc<Progress>,
}

impl Compactor {
    /// Every dataset has its turn once; whether any was compacted.
    async fn round(&self, complaints: &mut Complaints<(i64, Origin)>) -> Result<bool> {
        let mut has_compacted = false;
        let datasets = self.parts.catalog.all_datasets().await?;
        complaints.retain(|(id, _)| datasets.iter().any(|dataset| dataset.id == *id));
        for dataset in datasets {
            for origin in [Origin::Bulk, Origin::Put] {
                // One that can't be compacted keeps no other one waiting.
                match self.compact_dataset(&dataset, origin).await {
                    Ok(is_done) => {
                        has_compacted |= is_done;
                        complaints.ends(&(dataset.id, origin));
                    }
                    Err(_) if self.progress.check().is_err() => return Ok(false),
                    Err(cause) => {
                        let (cause, now_ms) = (cause.chain(), self.parts.clock.now_ms());
                        if complaints.is_due((dataset.id, origin), &cause, now_ms) {
                            warn!(dataset.arn = %dataset.arn, error = %cause, "a dataset is compacted later");
                        }
                    }
                }
            }
        }
        Ok(has_compacted)
    }

    pub async fn compact_dataset(&self, dataset: &DatasetRow, origin: Origin) -> Result<bool> {
        let mut runs = self.parts.catalog.runs(dataset.id).await?;
        runs.retain(|row| row.run.origin == origin);
        let sizes: Vec<u64> = runs.iter().map(|row| row.run.csv_bytes).collect();
        let Some(chosen) = pick(&sizes) else { return Ok(false) };
        // A merge of records from before and after a data deletion job's start would blur its count. Asked after the runs
        // were listed: a job that is made later starts behind all their records.
        if self.parts.catalog.is_deleting_from(&dataset.group_arn).await? {
            return Ok(false);
        }
        let chosen: Vec<RunRow> = chosen.into_iter().map(|n| runs[n].clone()).collect();
        let duty = format!("compact/{}/{}", dataset.id, origin.as_str());
        let done = alone(&self.parts, &duty, self.compact_runs(dataset, origin, &chosen)).await?;
        Ok(done.unwrap_or(false))
    }

    pub async fn compact_runs(&self, dataset: &DatasetRow, origin: Origin, runs: &[RunRow]) -> Result<bool> {
        let share = self.budget.grow(self.budget.share().await?);
        let catalog = &self.parts.catalog;
        let attempt = self.parts.clock.hex(16);
        catalog.begin_attempt(&attempt).await?;
        // Asked once the attempt is on record: a data deletion job that takes the runs away knows whom to wait for.
        let began = Instant::now();
        let done = match self.are_listed(dataset, runs).await {
            Ok(true) => self.write(dataset, origin, runs, &attempt, share.bytes()).await,
            other => other,
        };
        attempt::end(&self.parts, &attempt).await;
        match done {
            Ok(true) => {
                measured::compacted(began.elapsed());
                info!(dataset.arn = %dataset.arn, "compacted {} runs", runs.len());
            }
            // A job has taken the runs away, and their objects may be gone as well.
            Err(_) if !self.are_listed(dataset, runs).await? => return Ok(false),
            Err(_) if self.progress.check().is_ok() => measured::compaction_failed(),
            _ => {}
        }
        done
    }

    async fn are_listed(&self, dataset: &DatasetRow, runs: &[RunRow]) -> Result<bool> {
        let listed = self.parts.catalog.runs(dataset.id).await?;
        let listed: HashSet<i64> = listed.iter().map(|row| row.id).collect();
        Ok(runs.iter().all(|row| listed.contains(&row.id)))
    }

    async fn write(
        &self,
        dataset: &DatasetRow,
        origin: Origin,
        runs: &[RunRow],
        attempt: &str,
        memory_bytes: usize,
    ) -> Result<bool> {
        let inputs: Vec<Input> = runs.iter().map(input).collect();
        let file = {
            let parts = self.parts.of_dataset(dataset).await?;
            let (objects, layout) = (parts.objects.clone(), dataset.layout.clone());
            let (object, progress) = (format!("{attempt}-0.parquet"), self.progress.clone());
            let fan_in = fan_in(&layout, memory_bytes);
            let check = move || progress.check();
            blocking(move || compact(&objects, &object, &layout, inputs, fan_in, &check)).await?
        };
        let ids: Vec<i64> = runs.iter().map(|row| row.id).collect();
        let run = new_run(&dataset.layout, origin, file);
        self.parts.catalog.finish_compaction(dataset.id, &ids, &run).await
    }
}
