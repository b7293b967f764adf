//! Resources and job rows in a database: one handle, every change in one transaction.

pub mod access_key;
mod change;
pub mod console_session;
pub mod copy;
pub mod damage;
mod database;
pub mod dataset;
pub mod dataset_group;
mod duty;
pub mod event_tracker;
pub mod export_schedule;
mod figures;
mod format;
pub mod grant;
pub mod group;
pub mod identity_policy;
pub mod identity_tag;
pub mod job;
pub mod key;
mod log_segment;
pub mod look;
mod master_key;
pub mod measured;
pub mod metric_attribution;
mod node;
pub mod page;
mod patience;
pub mod policy;
pub mod policy_version;
mod postgres;
pub mod put_count;
mod realm;
pub mod role;
pub mod run;
pub mod schema;
pub mod sequencer;
pub mod tag;
pub mod user;

pub use change::Changes;
pub use dataset::contents::{ContentsRow, Held, LastPuts};
pub use dataset::history::Point;
pub use dataset::{DatasetRow, NewDataset};
pub use dataset_group::{DatasetGroupRow, NewDatasetGroup};
pub use event_tracker::{EventTrackerRow, NewEventTracker, Tracked};
pub use export_schedule::{ExportPlan, ExportScheduleRow, Keep, Missed, ScheduledExport};
pub use figures::{DatasetFigures, Figures};
pub use grant::GrantRow;
pub use identity_policy::Identity;
pub use job::data_deletion_job::{DeletionList, DeletionPlan, Replacement};
pub use job::{
    AnalysisRow, Beside, DatasetUpdate, DeletionRequest, Delivery, EndedJob, ExportRequest, ImportRequest,
    JobEvent, JobFilter, JobKind, JobRow, Lease, NewJob, PinnedDataset, Progress, PrunableJob, PruneFilter,
    RejectFile, Rejects, Snapshot, TaskRow, TaskState, TasksDone, UpdateRequest, cancellation,
};
pub use key::{AliasRow, KeyName, KeyRow};
pub use master_key::MasterKeyChange;
pub use metric_attribution::{
    MetricAttributionRow, MetricAttributionUpdate, MetricRow, MetricsOutput, NewMetric, NewMetricAttribution,
    PromisedReport,
};
pub use node::{About, NodeRow, Pulse, SILENCE_MS};
pub use page::Page;
pub use put_count::PutCount;
pub use run::{NewRun, RunRow};
pub use schema::{NewSchema, SchemaRow};
pub use sequencer::Sequencer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use model::error::{Error, Result};
use model::{Arn, Clock, Quotas};
use sqlx::{Any, AnyPool};

use change::Changed;
use database::{Connections, Dialect};
use patience::Pool;
pub(crate) use patience::Transaction;

