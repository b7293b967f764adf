//! Jobs: claimed from the catalog, run under a lease, retried on passing faults, ended once and for all.

mod analysis;
mod attempt;
mod budget;
mod compaction;
mod complaint;
mod data_deletion_job;
mod dataset_export_job;
mod dataset_import_job;
mod dataset_update;
mod duty;
mod evidence;
mod export_schedule;
mod import_range;
mod lease;
mod left_over;
mod manifest;
pub mod measured;
mod metric_attribution;
mod naming;
mod patience;
mod range_reader;
pub mod records;
mod register;
mod rejects;
mod runner;
#[cfg(test)]
mod simulation;
mod snapshot;
pub mod task;
mod team;
mod upkeep;
mod upload;
pub mod user_records;

pub use register::CatalogRegister;
pub use runner::{Here, Runner, Running};

use std::sync::Arc;
use std::time::Duration;

use access::remedy::no_privileges;
use access::{Access, about};
use budget::Budget;
use catalog::{Catalog, DatasetRow, JobKind, JobRow, Lease, NewRun, Page};
use engine::Progress;
use measured::End;
use model::error::{Error, ErrorKind, Result};
use model::{Clock, Layout, Origin};
use seal::DataKeys;
use store::log::Log;
use store::{Hold, Objects, RunFile, ScratchFolder};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// What jobs work with.
#[derive(Clone)]
pub struct Parts {
    pub catalog: Catalog,
    pub access: Arc<Access>,
    pub log: Arc<Log>,
    pub objects: Objects,
    pub holds: Holds,
    pub clock: Arc<dyn Clock>,
    /// Rung when a job was created; a hint over polling.
    pub bell: Arc<Notify>,
    /// Called when a dataset has changed: what the doors keep of it is out of date.
    pub dataset_changed: Arc<dyn Fn() + Send + Sync>,
    /// Held while put records are moved out of the log or within it.
    pub flushing: Arc<tokio::sync::Mutex<()>>,
    /// A folder for sorting; what lies in it is of no use after a restart.
    pub scratch: ScratchFolder,
    /// Where the tasks of jobs are done; `None`: jobs are done as a whole, by this process's threads.
    pub runner: Option<Arc<dyn Runner>>,
    /// What this process calls itself where it tells who did a task.
    pub name: Arc<str>,
    pub settings: Settings,
}

/// What keeps files from being deleted while a backup copies them.
#[derive(Clone, Default)]
pub struct Holds {
    /// Segments of the log, which are copied first.
    pub log: Hold,
    /// Runs and what else lies beside them.
    pub objects: Hold,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many jobs run at once.
    pub jobs_concurrent: usize,
    /// A job that meets passing faults is given up after this many attempts.
    pub attempts_max: i64,
    /// The memory of one job, in bytes.
    pub job_memory_bytes: usize,
    /// The memory of all jobs together, flushing and compacting counted.
    pub jobs_memory_bytes: usize,
    /// How many threads one job works with.
    pub threads: usize,
    /// How many wrong rows of an import are told of.
    pub rejects_told_max: usize,
    /// What a task of an import that is cut into several reads, in bytes.
    pub import_task_bytes: u64,
    /// The mean size of exported files stays below this.
    pub file_size_bytes_max: u64,
    /// A dataset's put records are flushed from the log to a run at this age,
    pub flush_after_s: u64,
    /// at this size,
    pub flush_size_bytes: u64,
    /// or when the whole log has this size.
    pub log_size_bytes: u64,
}

impl Parts {
    /// The same parts for work that may use so much memory.
    fn within(&self, memory_bytes: usize) -> Arc<Parts> {
        let settings = Settings { job_memory_bytes: memory_bytes, ..self.settings };
        Arc::new(Parts { settings, ..self.clone() })
    }

    /// The same parts for work on one dataset, with the keys of its data.
    ///
    /// # Errors
    /// `Invalid` when the key of its group can't be used.
    async fn of_dataset(&self, dataset: &DatasetRow) -> Result<Arc<Parts>> {
        let keys = self.access.data_keys(dataset.id, &dataset.group_arn).await?;
        Ok(self.with_keys(keys))
    }

