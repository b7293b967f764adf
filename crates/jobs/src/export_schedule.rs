//! Export schedules: their jobs are made when the instants come.

pub mod retention;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::{ExportScheduleRow, Missed};
use model::error::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::Parts;
use crate::complaint::Complaints;

const EVERY: Duration = Duration::from_secs(1);
/// An instant that is later than this was missed.
const LATE_MS: i64 = 60_000;
/// Clocks of nodes differ by less; more, and a clock was set back.
const SKEW_MS: i64 = 600_000;

pub async fn run(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) {
    let mut schedules = Schedules { parts, waiting: Complaints::default(), due: HashMap::new() };
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
    /// Instants that were looked at when they came: whatever keeps one waiting since, it was not missed.
    due: HashMap<String, i64>,
}

impl Schedules {
    async fn round(&mut self) -> Result<()> {
        let rows = self.parts.catalog.export_schedules().await?;
        let is_there = |name: &String| rows.iter().any(|row| row.name == *name);
        self.due.retain(|name, _| is_there(name));
        self.waiting.retain(is_there);
        for row in &rows {
            // One that is wrong keeps no other one waiting.
            match self.see_to(row).await {
                Ok(()) => drop(self.waiting.ends(&row.name)),
                Err(cause) => self.complain(row, &cause).await?,
            }
        }
        Ok(())
    }

    async fn complain(&mut self, row: &ExportScheduleRow, cause: &Error) -> Result<()> {
        let (text, now_ms) = (cause.chain(), self.parts.clock.now_ms());
        if self.waiting.is_due(row.name.clone(), &text, now_ms) {
            warn!(schedule = row.name, error = %text, "an export schedule makes its job later");
        }
        tell(&self.parts, row, Some(cause.message())).await
    }

    /// Makes the job of a schedule whose instant has come.
    ///
    /// # Errors
    /// What may pass, such as `InUse` for a dataset that is being updated: the instant stays due.
    async fn see_to(&mut self, row: &ExportScheduleRow) -> Result<()> {
        let Some(next_ms) = row.next_ms else { return Ok(()) };
        let now_ms = self.parts.clock.now_ms();
        if next_ms > now_ms {
            return after_set_back(&self.parts, row, next_ms, now_ms).await;
        }
        let behind_ms = row.next_after(now_ms)?;
        if is_missed(self.due.get(&row.name), next_ms, now_ms) {
            self.due.remove(&row.name);
        } else {
            self.due.insert(row.name.clone(), next_ms);
        }
        if row.plan.missed == Missed::Skip && !self.due.contains_key(&row.name) {
            info!(schedule = row.name, "an instant that was missed is skipped");
            let catalog = &self.parts.catalog;
            return catalog.pass_export_schedule(row, behind_ms, Some("an instant was missed")).await;
        }
        run_once(&self.parts, row, next_ms, behind_ms).await
    }
}

// Whether nobody looked at an instant when it came.
fn is_missed(due: Option<&i64>, next_ms: i64, now_ms: i64) -> bool {
    now_ms - next_ms > LATE_MS && due != Some(&next_ms)
}

async fn run_once(
    parts: &Parts,
    row: &ExportScheduleRow,
    next_ms: i64,
    behind_ms: Option<i64>,
) -> Result<()> {
    match make(parts, row, next_ms, behind_ms).await {
        Ok(()) => Ok(()),
        // Somebody who changed the schedule in the very moment of an instant has set it to that instant again.
        Err(cause)
            if cause.kind == ErrorKind::AlreadyExists
                && parts.catalog.has_scheduled_export(&row.name, next_ms).await? =>
        {
            parts.catalog.pass_export_schedule(row, behind_ms, row.trouble.as_deref()).await
        }
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

async fn tell(parts: &Parts, row: &ExportScheduleRow, trouble: Option<&str>) -> Result<()> {
    if row.trouble.as_deref() == trouble {
        return Ok(());
    }
    parts.catalog.note_export_schedule(&row.name, trouble).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_that_waits_is_not_missed() {
        assert!(!is_missed(None, 1_000, 1_000 + LATE_MS));
        assert!(is_missed(None, 1_000, 1_001 + LATE_MS));
        assert!(is_missed(Some(&999), 1_000, 1_001 + LATE_MS));
        assert!(!is_missed(Some(&1_000), 1_000, 1_000_000_000));
    }
}