/// Asked before each transaction that writes: one that it refuses is not begun.
pub type Gate = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// The handle to the catalog: cheap to clone, safe to share.
#[derive(Clone)]
pub struct Catalog {
    dialect: Dialect,
    writer: AnyPool,
    readers: Pool,
    keeper: Option<AnyPool>,
    clock: Arc<dyn Clock>,
    sequencer: Arc<Sequencer>,
    quotas: Quotas,
    /// Counts the changes of users, roles and policies, for whoever keeps what it read of them.
    identity_generation: Arc<AtomicU64>,
    /// The catalog's own count of these changes when it was last looked at.
    identity_seen: Arc<AtomicI64>,
    /// When the catalog's counts were last looked at.
    looked_ms: Arc<AtomicI64>,
    /// Whether other nodes may work on it too.
    is_shared: bool,
    /// Whether the log's order is decided here, for all nodes.
    orders_log: bool,
    session: node::Session,
    /// Whether the clock of this process is asked, where otherwise that of the database is.
    has_own_time: bool,
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
        Catalog::begin(Dialect::Sqlite, database::open_file(file).await?, clock, false).await
    }

    /// Opens the catalog in `file` beside others who have it open, each of whom is a node of its own.
    ///
    /// # Errors
    /// As `open`.
    pub async fn join(file: &Path, clock: Arc<dyn Clock>) -> Result<Catalog> {
        Catalog::begin(Dialect::Sqlite, database::open_file(file).await?, clock, true).await
    }

    /// Opens the catalog in the database of PostgreSQL at `url`, making its tables where there are none.
    ///
    /// Several processes may do so at the same time, each of which is a node of its own.
    ///
    /// # Errors
    /// `Unavailable` when it can't be connected to; `Invalid` when the URL is none, or the database not fit; `Corrupt`
    /// when a newer version wrote there. No message shows the URL.
    pub async fn open_postgres(url: &str, clock: Arc<dyn Clock>) -> Result<Catalog> {
        Catalog::begin(Dialect::Postgres, database::open_server(url).await?, clock, true).await
    }

    async fn begin(
        dialect: Dialect,
        connections: Connections,
        clock: Arc<dyn Clock>,
        is_shared: bool,
    ) -> Result<Catalog> {
        let Connections { writer, readers, keeper } = connections;
        let readers = Pool { connections: readers, dialect };
        let sequencer = Arc::new(Sequencer::new(Pool { connections: writer.clone(), dialect }));
        let (identity_generation, identity_seen, looked_ms, session) = Default::default();
        let catalog = Catalog {
            dialect,
            writer,
            readers,
            keeper,
            clock,
            sequencer,
            quotas: Quotas::OPEN,
            identity_generation,
            identity_seen,
            looked_ms,
            is_shared,
            orders_log: false,
            session,
            has_own_time: dialect == Dialect::Sqlite,
            gate: None,
        };
        catalog.begin_session().await?;
        catalog.give_tracking_ids().await?;
        catalog.delete_due_keys().await?;
        Ok(catalog)
    }

    /// The same catalog under quotas; without them nothing is limited.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Catalog {
        Catalog { quotas, ..self }
    }

    /// The same catalog, going by the clock of this process alone, also on a server of PostgreSQL; for whoever moves it.
    #[must_use]
    pub fn by_own_clock(self) -> Catalog {
        Catalog { has_own_time: true, ..self }
    }

    /// The same catalog, deciding the order of a log that nodes share.
    #[must_use]
    pub fn with_shared_log(self) -> Catalog {
        Catalog { orders_log: true, ..self }
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
        self.readers.connections.close().await;
        self.writer.close().await;
        if let Some(keeper) = &self.keeper {
            keeper.close().await;
        }
    }

    // What was deleted stays in free pages, and in the log of changes, until both are written anew. PostgreSQL drops the
    // old pages of the table that had it, but a server that archives its own log keeps that as long as it is told to.
    pub(crate) async fn rewrite(&self) -> Result<()> {
        let query = sqlx::raw_sql(match self.dialect {
            Dialect::Sqlite => "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
            Dialect::Postgres => "VACUUM (FULL) access_key",
        });
        query.execute(&self.writer).await.map_err(failed).map(drop)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.readers
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Begins a transaction that writes; it is rolled back unless committed. There is one at a time.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Any>> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate())?;
        let began = Instant::now();
        let begun = database::write(self.dialect, &self.writer).await.map_err(failed)?;
        measured::WAIT.observe(began.elapsed());
        Ok(begun)
    }

    /// Begins a transaction that reads, and sees what was there when it read first.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Any>> {
        database::read(self.dialect, &self.readers.connections).await.map_err(failed)
    }

    /// Begins a transaction that writes and that only the rows which it locks put in order with others.
    pub(crate) async fn write_beside(&self) -> Result<Transaction<'static, Any>> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate())?;
        let readers = &self.readers.connections;
        database::write_beside(self.dialect, &self.writer, readers).await.map_err(failed)
    }

    /// Commits a change of users, roles or policies.
    pub(crate) async fn commit_identity(&self, tx: Transaction<'static, Any>) -> Result<()> {
        let committed = self.commit_change(tx, Changed::Identity).await;
        // Also after a failure, which may have come behind the commit.
        self.identity_generation.fetch_add(1, Ordering::AcqRel);
        committed
    }
}

/// A database failure that no request causes, but for a text that can't be kept.
pub(crate) fn failed(cause: sqlx::Error) -> Error {
    let code = cause.as_database_error().and_then(|e| e.code());
    match code.as_deref() {
        // Said by PostgreSQL alone.
        Some("22021") => Error::invalid("a text with the character NUL can't be stored").caused_by(cause),
        code => {
            // The first is "cached plan must not change result type": another process has brought the tables forward.
            if matches!(code, Some("0A000" | "57P01" | "57P02")) || matches!(cause, sqlx::Error::Io(_)) {
                database::renew_connections();
            }
            Error::unavailable("the catalog did not answer").caused_by(cause)
        }
    }
}

/// A failure to insert: a taken name is told apart from a database that failed.
pub(crate) fn not_inserted(arn: &Arn) -> impl FnOnce(sqlx::Error) -> Error {
    let taken = already_exists(arn);
    move |cause| match &cause {
        sqlx::Error::Database(e) if e.is_unique_violation() => taken,
        _ => failed(cause),
    }
}

pub(crate) fn already_exists(arn: &Arn) -> Error {
    let text = format!("Another resource with Amazon Resource Name {arn} already exists.");
    Error::new(model::ErrorKind::AlreadyExists, text)
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
