//! Analyses of dataset groups: at most one of a group is open, and the last result is kept until records go.

use model::error::{Error, Result};
use model::status::Status;
use model::{Arn, Durable};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use super::{JobKind, JobRow, Lease, NewJob, Progress, Snapshot, claim, insert, read, snapshot, text};
use crate::{Catalog, DatasetRow, Transaction, dataset, failed, in_use, not_found};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS analysis (
    group_arn TEXT PRIMARY KEY, dataset_id INTEGER NOT NULL, result BLOB NOT NULL, row_count INTEGER NOT NULL,
    started_ms INTEGER NOT NULL, taken_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The last result of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysisRow {
    /// The dataset under whose key the result is sealed.
    pub dataset_id: i64,
    /// What came of it, as JSON, sealed as the records of that dataset are.
    pub result: Vec<u8>,
    /// How many records it is of.
    pub rows: u64,
    pub started_ms: i64,
    /// When the records were what was analysed.
    pub taken_ms: i64,
    pub finished_ms: i64,
}

/// A dataset of the group as an analysis reads it.
#[derive(Clone, Debug)]
pub struct PinnedDataset {
    pub dataset: DatasetRow,
    pub snapshot: Snapshot,
}

/// What an analysis needs of the log.
#[derive(Serialize)]
struct Pin {
    log_from: u64,
}

impl Catalog {
    /// Creates an analysis of a group, unless one is open.
    ///
    /// # Errors
    /// `NotFound` when the group is gone; `InUse` when it is not ACTIVE; `Invalid` when it has no dataset.
    pub async fn create_analysis(&self, arn: &Arn, group: &Arn) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        check_group(&mut tx, group).await?;
        if datasets(&mut tx, group).await?.is_empty() {
            return Err(no_dataset(group));
        }
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM job WHERE kind = 'ANALYSIS' AND subject_arn = $1
             AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
        );
        let open: i64 = query.bind(group.as_str()).fetch_one(&mut *tx).await.map_err(failed)?;
        if open > 0 {
            return Ok(());
        }
        forget_ended(&mut tx, group).await?;
        let (name, role_arn) = (String::new(), String::new());
        let (arn, subject_arn) = (arn.clone(), group.clone());
        let new = NewJob { arn, name, subject_arn, role_arn, request: (), tags: Vec::new() };
        insert(&mut tx, JobKind::Analysis, &new, 0, None, now_ms).await?;
        tx.commit().await.map_err(failed)
    }

    /// The analysis of a group that was begun last, and the last result.
    pub async fn analysis(&self, group: &Arn) -> Result<(Option<JobRow>, Option<AnalysisRow>)> {
        let query = sqlx::query(
            "SELECT * FROM job WHERE kind = 'ANALYSIS' AND subject_arn = $1 ORDER BY number DESC",
        );
        let job = query.bind(group.as_str()).fetch_optional(self.pool()).await.map_err(failed)?;
        let query = sqlx::query("SELECT * FROM analysis WHERE group_arn = $1").bind(group.as_str());
        let result = query.fetch_optional(self.pool()).await.map_err(failed)?;
        Ok((job.as_ref().map(read).transpose()?, result.as_ref().map(read_result).transpose()?))
    }

    /// Pins the state of all datasets of the group that a job analyses, as it is at one moment; what an earlier attempt
    /// pinned it lets go.
    ///
    /// `durable` is asked inside the transaction, as for an export.
    ///
    /// # Errors
    /// `Invalid` when the group has no dataset any more; `InUse` when the lease was lost.
    pub async fn pin_group(
        &self,
        lease: &Lease,
        group: &Arn,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<Vec<PinnedDataset>> {
        let mut tx = self.write().await?;
        let moment = self.moment(&mut tx, durable).await?;
        let mut pinned = Vec::new();
        for dataset in datasets(&mut tx, group).await? {
            let snapshot = snapshot::take(&mut tx, &dataset, moment).await?;
            pinned.push(PinnedDataset { dataset, snapshot });
        }
        let log_from = pinned.iter().map(|one| one.snapshot.log_from).min();
        let pin = Pin { log_from: log_from.ok_or_else(|| no_dataset(group))? };
        let query = sqlx::query(
            "UPDATE job SET snapshot = $1 WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(text(&pin)?).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        let query = sqlx::query("DELETE FROM run_pin WHERE job_arn = $1").bind(lease.arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        for one in &pinned {
            snapshot::pin_runs(&mut tx, &lease.arn, one.dataset.id).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(pinned)
    }

    /// Ends an analysis; its result takes the last one's place.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, also because records went meanwhile.
    pub async fn finish_analysis(
        &self,
        lease: &Lease,
        group: &Arn,
        result: &AnalysisRow,
        progress: Progress,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        claim::tell(&mut tx, lease, progress).await?;
        claim::end(&mut tx, lease, Status::Active.as_str(), None, None, result.finished_ms).await?;
        sqlx::query("INSERT INTO analysis VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (group_arn) DO UPDATE SET
             dataset_id = excluded.dataset_id, result = excluded.result, row_count = excluded.row_count,
             started_ms = excluded.started_ms, taken_ms = excluded.taken_ms, finished_ms = excluded.finished_ms")
            .bind(group.as_str())
            .bind(result.dataset_id)
            .bind(&result.result)
            .bind(result.rows.cast_signed())
            .bind(result.started_ms)
            .bind(result.taken_ms)
            .bind(result.finished_ms)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

/// Forgets what analyses found in records of a group, some of which go now; one that is open begins again.
pub(crate) async fn forget(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<()> {
    let query = sqlx::query("DELETE FROM analysis WHERE group_arn = $1").bind(group.as_str());
    query.execute(&mut **tx).await.map_err(failed)?;
    forget_ended(tx, group).await?;
    unpin(tx, group).await?;
    let query = sqlx::query(
        "UPDATE job SET lease_until_ms = 0, fence = fence + 1, snapshot = NULL
         WHERE kind = 'ANALYSIS' AND subject_arn = $1 AND status = 'CREATE IN_PROGRESS'",
    );
    query.bind(group.as_str()).execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Forgets all analyses of a group, which is being deleted.
pub(crate) async fn forget_group(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<()> {
    forget(tx, group).await?;
    let query = sqlx::query("DELETE FROM job WHERE kind = 'ANALYSIS' AND subject_arn = $1");
    query.bind(group.as_str()).execute(&mut **tx).await.map_err(failed).map(drop)
}

async fn forget_ended(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<()> {
    let query = sqlx::query(
        "DELETE FROM job WHERE kind = 'ANALYSIS' AND subject_arn = $1
         AND status NOT IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
    );
    query.bind(group.as_str()).execute(&mut **tx).await.map_err(failed).map(drop)
}

async fn unpin(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<()> {
    let query = sqlx::query(
        "DELETE FROM run_pin WHERE job_arn IN (SELECT arn FROM job WHERE kind = 'ANALYSIS' AND subject_arn = $1)",
    );
    query.bind(group.as_str()).execute(&mut **tx).await.map_err(failed).map(drop)
}

async fn check_group(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<()> {
    let query = sqlx::query_scalar("SELECT status FROM dataset_group WHERE arn = $1").bind(group.as_str());
    let status: Option<String> = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    match status.as_deref().and_then(Status::parse) {
        None => Err(not_found("dataset group", group)),
        Some(Status::Active) => Ok(()),
        Some(_) => Err(in_use(format!("The dataset group is not active: {group}"))),
    }
}

/// The datasets of a group, interactions first.
async fn datasets(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<Vec<DatasetRow>> {
    let query = sqlx::query("SELECT * FROM dataset WHERE group_arn = $1").bind(group.as_str());
    let rows = query.fetch_all(&mut **tx).await.map_err(failed)?;
    let mut datasets: Vec<DatasetRow> = rows.iter().map(dataset::read).collect::<Result<_>>()?;
    datasets.sort_by_key(|dataset| dataset.dataset_type);
    Ok(datasets)
}

fn no_dataset(group: &Arn) -> Error {
    Error::invalid(format!("The dataset group has no dataset that could be analyzed: {group}"))
}

fn read_result(row: &AnyRow) -> Result<AnalysisRow> {
    Ok(AnalysisRow {
        dataset_id: row.try_get("dataset_id").map_err(failed)?,
        result: row.try_get("result").map_err(failed)?,
        rows: row.try_get::<i64, _>("row_count").map_err(failed)?.cast_unsigned(),
        started_ms: row.try_get("started_ms").map_err(failed)?,
        taken_ms: row.try_get("taken_ms").map_err(failed)?,
        finished_ms: row.try_get("finished_ms").map_err(failed)?,
    })
}
