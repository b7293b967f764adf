//! Updates of datasets: noted beside the dataset while they are open, ended in the transaction that replaces its schema.

use model::error::{Error, Result};
use model::status::{Status, UpdateStatus};
use model::{Arn, Layout};
use serde::{Deserialize, Serialize};
use sqlx::Any;

use super::{JobKind, Lease, NewJob, claim, insert, text};
use crate::change::{self, Changed};
use crate::{Catalog, DatasetRow, Transaction, failed, in_use, not_found};

/// What an update was asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateRequest {
    /// The schema that takes the old one's place.
    pub schema_arn: Arn,
}

/// The latest update of a dataset, as the dataset's row notes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetUpdate {
    pub schema_arn: Arn,
    pub status: UpdateStatus,
    pub failure_reason: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Catalog {
    /// Creates an update, which keeps imports, exports and puts away from the dataset until it has ended.
    ///
    /// # Errors
    /// `NotFound` when dataset or schema are gone; `InUse` when the dataset is not ACTIVE, is being updated, or has an
    /// import under way: its rows were checked by the old schema.
    pub async fn create_dataset_update(&self, new: &NewJob<UpdateRequest>) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let dataset = super::dataset_of(&mut tx, &new.subject_arn).await?;
        check_schema(&mut tx, &new.request.schema_arn).await?;
        check_imports(&mut tx, &dataset).await?;
        let update = DatasetUpdate {
            schema_arn: new.request.schema_arn.clone(),
            status: UpdateStatus::Pending,
            failure_reason: None,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let query = sqlx::query("UPDATE dataset SET latest_update = $1 WHERE id = $2");
        query.bind(text(&update)?).bind(dataset.id).execute(&mut *tx).await.map_err(failed)?;
        insert(&mut tx, JobKind::Update, new, dataset.id, None, now_ms).await?;
        self.commit_change(tx, Changed::Dataset).await
    }

    /// Notes beside the dataset that work on its update has begun.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn begin_dataset_update(&self, lease: &Lease) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query_scalar(
            "SELECT dataset_id FROM job WHERE arn = $1 AND fence = $2 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(lease.arn.as_str()).bind(lease.fence);
        let dataset: Option<i64> = query.fetch_optional(&mut *tx).await.map_err(failed)?;
        claim::held(u64::from(dataset.is_some()))?;
        note(&mut tx, dataset, UpdateStatus::InProgress, None, self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }

    /// Replaces the dataset's schema and ends the update, in one transaction.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn finish_dataset_update(
        &self,
        lease: &Lease,
        dataset_id: i64,
        schema_arn: &Arn,
        layout: &Layout,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        claim::end(&mut tx, lease, Status::Active.as_str(), None, None, now_ms).await?;
        sqlx::query(
            "UPDATE dataset SET schema_arn = $1, layout = $2, updated_ms = max(updated_ms, $3) WHERE id = $4",
        )
        .bind(schema_arn.as_str())
        .bind(text(layout)?)
        .bind(now_ms)
        .bind(dataset_id)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        note(&mut tx, Some(dataset_id), UpdateStatus::Active, None, now_ms).await?;
        tx.commit().await.map_err(failed)
    }
}

async fn check_schema(tx: &mut Transaction<'static, Any>, arn: &Arn) -> Result<()> {
    let query = sqlx::query_scalar("SELECT 1 FROM schema WHERE arn = $1").bind(arn.as_str());
    let schema: Option<i64> = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    schema.map(drop).ok_or_else(|| not_found("schema", arn))
}

async fn check_imports(tx: &mut Transaction<'static, Any>, dataset: &DatasetRow) -> Result<()> {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM job WHERE dataset_id = $1 AND kind = 'IMPORT'
         AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
    );
    let imports: i64 = query.bind(dataset.id).fetch_one(&mut **tx).await.map_err(failed)?;
    if imports > 0 {
        let arn = &dataset.arn;
        return Err(in_use(format!(
            "{imports} import job(s) of the dataset are pending or in progress: {arn}"
        )));
    }
    Ok(())
}

/// Notes beside the dataset that its update has failed; a job of another kind has no such note.
pub(super) async fn note_failure(
    tx: &mut Transaction<'static, Any>,
    job: &Arn,
    reason: &str,
    now_ms: i64,
) -> Result<()> {
    let query = sqlx::query_scalar("SELECT dataset_id FROM job WHERE arn = $1 AND kind = 'UPDATE'");
    let dataset: Option<i64> = query.bind(job.as_str()).fetch_optional(&mut **tx).await.map_err(failed)?;
    note(tx, dataset, UpdateStatus::Failed, Some(reason), now_ms).await
}

async fn note(
    tx: &mut Transaction<'static, Any>,
    dataset: Option<i64>,
    status: UpdateStatus,
    reason: Option<&str>,
    now_ms: i64,
) -> Result<()> {
    let query = sqlx::query_scalar("SELECT latest_update FROM dataset WHERE id = $1").bind(dataset);
    let stored: Option<Option<String>> = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    let Some(update) = read_note(stored.flatten().as_deref())? else { return Ok(()) };
    let failure_reason = reason.map(str::to_owned).or(update.failure_reason);
    let update = DatasetUpdate { status, failure_reason, updated_ms: now_ms, ..update };
    let query = sqlx::query("UPDATE dataset SET latest_update = $1 WHERE id = $2");
    query.bind(text(&update)?).bind(dataset).execute(&mut **tx).await.map_err(failed)?;
    change::note(tx, Changed::Dataset).await
}

/// Reads the note in a dataset's row.
pub(crate) fn read_note(text: Option<&str>) -> Result<Option<DatasetUpdate>> {
    let damaged = |e| Error::corrupt("the note of a dataset's update can't be read").caused_by(e);
    text.map(serde_json::from_str).transpose().map_err(damaged)
}
