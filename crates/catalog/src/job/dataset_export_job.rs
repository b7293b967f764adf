//! Export jobs: created with a pinned snapshot, ended when every file is visible.

use model::error::{Error, Result};
use model::export::Since;
use model::status::Status;
use model::{Durable, IngestionMode, Origin};
use sqlx::Any;

use super::{ExportRequest, JobKind, Lease, NewJob, Progress, claim, insert, snapshot, within_open};
use crate::{Catalog, Transaction, failed};

impl Catalog {
    /// Creates an export job; its transaction pins the dataset's runs and the log up to `durable()`.
    ///
    /// `durable` tells how far the log is durable. It is asked inside the transaction, so that a record is in the
    /// snapshot's runs or in its piece of the log, never in both or in neither.
    ///
    /// # Errors
    /// `NotFound` when the dataset is gone; `InUse` when it is not ACTIVE; `AlreadyExists` when the name is taken;
    /// `LimitExceeded`; `Invalid` when records of the export that it goes on from were replaced or deleted.
    pub async fn create_export_job(
        &self,
        new: &NewJob<ExportRequest>,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        self.insert_export(&mut tx, new, durable).await?;
        tx.commit().await.map_err(failed)
    }

    /// Inserts an export job with what it pins, as a part of a transaction.
    pub(crate) async fn insert_export(
        &self,
        tx: &mut Transaction<'static, Any>,
        new: &NewJob<ExportRequest>,
        durable: impl Fn() -> Durable + Send,
    ) -> Result<()> {
        let dataset = super::dataset_of(tx, &new.subject_arn).await?;
        let moment = self.moment(tx, durable).await?;
        let snapshot = snapshot::take(tx, &dataset, moment).await?;
        if let Some(since) = &new.request.since {
            check_kept(tx, dataset.id, since, new.request.ingestion_mode).await?;
        }
        insert(tx, JobKind::Export, new, dataset.id, Some(&snapshot), self.now_ms()).await?;
        within_open(tx, JobKind::Export, None, self.quotas.open_export_jobs).await?;
        snapshot::pin_runs(tx, &new.arn, dataset.id).await
    }

    /// Stores what an export is about to complete; from here it only goes forward.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the job was cancelled.
    pub async fn set_completing(&self, lease: &Lease, plan: &str, progress: Progress) -> Result<()> {
        let mut tx = self.write().await?;
        claim::not_cancelled(&mut tx, lease).await?;
        let query = sqlx::query(
            "UPDATE job SET plan = $1 WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS' AND plan IS NULL",
        );
        let query = query.bind(plan).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        claim::tell(&mut tx, lease, progress).await?;
        tx.commit().await.map_err(failed)
    }

    /// Ends an export whose files are all visible, and lets its snapshot and its uploads go.
    pub async fn finish_export(&self, lease: &Lease, report: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM upload WHERE job_arn = $1").bind(lease.arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        claim::end(&mut tx, lease, Status::Active.as_str(), None, Some(report), self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }

    /// The lowest log position that a job still to be done has pinned; `None` when none has.
    pub async fn lowest_pinned_position(&self) -> Result<Option<u64>> {
        let query = sqlx::query_scalar(
            "SELECT min(CAST(json_extract(snapshot, '$.log_from') AS BIGINT)) FROM job
             WHERE status IN ('CREATE PENDING', 'CREATE IN_PROGRESS') AND snapshot IS NOT NULL",
        );
        let position: Option<i64> = query.fetch_one(self.pool()).await.map_err(failed)?;
        Ok(position.map(i64::cast_unsigned))
    }
}

// What came since an export makes up, with it, the dataset of now only where nothing of it was taken away.
async fn check_kept(
    tx: &mut Transaction<'static, Any>,
    dataset_id: i64,
    since: &Since,
    mode: IngestionMode,
) -> Result<()> {
    let query = sqlx::query_as("SELECT replaced_sequence, deleted_sequence FROM dataset WHERE id = $1");
    let (replaced, deleted): (i64, i64) =
        query.bind(dataset_id).fetch_one(&mut **tx).await.map_err(failed)?;
    let is_since = |sequence: i64| sequence.cast_unsigned() >= since.sequence;
    let what = match (mode.takes(Origin::Bulk) && is_since(replaced), is_since(deleted)) {
        (true, _) => "a FULL import has replaced",
        (_, true) => "a data deletion job has deleted",
        _ => return Ok(()),
    };
    let job = &since.job_arn;
    Err(Error::invalid(format!(
        "Nothing can be exported since {job}: {what} records of the dataset since then. Export all of it, without lade:since."
    )))
}
