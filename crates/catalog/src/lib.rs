//! Resources and job rows in a database: one handle, every change in one transaction.

pub mod access_key;
pub mod dataset;
pub mod dataset_group;
pub mod event_tracker;
mod format;
pub mod grant;
pub mod group;
pub mod identity_policy;
pub mod identity_tag;
pub mod job;
pub mod key;
mod master_key;
pub mod metric_attribution;
pub mod page;
pub mod policy;
pub mod policy_version;
pub mod put_count;
pub mod role;
pub mod run;
pub mod schema;
pub mod sequencer;
pub mod tag;
pub mod user;

pub use dataset::contents::{ContentsRow, Held, LastPuts};
pub use dataset::history::Point;
pub use dataset::{DatasetRow, NewDataset};
pub use dataset_group::{DatasetGroupRow, NewDatasetGroup};
pub use event_tracker::{EventTrackerRow, NewEventTracker, Tracked};
pub use grant::GrantRow;
pub use identity_policy::Identity;
pub use job::data_deletion_job::{DeletionList, DeletionPlan, Replacement};
pub use job::{
    AnalysisRow, DatasetUpdate, DeletionRequest, Delivery, EndedJob, ExportRequest, ImportRequest, JobEvent,
    JobFilter, JobKind, JobRow, Lease, NewJob, PinnedDataset, Progress, RejectFile, Rejects, Snapshot,
    TaskRow, TaskState, TasksDone, UpdateRequest, cancellation,
};
pub use key::{AliasRow, KeyName, KeyRow};
pub use metric_attribution::{
    MetricAttributionRow, MetricAttributionUpdate, MetricRow, MetricsOutput, NewMetric, NewMetricAttribution,
    PromisedReport,
};
pub use page::Page;
pub use put_count::PutCount;
pub use run::{NewRun, RunRow};
pub use schema::{NewSchema, SchemaRow};
pub use sequencer::Sequencer;

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::error::{Context, Error, Result};
use model::{Arn, Clock, Quotas};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};

/// Asked before each transaction that writes: one that it refuses is not begun.
pub type Gate = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// The handle to the catalog: cheap to clone, safe to share.
#[derive(Clone)]
pub struct Catalog {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    sequencer: Arc<Sequencer>,
    quotas: Quotas,
    /// Counts the changes of users, roles and policies, for whoever keeps what it read of them.
    identity_generation: Arc<AtomicU64>,
    gate: Option<Gate>,
}

impl Catalog {
    /// Opens the catalog in `file`, creating it where there is none.
    ///
    /// A commit is on the disk when it returns (`synchronous=FULL`). Jobs that an earlier process was running are
    /// free to be claimed again.
    ///
    /// # Errors
    /// `Unavailable` when the file can't be opened; `Corrupt` when it was written by a newer version.
    pub async fn open(file: &Path, clock: Arc<dyn Clock>) -> Result<Catalog> {
        let opening = || "open the catalog".to_owned();
        keep_private(file).unavailable(opening)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        // One writer: SQLite has one at a time anyway, and waiting in the pool is fair where waiting on the file is not.
        let writer = connections(1).connect_with(options.clone()).await.unavailable(opening)?;
        format::settle(&writer).await?;
        let readers = connections(4).connect_with(options).await.unavailable(opening)?;
        let sequencer = Arc::new(Sequencer::new(writer.clone()));
        let (quotas, identity_generation) = (Quotas::OPEN, Arc::default());
        let catalog = Catalog { writer, readers, clock, sequencer, quotas, identity_generation, gate: None };
        catalog.release_all_leases().await?;
        catalog.give_tracking_ids().await?;
        catalog.delete_due_keys().await?;
        Ok(catalog)
    }

