//! A worker: claims one job after another, and runs it under its lease.

use std::sync::Arc;

use access::about;
use catalog::{JobKind, JobRow, Lease};
use engine::Progress;
use model::error::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::budget::Budget;
use crate::ending::{ended, hand_in};
use crate::measured::End;
use crate::{
    Outcome, POLL, Parts, analysis, data_deletion_job, dataset_export_job, dataset_import_job,
    dataset_update, lease, measured,
};

/// Claims jobs and runs them until it is told to stop.
pub async fn work(parts: Arc<Parts>, budget: Arc<Budget>, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        // Memory comes first: a job that there is none for waits in its row, for whichever worker has some.
        let share = tokio::select! {
            share = budget.share() => share,
            _ = stopped.changed() => continue,
        };
        let claimed = match share {
            Ok(share) => {
                parts.catalog.claim(lease::LEASE_MS).await.map(|job| job.map(|claimed| (claimed, share)))
            }
            Err(cause) => Err(cause),
        };
        match claimed {
            Ok(Some(((job, lease), share))) => {
                // There may be more where this came from: another worker looks.
                parts.bell.notify_one();
                let share = if uses_more(job.kind) { budget.grow(share) } else { share };
                let arn = job.arn.to_string();
                let parts = parts.within(share.bytes());
                about::job(&arn, run(&parts, job, lease, stopped.clone())).await;
            }
            Ok(None) => wait(&parts, &mut stopped).await,
            Err(cause) => {
                warn!(error = %cause.chain(), "no job could be claimed");
                wait(&parts, &mut stopped).await;
            }
        }
    }
}

// What sorts is faster with more memory, and what counts is more exact; what streams is neither.
fn uses_more(kind: JobKind) -> bool {
    match kind {
        JobKind::Import | JobKind::Deletion | JobKind::Analysis => true,
        JobKind::Export | JobKind::Update => false,
    }
}

async fn wait(parts: &Parts, stopped: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = parts.bell.notified() => {}
        _ = stopped.changed() => {}
        () = tokio::time::sleep(POLL) => {}
    }
}

async fn run(parts: &Arc<Parts>, job: JobRow, lease: Lease, stopped: watch::Receiver<bool>) {
    let progress = Arc::new(resumed(&job));
    let keeping = lease::keep(parts.clone(), lease.clone(), progress.clone(), stopped.clone());
    let keeper = tokio::spawn(about::along(keeping));
    let outcome = match &job.cancelled_by {
        Some(_) => Err(Error::invalid("the job was cancelled before it was claimed")),
        None => {
            // A panic ends this job's attempt, not the worker.
            let attempt = attempt(parts.clone(), job.clone(), lease.clone(), progress.clone());
            let attempt = tokio::spawn(about::along(attempt));
            ended(attempt, parts, &job, &progress).await
        }
    };
    keeper.abort();
    // On a disk that is full or fails, the row is changed as soon as it takes changes again.
    loop {
        let is_stopping = *stopped.borrow();
        let Err(cause) = hand_in(parts, &job, &lease, &outcome, is_stopping).await else { break };
        warn!(job.arn = %job.arn, error = %cause.chain(), "the job's row could not be changed");
        if cause.kind == ErrorKind::InUse {
            return measured::lease_lost();
        }
        if is_stopping {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    if matches!(outcome, Ok(Outcome::Ended)) {
        measured::ended(&job, End::Done, parts.clock.now_ms());
        info!(job.arn = %job.arn, rows = progress.rows(), "the job is done");
    }
}

// What earlier attempts came to is what is known until this one knows better.
fn resumed(job: &JobRow) -> Progress {
    let so_far = &job.progress;
    Progress::resumed(so_far.rows_done, so_far.rows_total, so_far.bytes_done, so_far.bytes_total)
}

async fn attempt(parts: Arc<Parts>, job: JobRow, lease: Lease, progress: Arc<Progress>) -> Result<Outcome> {
    match job.kind {
        JobKind::Import => dataset_import_job::run(&parts, &job, &lease, &progress).await?,
        JobKind::Export => dataset_export_job::run(&parts, &job, &lease, &progress).await?,
        JobKind::Update => dataset_update::run(&parts, &job, &lease).await?,
        JobKind::Analysis => analysis::run(&parts, &job, &lease, &progress).await?,
        JobKind::Deletion => return data_deletion_job::run(&parts, &job, &lease, &progress).await,
    }
    Ok(Outcome::Ended)
}
