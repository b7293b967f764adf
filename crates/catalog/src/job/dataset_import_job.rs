//! Import jobs: created for an ACTIVE dataset, ended in the transaction that lists their runs.

use model::error::Result;
use model::status::Status;
use model::{Arn, ImportMode, Origin};

use super::{ImportRequest, JobKind, Lease, NewJob, Progress, claim, insert, within_open};
use crate::dataset::history;
use crate::{Catalog, NewRun, failed, in_use, log_segment, metric_attribution, not_found, run};

impl Catalog {
    /// # Errors
    /// `NotFound` when the dataset is gone; `InUse` when it is not ACTIVE; `AlreadyExists` when the name is taken;
    /// `LimitExceeded`; `Invalid` when there is no metric attribution whose report it could publish.
    pub async fn create_import_job(&self, new: &NewJob<ImportRequest>) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let dataset = super::dataset_of(&mut tx, &new.subject_arn).await?;
        insert(&mut tx, JobKind::Import, new, dataset.id, None, now_ms).await?;
        within_open(&mut tx, JobKind::Import, None, self.quotas.open_import_jobs).await?;
        if new.request.publish_attribution_metrics_to_s3 == Some(true) {
            let mode = new.request.import_mode;
            metric_attribution::promise(&mut tx, &new.arn, &dataset, mode, now_ms).await?;
        }
        tx.commit().await.map_err(failed)
    }

    /// Whether an import job of this dataset has become ACTIVE before.
    pub async fn has_imported(&self, dataset_id: i64) -> Result<bool> {
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM job WHERE dataset_id = $1 AND kind = 'IMPORT' AND status = 'ACTIVE'
             AND coalesce(CAST(json_extract(request, '$.validate_only') AS TEXT), 'false') NOT IN ('1', 'true')",
        );
        let count: i64 = query.bind(dataset_id).fetch_one(self.pool()).await.map_err(failed)?;
        Ok(count > 0)
    }

    /// Ends a job that was asked to check and to import nothing.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the job was cancelled.
    pub async fn finish_validation(&self, lease: &Lease, report: &str, progress: Progress) -> Result<()> {
        let mut tx = self.write().await?;
        claim::not_cancelled(&mut tx, lease).await?;
        claim::tell(&mut tx, lease, progress).await?;
        claim::end(&mut tx, lease, Status::Active.as_str(), None, Some(report), self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }

    /// Lists the runs of an import and ends its job, in one transaction: all of it becomes visible, or nothing.
    ///
    /// FULL takes all earlier bulk runs off the list. The sequence numbers are drawn in here, so that every record
    /// put before the commit is older than the imported ones.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the job was cancelled.
    pub async fn finish_import(
        &self,
        lease: &Lease,
        dataset_id: i64,
        mode: ImportMode,
        runs: &[NewRun],
        report: &str,
        progress: Progress,
    ) -> Result<()> {
        let records: u64 = runs.iter().map(|r| r.records).sum();
        loop {
            if !self.orders_log {
                self.sequencer.reserve(records).await?;
            }
            let mut tx = self.write().await?;
            let first = match self.orders_log {
                true => Some(log_segment::draw(&mut tx, records).await?),
                false => self.sequencer.draw(records),
            };
            // A burst of puts may have used up the reservation; then it is made again.
            let Some(first) = first else { continue };
            claim::not_cancelled(&mut tx, lease).await?;
            if mode == ImportMode::Full {
                let query = sqlx::query(
                    "UPDATE run SET listed = 0 WHERE dataset_id = $1 AND origin = $2 AND listed = 1",
                );
                let query = query.bind(dataset_id).bind(Origin::Bulk.as_str());
                if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() > 0 {
                    let query = sqlx::query("UPDATE dataset SET replaced_sequence = $1 WHERE id = $2");
                    let query = query.bind(first.cast_signed()).bind(dataset_id);
                    query.execute(&mut *tx).await.map_err(failed)?;
                }
            }
            for new in runs {
                let placed = NewRun { sequence_base: first + new.sequence_base, ..new.clone() };
                run::insert(&mut tx, dataset_id, &placed, self.now_ms()).await?;
            }
            history::note(&mut tx, dataset_id, self.now_ms()).await?;
            claim::tell(&mut tx, lease, progress).await?;
            claim::end(&mut tx, lease, Status::Active.as_str(), None, Some(report), self.now_ms()).await?;
            return tx.commit().await.map_err(failed);
        }
    }
}

pub(super) fn usable(status: Status, arn: &Arn) -> Result<()> {
    match status {
        Status::Active => Ok(()),
        Status::DeletePending | Status::DeleteInProgress => Err(not_found("dataset", arn)),
        _ => Err(in_use(format!("The dataset is not active: {arn}"))),
    }
}
