//! What becomes of a schedule's older exports: their files are deleted once newer ones are good.
//!
//! Each schedule's are deleted in a task of its own: a store that hangs, or has thousands of files, keeps no other one waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::remedy::CLEARING;
use access::source::MANIFEST;
use access::{Errand, S3Location};
use catalog::{ExportScheduleRow, JobRow, Keep, ScheduledExport};
use model::Arn;
use model::error::{Context, Error, Result};
use model::manifest::{FileEntry, Losers};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{info, warn};

use super::{EVERY, tell};
use crate::duty::alone;
use crate::{Parts, explain_denial};

const DAY_MS: i64 = 86_400_000;
/// Files that can't be deleted are tried again after this time.
const AGAIN: Duration = Duration::from_secs(60);
/// So many schedules' files are deleted at once.
const TASKS_MAX: usize = 8;

/// What the job of an export tells of its files, as its manifest does.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    files: Vec<FileEntry>,
    losers: Option<Losers>,
}

pub async fn run(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) {
    let mut retention =
        Retention { parts, tasks: JoinSet::new(), busy: HashMap::new(), failed: HashMap::new() };
    while !*stopped.borrow() {
        if let Err(cause) = retention.round().await {
            warn!(error = %cause.chain(), "older exports are looked at again later");
        }
        tokio::select! {
            _ = stopped.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

struct Retention {
    parts: Arc<Parts>,
    tasks: JoinSet<Result<()>>,
    /// What the tasks are at.
    busy: HashMap<Id, ExportScheduleRow>,
    /// When it was last tried in vain.
    failed: HashMap<String, Instant>,
}

impl Retention {
    async fn round(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let broke = |e: JoinError| (e.id(), Err(Error::internal("delete older exports").caused_by(e)));
            let (id, done) = ended.unwrap_or_else(broke);
            if let Some(row) = self.busy.remove(&id) {
                self.note(&row, done).await?;
            }
        }
        let rows = self.parts.catalog.export_schedules().await?;
        self.failed.retain(|name, _| rows.iter().any(|row| row.name == *name));
        for row in rows {
            let waits = self.failed.get(&row.name).is_some_and(|at| at.elapsed() < AGAIN);
            if waits || row.plan.keep == Keep::All || self.busy.values().any(|at| at.name == row.name) {
                continue;
            }
            let kept = self.parts.catalog.kept_exports(&row.name, &row.plan.dataset_arn).await?;
            let old = too_old(row.plan.keep, kept, self.parts.clock.now_ms());
            if !old.is_empty() && self.tasks.len() < TASKS_MAX {
                self.begin(row, old);
            }
        }
        Ok(())
    }

    fn begin(&mut self, row: ExportScheduleRow, old: Vec<ScheduledExport>) {
        let (parts, schedule) = (self.parts.clone(), row.clone());
        let task = self.tasks.spawn(async move {
            let duty = format!("schedule/{}", schedule.name);
            alone(&parts, &duty, delete_all(&parts, &schedule, &old)).await.map(drop)
        });
        self.busy.insert(task.id(), row);
    }

    async fn note(&mut self, row: &ExportScheduleRow, done: Result<()>) -> Result<()> {
        match done {
            Ok(()) if self.failed.remove(&row.name).is_none() => Ok(()),
            Ok(()) => tell(&self.parts, row, None).await,
            Err(cause) => {
                warn!(schedule = row.name, error = %cause.chain(), "older exports could not be deleted");
                self.failed.insert(row.name.clone(), Instant::now());
                tell(&self.parts, row, Some(cause.message())).await
            }
        }
    }
}

/// Those of a schedule's good exports, newest first, that need not be kept; never the newest.
fn too_old(keep: Keep, kept: Vec<ScheduledExport>, now_ms: i64) -> Vec<ScheduledExport> {
    match keep {
        Keep::All => Vec::new(),
        Keep::Exports(count) => kept.into_iter().skip(usize::try_from(count.max(1)).unwrap_or(1)).collect(),
        Keep::Days(days) => {
            let from_ms = now_ms - i64::from(days) * DAY_MS;
            kept.into_iter().skip(1).filter(|export| export.instant_ms < from_ms).collect()
        }
    }
}

async fn delete_all(parts: &Parts, row: &ExportScheduleRow, old: &[ScheduledExport]) -> Result<()> {
    // The oldest first: what is interrupted leaves no gap.
    let mut first = Ok(());
    for export in old.iter().rev() {
        match delete_one(parts, &export.job_arn).await {
            Ok(()) => {
                info!(schedule = row.name, job.arn = %export.job_arn, "the files of an older export are deleted");
            }
            // One that can't be deleted keeps no other one.
            failed => first = first.and(failed),
        }
    }
    first
}

async fn delete_one(parts: &Parts, arn: &Arn) -> Result<()> {
    if let Some(job) = parts.catalog.job(arn).await? {
        delete(parts, &job).await?;
    }
    parts.catalog.forget_export(arn).await
}

/// Deletes what an export wrote, as the role that wrote it; what is gone already is no error.
async fn delete(parts: &Parts, job: &JobRow) -> Result<()> {
    let request = job.export_request()?;
    let place = S3Location::parse(&request.path).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let keys = keys(job, &format!("{}{}/", place.prefix(), job.name), request.manifest)?;
    let errand = Errand::clearing(&place);
    let bucket = parts.access.open_bucket(&job.role_arn, &job.arn, &errand).await?;
    for key in keys {
        bucket.delete(&key).await.map_err(explain_denial(&place.bucket, CLEARING))?;
    }
    Ok(())
}

// The manifest goes first: without it, nobody takes what is left for a whole export.
fn keys(job: &JobRow, folder: &str, has_manifest: bool) -> Result<Vec<String>> {
    let report: Report = serde_json::from_str(job.report.as_deref().unwrap_or("{}"))
        .corrupt(|| "what an export tells of itself can't be read".to_owned())?;
    let losers = report.losers.into_iter().flat_map(|losers| losers.files);
    let files = report.files.into_iter().chain(losers).map(|file| file.key);
    let manifest = has_manifest.then(|| format!("{folder}{MANIFEST}"));
    Ok(manifest.into_iter().chain(files.filter(|key| key.starts_with(folder))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(days: &[i64]) -> Vec<ScheduledExport> {
        let arn = model::Arn::parse("arn:aws:personalize:r:1:dataset-export-job/j").unwrap();
        days.iter().map(|day| ScheduledExport { job_arn: arn.clone(), instant_ms: day * DAY_MS }).collect()
    }

    #[test]
    fn the_newest_good_export_always_stays() {
        let now_ms = 100 * DAY_MS;
        assert!(too_old(Keep::All, kept(&[9, 8, 7]), now_ms).is_empty());
        assert_eq!(too_old(Keep::Exports(2), kept(&[9, 8, 7, 6]), now_ms), kept(&[7, 6]));
        assert_eq!(too_old(Keep::Exports(0), kept(&[9, 8]), now_ms), kept(&[8]));
        assert!(too_old(Keep::Exports(5), kept(&[9, 8]), now_ms).is_empty());
        assert_eq!(too_old(Keep::Days(3), kept(&[99, 97, 96, 3]), now_ms), kept(&[96, 3]));
        assert_eq!(too_old(Keep::Days(3), kept(&[4, 3]), now_ms), kept(&[3]));
    }
}
