//! Who works on a job: claims, leases with a fence, retries, and the end of it.

use model::Arn;
use model::error::{Error, Result};
use sqlx::Any;

use super::{JobRow, Lease, Progress, dataset_update, read};
use crate::change::{self, Changed};
use crate::{Catalog, Transaction, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS turn (subject_arn TEXT PRIMARY KEY, served INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;
";

impl Catalog {
    /// Claims the next job: one that waits, or one whose worker went silent.
    ///
    /// Datasets take turns: those with fewer jobs running come first, and of these the one whose last turn is longest ago.
    /// Imports of one dataset run one after the other, in order of creation; so do data deletion jobs of one group.
    /// A lease that ends later than any that is given now was given before the clock was set back, and does not count.
    ///
    /// # Errors
    /// `InUse` when the session of this node has ended.
    pub async fn claim(&self, lease_ms: i64) -> Result<Option<(JobRow, Lease)>> {
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        let node = self.live_session(&mut tx).await?;
        let row = sqlx::query(
            "UPDATE job SET status = 'CREATE IN_PROGRESS', attempts = attempts + 1, fence = fence + 1, node = $3,
                 lease_until_ms = $1 + $2, updated_ms = max(updated_ms, $1), eta_s = NULL,
                 rows_done = CASE WHEN plan IS NULL THEN 0 ELSE rows_done END, 
                 bytes_done = CASE WHEN plan IS NULL THEN 0 ELSE bytes_done END
             WHERE number = (
                 SELECT number FROM job j LEFT JOIN turn USING (subject_arn)
                 WHERE (status = 'CREATE PENDING' OR (status = 'CREATE IN_PROGRESS'
                     AND lease_until_ms NOT BETWEEN $1 + 1 AND $1 + 2 * $2))
                 AND NOT (kind IN ('IMPORT', 'DELETION') AND EXISTS (
                     SELECT 1 FROM job e WHERE e.subject_arn = j.subject_arn AND e.dataset_id = j.dataset_id
                     AND e.kind = j.kind AND e.number < j.number
                     AND e.status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')))
                 ORDER BY (SELECT count(*) FROM job r WHERE r.subject_arn = j.subject_arn
                     AND r.status = 'CREATE IN_PROGRESS' AND r.lease_until_ms > $1), coalesce(served, 0), number
                 LIMIT 1)
             RETURNING *",
        )
        .bind(now_ms)
        .bind(lease_ms)
        .bind(node)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let job = read(&row)?;
        let fence: i64 = sqlx::Row::try_get(&row, "fence").map_err(failed)?;
        take_turn(&mut tx, &job.subject_arn).await?;
        tx.commit().await.map_err(failed)?;
        let lease = Lease { arn: job.arn.clone(), fence };
        Ok(Some((job, lease)))
    }

    /// Keeps a lease alive and tells how far the job is.
    ///
    /// # Errors
    /// `InUse` when the lease was lost: the worker stops.
    pub async fn renew(&self, lease: &Lease, lease_ms: i64, progress: Progress) -> Result<()> {
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        let done = sqlx::query(
            "UPDATE job SET lease_until_ms = $1 WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        )
        .bind(now_ms + lease_ms)
        .bind(lease.arn.as_str())
        .bind(lease.fence)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        held(done.rows_affected())?;
        tell(&mut tx, lease, progress).await?;
        tx.commit().await.map_err(failed)
    }

    /// Gives a job back after a passing fault; it can be claimed again after `delay_ms`.
    pub async fn retry_later(&self, lease: &Lease, delay_ms: i64) -> Result<()> {
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        let query = sqlx::query(
            "UPDATE job SET lease_until_ms = $1, node = NULL WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(now_ms + delay_ms).bind(lease.arn.as_str()).bind(lease.fence);
        held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        change::note(&mut tx, Changed::Job).await?;
        tx.commit().await.map_err(failed)
    }

    /// Gives a job back that has to wait for others; to wait is no failure, so the attempt does not count.
    pub async fn wait_later(&self, lease: &Lease, delay_ms: i64) -> Result<()> {
        let mut tx = self.write().await?;
        let now_ms = self.shared_now_ms(&mut tx).await?;
        let query = sqlx::query(
            "UPDATE job SET lease_until_ms = $1, node = NULL, attempts = attempts - 1
             WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(now_ms + delay_ms).bind(lease.arn.as_str()).bind(lease.fence);
        held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        tx.commit().await.map_err(failed)
    }

    /// Ends a job that can't be done; its snapshot is no longer pinned, and its dataset no longer being updated.
    pub async fn fail_job(&self, lease: &Lease, reason: &str, report: Option<&str>) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        end(&mut tx, lease, "CREATE FAILED", Some(reason), report, now_ms).await?;
        dataset_update::note_failure(&mut tx, &lease.arn, reason, now_ms).await?;
        tx.commit().await.map_err(failed)
    }
}

// Counted, because turns may follow each other faster than any clock ticks.
async fn take_turn(tx: &mut Transaction<'static, Any>, subject: &Arn) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO turn SELECT $1, coalesce(max(served), 0) + 1 FROM turn WHERE true
         ON CONFLICT (subject_arn) DO UPDATE SET served = excluded.served",
    );
    query.bind(subject.as_str()).execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Forgets when the jobs of a dataset or a group had their last turn: it is being deleted.
pub(crate) async fn forget_turn(tx: &mut Transaction<'static, Any>, subject: &Arn) -> Result<()> {
    let query = sqlx::query("DELETE FROM turn WHERE subject_arn = $1").bind(subject.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Ends a job once and for all, in the transaction that also changes the dataset.
pub(super) async fn end(
    tx: &mut Transaction<'static, Any>,
    lease: &Lease,
    status: &str,
    reason: Option<&str>,
    report: Option<&str>,
    now_ms: i64,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE job SET status = $1, failure_reason = $2, report = coalesce($3, report), updated_ms = max(updated_ms, $4), plan = NULL,
         eta_s = NULL
         WHERE arn = $5 AND fence = $6 AND status = 'CREATE IN_PROGRESS'",
    )
    .bind(status)
    .bind(reason)
    .bind(report)
    .bind(now_ms)
    .bind(lease.arn.as_str())
    .bind(lease.fence)
    .execute(&mut **tx)
    .await
    .map_err(failed)?;
    held(done.rows_affected())?;
    // Another one of its dataset may have waited for it.
    change::note(tx, Changed::Job).await?;
    let query = sqlx::query("DELETE FROM run_pin WHERE job_arn = $1").bind(lease.arn.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Writes down how far a job is, in a transaction that has found its lease to be held.
pub(super) async fn tell(
    tx: &mut Transaction<'static, Any>,
    lease: &Lease,
    progress: Progress,
) -> Result<()> {
    let query = sqlx::query(
        "UPDATE job SET rows_done = $1, rows_total = $2, bytes_done = $3, bytes_total = $4, eta_s = $5 WHERE arn = $6",
    )
    .bind(progress.rows_done.cast_signed())
    .bind(progress.rows_total.cast_signed())
    .bind(progress.bytes_done.cast_signed())
    .bind(progress.bytes_total.cast_signed())
    .bind(progress.eta_s.map(u64::cast_signed))
    .bind(lease.arn.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Refuses a step behind which a job only goes forward, when somebody wished before that it end.
pub(super) async fn not_cancelled(tx: &mut Transaction<'static, Any>, lease: &Lease) -> Result<()> {
    let query = sqlx::query_scalar("SELECT count(*) FROM job WHERE arn = $1 AND cancelled_by IS NOT NULL");
    let cancelled: i64 = query.bind(lease.arn.as_str()).fetch_one(&mut **tx).await.map_err(failed)?;
    if cancelled == 0 { Ok(()) } else { Err(Error::new(model::ErrorKind::InUse, "the job was cancelled")) }
}

pub(super) fn held(rows: u64) -> Result<()> {
    if rows == 0 {
        Err(Error::new(model::ErrorKind::InUse, "another worker has taken over the job"))
    } else {
        Ok(())
    }
}
