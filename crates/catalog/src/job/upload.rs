//! The uploads that a job has begun on a store: written down, so that a later attempt can give up what it left open.

use model::Arn;
use model::error::Result;
use sqlx::Row;

use super::{Lease, claim};
use crate::{Catalog, failed};

impl Catalog {
    /// Writes down an upload that the job has begun.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the job is completing already: nobody would give the upload up.
    pub async fn record_upload(&self, lease: &Lease, key: &str, upload_id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query(
            "INSERT INTO upload (job_arn, object_key, upload_id) SELECT arn, $1, $2 FROM job
             WHERE arn = $3 AND fence = $4 AND status = 'CREATE IN_PROGRESS' AND plan IS NULL",
        );
        let query = query.bind(key).bind(upload_id).bind(lease.arn.as_str()).bind(lease.fence);
        claim::held(query.execute(&mut *tx).await.map_err(failed)?.rows_affected())?;
        tx.commit().await.map_err(failed)
    }

    /// The uploads that a job has begun: key and upload id.
    pub async fn uploads(&self, job: &Arn) -> Result<Vec<(String, String)>> {
        let query =
            sqlx::query("SELECT object_key, upload_id FROM upload WHERE job_arn = $1").bind(job.as_str());
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(|r| Ok((r.try_get(0).map_err(failed)?, r.try_get(1).map_err(failed)?))).collect()
    }

    /// Forgets an upload of a job: it was given up.
    pub async fn forget_upload(&self, job: &Arn, upload_id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query("DELETE FROM upload WHERE job_arn = $1 AND upload_id = $2");
        let query = query.bind(job.as_str()).bind(upload_id);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}
