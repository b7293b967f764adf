//! Cancelling: somebody wishes that a job end before its work is done. A job that waits ends at once, one that runs as
//! soon as its worker has let go; none ends half done.

use model::Arn;
use model::error::Result;
use model::status::Status;
use sqlx::Any;

use super::{JobKind, JobRow, read};
use crate::{Catalog, Transaction, failed, in_use, not_found};

/// A worker that lives renews its lease within this time; of one that does not, another takes over.
const SILENCE_MS: i64 = 2_000;

impl Catalog {
    /// Ends a job, or wishes that it end; from here it can't be done any more.
    ///
    /// # Errors
    /// `NotFound`; `InUse` when it has ended, or only goes forward.
    pub async fn cancel_job(&self, arn: &Arn, by: &Arn) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        let query = sqlx::query("SELECT * FROM job WHERE arn = $1 AND kind <> $2");
        let query = query.bind(arn.as_str()).bind(JobKind::Update.as_str());
        let row = query.fetch_optional(&mut *tx).await.map_err(failed)?;
        let job = read(&row.ok_or_else(|| not_found("job", arn))?)?;
        check(&job)?;
        if job.status == Status::CreatePending {
            end(&mut tx, arn, by, now_ms).await?;
        } else {
            let shared_now_ms = self.shared_now_ms(&mut tx).await?;
            wish(&mut tx, arn, by, shared_now_ms).await?;
        }
        tx.commit().await.map_err(failed)
    }

    /// Who wished that a job end.
    pub async fn cancelled_by(&self, arn: &Arn) -> Result<Option<String>> {
        let query = sqlx::query_scalar("SELECT cancelled_by FROM job WHERE arn = $1").bind(arn.as_str());
        let by: Option<Option<String>> = query.fetch_optional(self.pool()).await.map_err(failed)?;
        Ok(by.flatten())
    }
}

/// What the description of a cancelled job says.
pub fn cancellation(by: &str) -> String {
    format!("cancelled by {by}")
}

fn check(job: &JobRow) -> Result<()> {
    let arn = &job.arn;
    if job.status.is_terminal() {
        return Err(in_use(format!("The job has ended and can't be cancelled any more: {arn}")));
    }
    let is_forward = job.plan.is_some() || job.records_deleted > 0;
    match job.kind {
        JobKind::Deletion if is_forward => {
            Err(in_use(format!("The job has deleted records already, so that it only goes forward: {arn}")))
        }
        _ if is_forward => Err(in_use(format!(
            "The job is making its files visible already, so that it only goes forward: {arn}"
        ))),
        _ => Ok(()),
    }
}

// Nobody has worked on it: nothing is left of it anywhere.
async fn end(tx: &mut Transaction<'static, Any>, arn: &Arn, by: &Arn, now_ms: i64) -> Result<()> {
    sqlx::query(
        "UPDATE job SET status = 'CREATE FAILED', failure_reason = $1, cancelled_by = $2,
         updated_ms = max(updated_ms, $3) WHERE arn = $4",
    )
    .bind(cancellation(by.as_str()))
    .bind(by.as_str())
    .bind(now_ms)
    .bind(arn.as_str())
    .execute(&mut **tx)
    .await
    .map_err(failed)?;
    let query = sqlx::query("DELETE FROM run_pin WHERE job_arn = $1").bind(arn.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

async fn wish(tx: &mut Transaction<'static, Any>, arn: &Arn, by: &Arn, now_ms: i64) -> Result<()> {
    let query = sqlx::query(
        "UPDATE job SET cancelled_by = coalesce(cancelled_by, $1), lease_until_ms = min(lease_until_ms, $2)
         WHERE arn = $3",
    );
    let query = query.bind(by.as_str()).bind(now_ms + SILENCE_MS).bind(arn.as_str());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}
