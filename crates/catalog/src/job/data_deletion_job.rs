//! Data deletion jobs: created for an ACTIVE group, they replace the runs of its datasets and wait for older snapshots.

use model::Arn;
use model::error::{Error, Result};
use model::status::Status;
use serde::{Deserialize, Serialize};
use sqlx::Any;

use super::{
    DeletionRequest, JobKind, JobRow, Lease, NewJob, Progress, analysis, claim, insert, parse, reject, text,
    within_open,
};
use crate::dataset::history;
use crate::{Catalog, NewRun, RunRow, Transaction, failed, in_use, log_segment, not_found, run, stored_arn};

/// What a data deletion job works on, fixed when it is first begun.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Start {
    /// Records with a smaller sequence number are deleted.
    sequence: u64,
}

/// What a data deletion job still waits for when its records are in no list of runs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionPlan {
    /// The log may hold deleted records before this position.
    pub log_position: u64,
    /// Export jobs up to this one may read them.
    last_job: i64,
    /// Attempts to write that may hold them.
    attempts: Vec<String>,
    /// Whose records went, for the evidence that they did; jobs of older versions have none.
    #[serde(default)]
    pub list: Option<DeletionList>,
    /// Folders for sorting that may hold them.
    #[serde(default)]
    pub scratch: Vec<String>,
}

/// Users whose records were deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionList {
    /// Kept until the job ends.
    pub object: String,
    pub users: u64,
    /// Records with a smaller sequence number went.
    pub before: u64,
}

/// A run without the records that are deleted.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub id: i64,
    /// None when no record is left.
    pub rest: Option<NewRun>,
    /// How many records went.
    pub deleted: u64,
}

impl JobRow {
    pub fn deletion_plan(&self) -> Result<Option<DeletionPlan>> {
        self.plan.as_deref().map(parse).transpose()
    }
}

impl Catalog {
    /// # Errors
    /// `NotFound` when the group is gone; `InUse` when it is not ACTIVE; `AlreadyExists` when the name is taken.
    pub async fn create_data_deletion_job(&self, new: &NewJob<DeletionRequest>) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let status: Option<String> = sqlx::query_scalar("SELECT status FROM dataset_group WHERE arn = $1")
            .bind(new.subject_arn.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        match status.as_deref().and_then(Status::parse) {
            None => return Err(not_found("dataset group", &new.subject_arn)),
            Some(Status::Active) => {}
            Some(_) => return Err(in_use(format!("The dataset group is not active: {}", new.subject_arn))),
        }
        insert(&mut tx, JobKind::Deletion, new, 0, None, now_ms).await?;
        let quota = self.quotas.open_deletion_jobs;
        within_open(&mut tx, JobKind::Deletion, Some(&new.subject_arn), quota).await?;
        tx.commit().await.map_err(failed)
    }

