//! Export schedules: their jobs are made when the instants come, and older exports deleted when newer ones are good.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::remedy::CLEARING;
use access::source::MANIFEST;
use access::{Errand, S3Location};
use catalog::{ExportScheduleRow, JobRow, Keep, Missed, ScheduledExport};
use model::Arn;
use model::error::{Context, Error, ErrorKind, Result};
use model::manifest::{FileEntry, Losers};
use serde::Deserialize;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::complaint::Complaints;
use crate::duty::alone;
use crate::{Parts, explain_denial};

const EVERY: Duration = Duration::from_secs(1);
/// An instant that is later than this was missed.
const LATE_MS: i64 = 60_000;
/// Clocks of nodes differ by less; more, and a clock was set back.
const SKEW_MS: i64 = 600_000;
const DAY_MS: i64 = 86_400_000;
/// Files that can't be deleted are tried again after this time.
const CLEAR_AGAIN: Duration = Duration::from_secs(60);

/// What the job of an export tells of its files, as its manifest does.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    files: Vec<FileEntry>,
    losers: Option<Losers>,
}

pub async fn run(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) {
    let mut schedules = Schedules { parts, waiting: Complaints::default(), uncleared: HashMap::new() };
    while !*stopped.borrow() {
        if let Err(cause) = schedules.round().await {
            warn!(error = %cause.chain(), "export schedules are looked at again later");
        }
        tokio::select! {
            _ = stopped.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

struct Schedules {
    parts: Arc<Parts>,
    /// Of those whose instant has come and can't be seen to yet.
    waiting: Complaints<String>,
    /// Of those whose older exports could not be deleted, when this was tried last.
    uncleared: HashMap<String, Instant>,
}

impl Schedules {
    async fn round(&mut self) -> Result<()> {
        let rows = self.parts.catalog.export_schedules().await?;
        let is_there = |name: &String| rows.iter().any(|row| row.name == *name);
        self.uncleared.retain(|name, _| is_there(name));
        self.waiting.retain(is_there);
        for row in &rows {
            // One that is wrong keeps no other one waiting.
            match see_to(&self.parts, row).await {
                Ok(()) => drop(self.waiting.ends(&row.name)),
                Err(cause) => self.complain(row, &cause).await?,
            }
            self.clear(row).await?;
        }
        Ok(())
    }

    async fn complain(&mut self, row: &ExportScheduleRow, cause: &Error) -> Result<()> {
        let (text, now_ms) = (cause.chain(), self.parts.clock.now_ms());
        if self.waiting.is_due(row.name.clone(), &text, now_ms) {
            warn!(schedule = row.name, error = %text, "an export schedule makes its job later");
        }
        self.tell(row, Some(cause.message())).await
    }

    async fn clear(&mut self, row: &ExportScheduleRow) -> Result<()> {
        let tried = self.uncleared.get(&row.name);
        if tried.is_some_and(|at| at.elapsed() < CLEAR_AGAIN) {
            return Ok(());
        }
        if row.plan.keep == Keep::All {
            return Ok(());
        }
        if row.plan.keep == Keep::All {
            return Ok(());
        }
        let kept = self.parts.catalog.kept_exports(&row.name).await?;
        let old = too_old(row.plan.keep, kept, self.parts.clock.now_ms());
        if old.is_empty() {
            return Ok(());
        }
        let duty = format!("schedule/{}", row.name);
        match alone(&self.parts, &duty, delete_all(&self.parts, row, &old)).await {
            Ok(_) => {
                if self.uncleared.remove(&row.name).is_some() {
                    self.tell(row, None).await?;
                }
            }
            Err(cause) => {
                warn!(schedule = row.name, error = %cause.chain(), "older exports could not be deleted");
                self.uncleared.insert(row.name.clone(), Instant::now());
                self.tell(row, Some(cause.message())).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, row: &ExportScheduleRow, trouble: Option<&str>) -> Result<()> {
        if row.trouble.as_deref() == trouble {
            return Ok(());
        }
        self.parts.catalog.note_export_schedule(&row.name, trouble).await
    }
}

/// Makes the job of a schedule whose instant has come.
///
/// # Errors
/// What may pass, such as `InUse` for a dataset that is being updated: the instant stays due.
async fn see_to(parts: &Parts, row: &ExportScheduleRow) -> Result<()> {
    let Some(next_ms) = row.next_ms else { return Ok(()) };
    let now_ms = parts.clock.now_ms();
    if next_ms > now_ms {
        return after_set_back(parts, row, next_ms, now_ms).await;
    }
    let behind_ms = row.next_after(now_ms)?;
    if row.plan.missed == Missed::Skip && now_ms - next_ms > LATE_MS {
        info!(schedule = row.name, "an instant that was missed is skipped");
        return parts.catalog.pass_export_schedule(row, behind_ms, Some("an instant was missed")).await;
    }
    match make(parts, row, next_ms, behind_ms).await {
        Ok(()) => Ok(()),
        // Another try would come to the same.
        Err(cause)
            if matches!(cause.kind, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::AlreadyExists) =>
        {
            warn!(schedule = row.name, error = %cause.chain(), "an instant of an export schedule brings no job");
            parts.catalog.pass_export_schedule(row, behind_ms, Some(cause.message())).await
        }
        Err(cause) => Err(cause),
    }
}

async fn make(parts: &Parts, row: &ExportScheduleRow, next_ms: i64, behind_ms: Option<i64>) -> Result<()> {
    let arn = &row.plan.dataset_arn;
    let gone = || Error::new(ErrorKind::NotFound, format!("The given dataset does not exist: {arn}"));
    let dataset = parts.catalog.dataset(arn).await?.ok_or_else(gone)?;
    let job = row.job(&parts.access.realm, &dataset.layout, next_ms)?;
    if parts.catalog.run_export_schedule(row, &job, behind_ms, || parts.log.settled()).await? {
        info!(schedule = row.name, job.arn = %job.arn, "an export schedule has made a job");
        parts.bell.notify_one();
    }
    Ok(())
}

// A clock that ran ahead has moved schedules with it. The names of jobs keep any instant from coming twice.
async fn after_set_back(parts: &Parts, row: &ExportScheduleRow, next_ms: i64, now_ms: i64) -> Result<()> {
    match row.next_after(now_ms + SKEW_MS)? {
        Some(earlier_ms) if earlier_ms < next_ms => {
            parts.catalog.pass_export_schedule(row, Some(earlier_ms), row.trouble.as_deref()).await
        }
        _ => Ok(()),
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
