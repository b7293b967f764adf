//! How an attempt at a job ends, and what its row says then: done, to be tried again, failed, or cancelled.

use std::time::Duration;

use catalog::{DatasetRow, JobKind, JobRow, Lease, Page};
use engine::Progress;
use model::error::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::measured::End;
use crate::{Outcome, Parts, RETRY_MS_MAX, left_over as leavings, measured};

/// How often a job that runs asks whether it may still use its dataset's key.
const KEY_ASKED_EVERY: Duration = Duration::from_secs(10);
/// A job that waits for others looks again after this time.
const WAIT_MS: i64 = 250;

/// Brings into the job's row how an attempt left it.
pub async fn hand_in(
    parts: &Parts,
    job: &JobRow,
    lease: &Lease,
    outcome: &Result<Outcome>,
    is_stopping: bool,
) -> Result<()> {
    match outcome {
        Ok(Outcome::Ended) => Ok(()),
        Ok(Outcome::Waiting) => parts.catalog.wait_later(lease, WAIT_MS).await,
        Err(cause) => give_up(parts, job, lease, cause, is_stopping).await,
    }
}

/// How an attempt ends: by itself, or because the key of its dataset's group can't be used any more.
pub async fn ended<T>(
    mut attempt: JoinHandle<Result<T>>,
    parts: &Parts,
    job: &JobRow,
    progress: &Progress,
) -> Result<T> {
    let (outcome, lost) = tokio::select! {
        outcome = &mut attempt => (outcome, None),
        cause = lost_key(parts, job) => {
            progress.stop();
            (attempt.await, Some(cause))
        }
    };
    let outcome =
        outcome.unwrap_or_else(|cause| Err(Error::internal("the job ended unexpectedly").caused_by(cause)));
    match (outcome, lost) {
        (Err(_), Some(lost)) => Err(lost),
        (outcome, _) => outcome,
    }
}

/// Waits until the key of a job's dataset is refused; for ever where it is not.
async fn lost_key(parts: &Parts, job: &JobRow) -> Error {
    loop {
        tokio::time::sleep(KEY_ASKED_EVERY).await;
        if let Ok(Some(dataset)) = keyed_dataset(parts, job).await
            && let Err(cause) = parts.access.data_keys(dataset.id, &dataset.group_arn).await
            && cause.kind == ErrorKind::Invalid
        {
            return cause;
        }
    }
}

/// The dataset whose key a job needs: its own, or any of the group that it analyses.
async fn keyed_dataset(parts: &Parts, job: &JobRow) -> Result<Option<DatasetRow>> {
    match job.kind {
        JobKind::Analysis => Ok(parts.catalog.datasets(Some(&job.subject_arn), &Page::first(1)).await?.pop()),
        _ => parts.catalog.dataset_by_id(job.dataset_id).await,
    }
}

async fn give_up(parts: &Parts, job: &JobRow, lease: &Lease, cause: &Error, is_stopping: bool) -> Result<()> {
    if let Some(by) = parts.catalog.cancelled_by(&job.arn).await? {
        return cancel(parts, job, lease, &by).await;
    }
    if is_stopping {
        return parts.catalog.retry_later(lease, 0).await;
    }
    let may_pass = matches!(cause.kind, ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::InUse);
    if may_pass && job.attempts < parts.settings.attempts_max {
        let delay_ms = (500 << job.attempts.clamp(0, 6)).min(RETRY_MS_MAX);
        warn!(job.arn = %job.arn, attempt = job.attempts, delay_ms, error = %cause.chain(), "the job is tried again later");
        measured::retried(job);
        return parts.catalog.retry_later(lease, delay_ms).await;
    }
    tell_failure(job, cause);
    let lease = &alone(parts, lease).await?;
    let left = left_over(parts, job).await;
    let reason = cause.message();
    let dot = if left.is_empty() || reason.ends_with('.') { "" } else { "." };
    parts.catalog.fail_job(lease, &format!("{reason}{dot}{left}"), None).await?;
    measured::ended(job, End::Failed, parts.clock.now_ms());
    Ok(())
}

// What is wrong with a caller's data quotes it: that is for whoever may describe the job, and not for the log.
fn tell_failure(job: &JobRow, cause: &Error) {
    if cause.kind == ErrorKind::Invalid {
        warn!(job.arn = %job.arn, "the job failed for what it was given: its description says why");
    } else {
        warn!(job.arn = %job.arn, error = %cause.chain(), "the job failed");
    }
}

/// The lease without the tasks that were handed out under it: nothing comes behind whoever clears away now.
async fn alone(parts: &Parts, lease: &Lease) -> Result<Lease> {
    if parts.runner.is_some() { parts.catalog.fence_off(lease).await } else { Ok(lease.clone()) }
}

/// What a job that ends without success leaves on a store, as sentences.
async fn left_over(parts: &Parts, job: &JobRow) -> String {
    match job.kind {
        JobKind::Export => leavings::clear(parts, job).await,
        JobKind::Import | JobKind::Update | JobKind::Deletion | JobKind::Analysis => String::new(),
    }
}

/// Ends a job that somebody cancelled, once nothing of it is left on the store.
async fn cancel(parts: &Parts, job: &JobRow, lease: &Lease, by: &str) -> Result<()> {
    let lease = &alone(parts, lease).await?;
    let left = left_over(parts, job).await;
    let dot = if left.is_empty() { "" } else { "." };
    let reason = format!("{}{dot}{left}", catalog::cancellation(by));
    info!(job.arn = %job.arn, "the job was cancelled");
    parts.catalog.fail_job(lease, &reason, None).await?;
    measured::ended(job, End::Cancelled, parts.clock.now_ms());
    Ok(())
}