    /// The same catalog under quotas; without them nothing is limited.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Catalog {
        Catalog { quotas, ..self }
    }

    /// The same catalog behind a gate; a simulated machine ends there.
    #[must_use]
    pub fn with_gate(self, gate: Gate) -> Catalog {
        Catalog { gate: Some(gate), ..self }
    }

    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The counter behind all sequence numbers.
    pub fn sequencer(&self) -> Arc<Sequencer> {
        self.sequencer.clone()
    }

    /// How often users, roles or policies have changed since the catalog was opened; read before them, it tells
    /// whether they are still the same.
    pub fn identity_generation(&self) -> u64 {
        self.identity_generation.load(Ordering::Acquire)
    }

    /// Finishes what is running and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    // What was deleted stays in free pages, and in the log of changes, until both are written anew.
    pub(crate) async fn rewrite(&self) -> Result<()> {
        let query = sqlx::raw_sql("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        query.execute(&self.writer).await.map_err(failed).map(drop)
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Begins a transaction that writes; it is rolled back unless committed.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate())?;
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    /// Commits a change of users, roles or policies.
    pub(crate) async fn commit_identity(&self, tx: Transaction<'static, Sqlite>) -> Result<()> {
        let committed = tx.commit().await.map_err(failed);
        // Also after a failure, which may have come behind the commit.
        self.identity_generation.fetch_add(1, Ordering::AcqRel);
        committed
    }
}

// SQLite ends a transaction by itself when the disk is full or fails. The driver does not notice and would never begin
// another one: such a connection is replaced.
fn connections(most: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(most)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

// The file holds the sealed secrets of access keys; SQLite gives the files beside it the same permissions.
fn keep_private(file: &Path) -> std::io::Result<()> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file)?;
    opened.set_permissions(Permissions::from_mode(0o600))
}

/// A database failure that no request causes.
pub(crate) fn failed(cause: sqlx::Error) -> Error {
    Error::unavailable("the catalog did not answer").caused_by(cause)
}

/// A failure to insert: a taken name is told apart from a database that failed.
pub(crate) fn not_inserted(arn: &Arn) -> impl FnOnce(sqlx::Error) -> Error {
    let text = format!("Another resource with Amazon Resource Name {arn} already exists.");
    move |cause| match &cause {
        sqlx::Error::Database(e) if e.is_unique_violation() => {
            Error::new(model::ErrorKind::AlreadyExists, text)
        }
        _ => failed(cause),
    }
}

pub(crate) fn not_found(what: &str, arn: &Arn) -> Error {
    Error::new(model::ErrorKind::NotFound, format!("The given {what} does not exist: {arn}"))
}

pub(crate) fn in_use(text: impl Into<String>) -> Error {
    Error::new(model::ErrorKind::InUse, text)
}

/// Refuses one more where `count` has reached the quota.
pub(crate) fn within(quota: Option<u64>, count: i64, text: impl FnOnce(u64) -> String) -> Result<()> {
    match quota {
        Some(most) if count.cast_unsigned() >= most => {
            Err(Error::new(model::ErrorKind::LimitExceeded, text(most)))
        }
        _ => Ok(()),
    }
}

/// An ARN as it was stored.
pub(crate) fn stored_arn(text: &str) -> Result<Arn> {
    Arn::parse(text).ok_or_else(|| Error::corrupt("a catalog row holds no ARN where one belongs"))
}

/// A stored word that no enum knows.
pub(crate) fn unknown_word(column: &str) -> Error {
    Error::corrupt(format!("a catalog row holds an unknown word in {column}"))
}

#[cfg(test)]
mod tests {
    use model::clock::SimulatedClock;

    use super::*;

    #[tokio::test]
    async fn a_catalog_whose_disk_was_full_writes_again() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new(0, 1));
        let catalog = Catalog::open(&folder.path().join("catalog.db"), clock).await.unwrap();
        let schema = |name: &str, document: String| {
            let arn =
                Arn::parse(&format!("arn:aws:personalize:us-east-1:000000000000:schema/{name}")).unwrap();
            NewSchema { arn, name: name.to_owned(), document, domain: None }
        };
        // Holds for the connection that is there now.
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&catalog.writer).await.unwrap();
        let refused = catalog.create_schema(&schema("large", "x".repeat(1 << 20))).await.unwrap_err();
        assert!(refused.chain().contains("full"), "{}", refused.chain());
        catalog.create_schema(&schema("small", "x".to_owned())).await.unwrap();
    }
}