    /// The sequence number below which records are deleted: the next one to be given when the job was first begun.
    ///
    /// An import that commits earlier is below it, one that commits later is not.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn begin_deletion(&self, lease: &Lease) -> Result<u64> {
        let mut tx = self.write().await?;
        let start = Start { sequence: self.next_in(&mut tx).await? };
        let stored: Option<String> = sqlx::query_scalar(
            "UPDATE job SET snapshot = coalesce(snapshot, $1)
             WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS' RETURNING snapshot",
        )
        .bind(text(&start)?)
        .bind(lease.arn.as_str())
        .bind(lease.fence)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        claim::held(u64::from(stored.is_some()))?;
        tx.commit().await.map_err(failed)?;
        parse::<Start>(&stored.unwrap_or_default()).map(|start| start.sequence)
    }

    /// The runs that make up a dataset now, oldest first, kept from being cleared away while the job reads them.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn pin_runs(&self, lease: &Lease, dataset_id: i64) -> Result<Vec<RunRow>> {
        let mut tx = self.write().await?;
        hold(&mut tx, lease).await?;
        unpin(&mut tx, lease).await?;
        sqlx::query("INSERT INTO run_pin SELECT $1, id FROM run WHERE dataset_id = $2 AND listed = 1")
            .bind(lease.arn.as_str())
            .bind(dataset_id)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.pinned_runs(&lease.arn).await
    }

    /// Replaces runs of a dataset by what is left of them, and counts what went.
    ///
    /// Returns false, and changes nothing, when one of them is no longer listed, or the dataset has a newer schema
    /// than what was written.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the job was cancelled.
    pub async fn replace_runs(
        &self,
        lease: &Lease,
        dataset_id: i64,
        replacements: &[Replacement],
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        claim::not_cancelled(&mut tx, lease).await?;
        let deleted: u64 = replacements.iter().map(|r| r.deleted).sum();
        let counted = sqlx::query(
            "UPDATE job SET records_deleted = records_deleted + $1
             WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        )
        .bind(deleted.cast_signed())
        .bind(lease.arn.as_str())
        .bind(lease.fence)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        claim::held(counted.rows_affected())?;
        let version = schema_version(&mut tx, dataset_id).await?;
        for replacement in replacements {
            if !run::retire(&mut tx, dataset_id, replacement.id).await? {
                return Ok(false);
            }
            if let Some(rest) = &replacement.rest {
                if version != Some(i64::from(rest.schema_version)) {
                    return Ok(false);
                }
                run::insert(&mut tx, dataset_id, rest, self.now_ms()).await?;
            }
        }
        if deleted > 0 {
            // A number of its own, so that a snapshot comes either before or after it.
            let sequence = match self.orders_log {
                true => log_segment::draw(&mut tx, 1).await?,
                false => self.sequencer.draw(1).unwrap_or_else(|| self.sequencer.next()),
            };
            let query = sqlx::query("UPDATE dataset SET deleted_sequence = $1 WHERE id = $2");
            let query = query.bind(sequence.cast_signed()).bind(dataset_id);
            query.execute(&mut *tx).await.map_err(failed)?;
            history::note(&mut tx, dataset_id, self.now_ms()).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Stores what is still to be waited for once no dataset lists a deleted record; from here the job only goes forward.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the job was cancelled.
    pub async fn set_deleted(
        &self,
        lease: &Lease,
        log_position: u64,
        list: Option<DeletionList>,
        scratch: Vec<String>,
        progress: Progress,
    ) -> Result<DeletionPlan> {
        let mut tx = self.write().await?;
        claim::not_cancelled(&mut tx, lease).await?;
        if let Some(list) = &list {
            run::check_attempt(&mut tx, &list.object).await?;
        }
        unpin(&mut tx, lease).await?;
        forget_rejects(&mut tx, lease).await?;
        forget_analyses(&mut tx, lease).await?;
        let last_job = sqlx::query_scalar("SELECT max(number) FROM job").fetch_one(&mut *tx).await;
        let attempts = sqlx::query_scalar("SELECT id FROM attempt").fetch_all(&mut *tx).await;
        let plan = DeletionPlan {
            log_position,
            last_job: last_job.map_err(failed)?,
            attempts: attempts.map_err(failed)?,
            list,
            scratch,
        };
        let query = sqlx::query(
            "UPDATE job SET plan = $1 WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS' AND plan IS NULL",
        );
        let query = query.bind(text(&plan)?).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        claim::tell(&mut tx, lease, progress).await?;
        tx.commit().await.map_err(failed)?;
        Ok(plan)
    }

    /// Whether an export of the group, or an attempt to write, still has to end that began with the deleted records.
    pub async fn is_deletion_awaited(&self, group: &Arn, plan: &DeletionPlan) -> Result<bool> {
        let exports: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM job JOIN dataset ON dataset.id = job.dataset_id
             WHERE kind = 'EXPORT' AND group_arn = $1 AND number <= $2
             AND job.status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
        )
        .bind(group.as_str())
        .bind(plan.last_job)
        .fetch_one(self.pool())
        .await
        .map_err(failed)?;
        let attempts = self.attempts().await?;
        Ok(exports > 0 || plan.attempts.iter().any(|id| attempts.contains(id)))
    }

    /// Writes down what was found, before anything that it was found with goes.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn set_evidence(&self, lease: &Lease, report: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "UPDATE job SET report = $1 WHERE arn = $2 AND fence = $3 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(report).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        tx.commit().await.map_err(failed)
    }

    /// Ends a job whose records are nowhere any more.
    pub async fn finish_deletion(&self, lease: &Lease, progress: Progress) -> Result<()> {
        let mut tx = self.write().await?;
        claim::tell(&mut tx, lease, progress).await?;
        claim::end(&mut tx, lease, Status::Active.as_str(), None, None, self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }

    /// Whether the runs of a group's datasets have a data deletion job before them: nobody else should merge them.
    pub async fn is_deleting_from(&self, group: &Arn) -> Result<bool> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM job WHERE kind = 'DELETION' AND subject_arn = $1 AND plan IS NULL
             AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
        )
        .bind(group.as_str())
        .fetch_one(self.pool())
        .await
        .map_err(failed)?;
        Ok(count > 0)
    }
}

