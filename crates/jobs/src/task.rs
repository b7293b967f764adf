//! A task: one part of a job's heavy work, which any process with the same catalog and objects can do.
//!
//! It is a text that names the job, the fence of the lease under which it was handed out, and the part. Whoever does it
//! opens everything by itself, as the job's role; it changes nothing that anybody sees, so that it may be done twice, and
//! it stops soon after the lease is lost or the job cancelled.

use std::sync::Arc;
use std::time::Duration;

use access::about;
use catalog::{JobRow, Lease, TaskRow, TaskState};
use engine::Progress;
use engine::export::Portion;
use model::Arn;
use model::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::ending::ended;
use crate::patience::unless_stopped;
use crate::{Parts, dataset_export_job, import_range};

/// How often a task looks whether its lease is still held: a read of one row.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How far it is, is written down every so many looks.
const TELL_EVERY: u32 = 4;
/// After which a passing fault is tried again, doubled each time,
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// up to this: about 8 seconds together. Then the task is handed out anew.
const DELAY_MAX: Duration = Duration::from_secs(4);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub job: String,
    pub fence: i64,
    /// Among the tasks of the job.
    pub number: i64,
    pub work: Work,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    Export(Portion),
    Import(import_range::Range),
    Count(import_range::Count),
}

/// What whoever handed a task out gets back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub job: String,
    pub fence: i64,
    pub number: i64,
    pub outcome: TaskOutcome,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum TaskOutcome {
    Done(Value),
    Failed { kind: ErrorKind, message: String },
}

/// Does a task, whatever becomes of it, and says so.
pub async fn run(parts: &Arc<Parts>, task: String) -> String {
    let (answer, done) = match serde_json::from_str::<Task>(&task) {
        Ok(task) => {
            let done = about::job(&task.job, attempt(parts, &task)).await;
            ((task.job, task.fence, task.number), done)
        }
        Err(cause) => {
            let unread = Error::internal("a task can't be read: is this another version?").caused_by(cause);
            ((String::new(), 0, 0), Err(unread))
        }
    };
    let (job, fence, number) = answer;
    let outcome = match done {
        Ok(done) => TaskOutcome::Done(done),
        Err(cause) => {
            // What is wrong with a caller's data quotes it.
            let error = (cause.kind != ErrorKind::Invalid).then(|| cause.chain());
            warn!(job.arn = %job, task = number, error, "a task was not done");
            TaskOutcome::Failed { kind: cause.kind, message: cause.message().to_owned() }
        }
    };
    // All of it is text and numbers.
    serde_json::to_string(&Answer { job, fence, number, outcome }).unwrap_or_default()
}

async fn attempt(parts: &Arc<Parts>, task: &Task) -> Result<Value> {
    let arn = Arn::parse(&task.job).ok_or_else(|| Error::internal("a task names no job"))?;
    let lease = Lease { arn, fence: task.fence };
    let row = TaskRow {
        number: task.number,
        execution: parts.clock.hex(16),
        executor: parts.name.to_string(),
        rows_done: 0,
        bytes_done: 0,
    };
    parts.catalog.begin_task(&lease, &row).await?;
    let gone = || Error::new(ErrorKind::NotFound, format!("The given job does not exist: {}", lease.arn));
    let job = parts.catalog.job(&lease.arn).await?.ok_or_else(gone)?;
    let watched = Watched::begin(parts, &lease, &row);
    let progress = &watched.progress;
    // A panic ends this task, not the process.
    let work = patiently(parts.clone(), job.clone(), lease.clone(), task.clone(), progress.clone());
    let work = tokio::spawn(about::along(work));
    let done = ended(work, parts, &job, progress).await;
    let state = if done.is_ok() { TaskState::Done } else { TaskState::Failed };
    let row = so_far(&row, progress);
    drop(watched);
    // The answer tells the same.
    if let Err(cause) = parts.catalog.tell_task(&lease, &row, state).await {
        warn!(job.arn = %lease.arn, error = %cause.chain(), "a task's end was not written down");
    }
    info!(job.arn = %lease.arn, task = row.number, rows = row.rows_done, is_done = done.is_ok(), "a task has ended");
    done
}

fn so_far(row: &TaskRow, progress: &Progress) -> TaskRow {
    TaskRow { rows_done: progress.rows(), bytes_done: progress.bytes(), ..row.clone() }
}

/// Tries again what a passing fault of a store or the network has stopped.
async fn patiently(
    parts: Arc<Parts>,
    job: JobRow,
    lease: Lease,
    task: Task,
    progress: Arc<Progress>,
) -> Result<Value> {
    let mut delay = FIRST_DELAY;
    loop {
        let done = work(&parts, &job, &lease, &task, &progress).await;
        let Err(cause) = done else { return done };
        let may_pass = matches!(cause.kind, ErrorKind::Unavailable | ErrorKind::Throttled);
        if !may_pass || delay > DELAY_MAX || progress.check().is_err() {
            return Err(cause);
        }
        warn!(job.arn = %job.arn, task = task.number, delay_ms = delay.as_millis(), error = %cause.chain(), "a task is tried again");
        unless_stopped(&progress, async {
            tokio::time::sleep(delay).await;
            Ok(())
        })
        .await?;
        progress.begin_again();
        delay *= 2;
    }
}

async fn work(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    task: &Task,
    progress: &Arc<Progress>,
) -> Result<Value> {
    match &task.work {
        Work::Export(portion) => {
            told(dataset_export_job::upload_portion(parts, job, lease, progress, *portion).await?)
        }
        Work::Import(range) => told(import_range::read(parts, job, range, progress).await?),
        Work::Count(count) => told(import_range::count_part(parts, job, count, progress).await?),
    }
}

fn told(done: impl Serialize) -> Result<Value> {
    serde_json::to_value(done).map_err(|e| Error::internal("write what a task has done").caused_by(e))
}

/// A task whose lease is watched; its work stops when nobody waits for it any more, too.
struct Watched {
    progress: Arc<Progress>,
    keeper: JoinHandle<()>,
}

impl Watched {
    fn begin(parts: &Arc<Parts>, lease: &Lease, row: &TaskRow) -> Watched {
        let progress = Arc::new(Progress::default());
        let watching = watch(parts.clone(), lease.clone(), row.clone(), progress.clone());
        Watched { progress, keeper: tokio::spawn(about::along(watching)) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.keeper.abort();
        self.progress.stop();
    }
}

// Faults of the catalog stop nothing: whoever holds the lease is told by it as well.
async fn watch(parts: Arc<Parts>, lease: Lease, row: TaskRow, progress: Arc<Progress>) {
    for look in 1_u32.. {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut is_wanted = parts.catalog.is_held(&lease).await;
        if look.is_multiple_of(TELL_EVERY) && matches!(is_wanted, Ok(true)) {
            is_wanted = parts.catalog.tell_task(&lease, &so_far(&row, &progress), TaskState::Running).await;
        }
        match is_wanted {
            Ok(true) => {}
            Ok(false) => return progress.stop(),
            Err(cause) => warn!(job.arn = %lease.arn, error = %cause.chain(), "a job's row was not read"),
        }
    }
}