    /// The same parts, sealing with these keys.
    fn with_keys(&self, keys: DataKeys) -> Arc<Parts> {
        let scratch = self.scratch.clone();
        let scratch = if keys.sealing_key().is_some() { scratch } else { scratch.plain() };
        Arc::new(Parts { objects: self.objects.with_keys(keys), scratch, ..self.clone() })
    }
}

/// The workers and the upkeep, until they are stopped.
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

const POLL: Duration = Duration::from_secs(1);
/// A fault that has passed, such as a full disk, keeps nobody waiting for longer.
const RETRY_MS_MAX: i64 = 5_000;
/// How often a job that runs asks whether it may still use its dataset's key.
const KEY_ASKED_EVERY: Duration = Duration::from_secs(10);
/// A job that waits for others looks again after this time.
const WAIT_MS: i64 = 250;

/// How an attempt left its job.
enum Outcome {
    Ended,
    /// Others have to end first. The job lets its worker go, and is claimed again later.
    Waiting,
}

impl Jobs {
    pub fn start(parts: Parts) -> Jobs {
        let parts = Arc::new(parts);
        let (stop, stopped) = watch::channel(false);
        let budget = Arc::new(Budget::new(&parts.settings));
        let worker = |_| tokio::spawn(work(parts.clone(), budget.clone(), stopped.clone()));
        let mut tasks: Vec<JoinHandle<()>> = (0..parts.settings.jobs_concurrent.max(1)).map(worker).collect();
        tasks.push(tokio::spawn(upkeep::run(parts.within(budget.flush_bytes()), stopped.clone())));
        tasks.push(tokio::spawn(export_schedule::run(parts.clone(), stopped.clone())));
        tasks.push(tokio::spawn(export_schedule::retention::run(parts.clone(), stopped.clone())));
        tasks.push(tokio::spawn(compaction::run(parts, budget, stopped)));
        Jobs { stop, tasks }
    }

    /// Hands back what is running, so that it is begun again at the next start, and waits until all have let go.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(cause) = task.await {
                error!(error = %cause, "a worker ended before it was told to");
            }
        }
    }
}

async fn work(parts: Arc<Parts>, budget: Arc<Budget>, mut stopped: watch::Receiver<bool>) {
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

/// Brings into the job's row how an attempt left it.
async fn hand_in(
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
async fn ended<T>(
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
        JobKind::Export => left_over::clear(parts, job).await,
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

/// The dataset that a job works on.
async fn dataset_of(parts: &Parts, job: &JobRow) -> Result<DatasetRow> {
    let dataset = parts.catalog.dataset_by_id(job.dataset_id).await?;
    let gone =
        || Error::new(ErrorKind::NotFound, format!("The given dataset does not exist: {}", job.subject_arn));
    dataset.ok_or_else(gone)
}

/// A run that was written, as the catalog lists it.
fn new_run(layout: &Layout, origin: Origin, file: RunFile) -> NewRun {
    NewRun {
        origin,
        schema_version: layout.schema_version,
        sequence_base: 0,
        rows: file.rows,
        records: file.records,
        csv_bytes: file.csv_bytes,
        object: file.object,
        size_bytes: file.size_bytes,
    }
}

/// Puts the published sentence before a denial, so that the reader knows where to look.
fn explain_denial(bucket: &str, needs: &[&str]) -> impl FnOnce(Error) -> Error {
    move |cause| match cause.kind {
        ErrorKind::Denied => Error::invalid(no_privileges(bucket, &cause, needs)).caused_by(cause),
        _ => cause,
    }
}

/// Does blocking work off the threads that wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let about = about::current();
    let done = tokio::task::spawn_blocking(move || about.within(work)).await;
    done.unwrap_or_else(|cause| Err(Error::internal("the work ended unexpectedly").caused_by(cause)))
}
