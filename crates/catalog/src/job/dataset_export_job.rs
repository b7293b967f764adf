//! Export jobs: created with a pinned snapshot, ended when every file is visible.

use model::error::Result;
use model::status::Status;
use sqlx::Row;

use super::{ExportRequest, JobKind, Lease, NewJob, Snapshot, claim, insert, within_open};
use crate::{Catalog, failed};

impl Catalog {
    /// Creates an export job; its transaction pins the dataset's runs and the log up to `durable()`.
    ///
    /// `durable` tells the log's durable position. It is asked inside the transaction, so that a record is in the
    /// snapshot's runs or in its piece of the log, never in both or in neither.
    ///
    /// # Errors
    /// `NotFound` when the dataset is gone; `InUse` when it is not ACTIVE; `AlreadyExists` when the name is taken;
    /// `LimitExceeded`.
    pub async fn create_export_job(
        &self,
        new: &NewJob<ExportRequest>,
        durable: impl Fn() -> u64 + Send,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let dataset = super::dataset_of(&mut tx, &new.subject_arn).await?;
        let schema: String = sqlx::query("SELECT document FROM schema WHERE arn = ?")
            .bind(dataset.schema_arn.as_str())
            .fetch_one(&mut *tx)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(failed)?;
        // A dataset made after the log's last flush starts at the beginning: the log knows which frames are its own.
        let log_to = durable().max(dataset.flushed_position);
        let snapshot = Snapshot {
            layout: dataset.layout,
            schema,
            log_from: dataset.flushed_position,
            log_to,
            sequence: self.sequencer.next(),
            taken_ms: now_ms,
        };
        insert(&mut tx, JobKind::Export, new, dataset.id, Some(&snapshot), now_ms).await?;
        within_open(&mut tx, JobKind::Export, None, self.quotas.open_export_jobs).await?;
        sqlx::query("INSERT INTO run_pin SELECT ?, id FROM run WHERE dataset_id = ? AND listed = 1")
            .bind(new.arn.as_str())
            .bind(dataset.id)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Stores what an export is about to complete; from here it only goes forward.
    pub async fn set_completing(&self, lease: &Lease, plan: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "UPDATE job SET plan = ? WHERE arn = ? AND fence = ? AND status = 'CREATE IN_PROGRESS' AND plan IS NULL",
        );
        let query = query.bind(plan).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        tx.commit().await.map_err(failed)
    }

    /// Ends an export whose files are all visible, and lets its snapshot and its uploads go.
    pub async fn finish_export(&self, lease: &Lease, report: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM upload WHERE job_arn = ?").bind(lease.arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        claim::end(&mut tx, lease, Status::Active.as_str(), None, Some(report), self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }

    /// The lowest log position that a job still to be done has pinned; `None` when none has.
    pub async fn lowest_pinned_position(&self) -> Result<Option<u64>> {
        let query = sqlx::query_scalar(
            "SELECT min(json_extract(snapshot, '$.log_from')) FROM job
             WHERE status IN ('CREATE PENDING', 'CREATE IN_PROGRESS') AND snapshot IS NOT NULL",
        );
        let position: Option<i64> = query.fetch_one(self.pool()).await.map_err(failed)?;
        Ok(position.map(i64::cast_unsigned))
    }
}