/// Refuses to delete the group, or a dataset of it, while a data deletion job of the group is open.
///
/// # Errors
/// `InUse`.
pub(crate) async fn not_deleting(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<()> {
    let jobs: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM job WHERE kind = 'DELETION' AND subject_arn = $1
         AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
    )
    .bind(group.as_str())
    .fetch_one(&mut **tx)
    .await
    .map_err(failed)?;
    if jobs == 0 {
        return Ok(());
    }
    Err(in_use(format!(
        "{jobs} data deletion job(s) of the dataset group are pending or in progress: {group}"
    )))
}

async fn hold(tx: &mut Transaction<'static, Any>, lease: &Lease) -> Result<()> {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM job WHERE arn = $1 AND fence = $2 AND status = 'CREATE IN_PROGRESS'",
    );
    let query = query.bind(lease.arn.as_str()).bind(lease.fence);
    let found: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
    claim::held(found.cast_unsigned())
}

async fn unpin(tx: &mut Transaction<'static, Any>, lease: &Lease) -> Result<()> {
    let query = sqlx::query("DELETE FROM run_pin WHERE job_arn = $1").bind(lease.arn.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

// Rows that imports left out can't be told apart by their users: none stay.
async fn forget_rejects(tx: &mut Transaction<'static, Any>, lease: &Lease) -> Result<()> {
    let query = sqlx::query_scalar(
        "SELECT dataset.id FROM dataset JOIN job ON job.subject_arn = group_arn WHERE job.arn = $1",
    );
    let datasets: Vec<i64> = query.bind(lease.arn.as_str()).fetch_all(&mut **tx).await.map_err(failed)?;
    for dataset in datasets {
        reject::forget_rows(tx, dataset).await?;
    }
    Ok(())
}

// What was found in the records may show those that are deleted; an analysis that reads them begins again.
async fn forget_analyses(tx: &mut Transaction<'static, Any>, lease: &Lease) -> Result<()> {
    let query = sqlx::query_scalar("SELECT subject_arn FROM job WHERE arn = $1").bind(lease.arn.as_str());
    let group: String = query.fetch_one(&mut **tx).await.map_err(failed)?;
    analysis::forget(tx, &stored_arn(&group)?).await
}

async fn schema_version(tx: &mut Transaction<'static, Any>, dataset_id: i64) -> Result<Option<i64>> {
    let query = sqlx::query_scalar(
        "SELECT CAST(json_extract(layout, '$.schema_version') AS BIGINT) FROM dataset WHERE id = $1",
    );
    let version: Option<Option<i64>> =
        query.bind(dataset_id).fetch_optional(&mut **tx).await.map_err(failed)?;
    version.ok_or_else(|| Error::internal("a dataset is gone while a data deletion job of its group is open"))
}
