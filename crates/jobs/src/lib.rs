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
mod ending;
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
mod worker;

pub use register::CatalogRegister;
pub use runner::{Here, Runner, Running};

use std::sync::Arc;
use std::time::Duration;

use access::remedy::no_privileges;
use access::{Access, about};
use budget::Budget;
use catalog::{Catalog, DatasetRow, JobRow, NewRun};
use model::error::{Error, ErrorKind, Result};
use model::{Clock, Layout, Origin};
use seal::DataKeys;
use store::log::Log;
use store::{Hold, Objects, RunFile, ScratchFolder};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::error;

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
        let worker = |_| tokio::spawn(worker::work(parts.clone(), budget.clone(), stopped.clone()));
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
