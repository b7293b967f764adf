//! Rejects: what is kept of the rows that an import job found wrong, beside the job.

use model::Arn;
use model::error::Result;
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use super::{Lease, claim};
use crate::{Catalog, Transaction, failed, run, stored_arn};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS reject_report (
    job_arn TEXT PRIMARY KEY, dataset_id INTEGER NOT NULL, row_count INTEGER NOT NULL, told_count INTEGER NOT NULL,
    is_complete INTEGER NOT NULL, report BLOB, created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reject_report_dataset ON reject_report (dataset_id);
CREATE TABLE IF NOT EXISTS reject_file (
    job_arn TEXT NOT NULL, part INTEGER NOT NULL, dataset_id INTEGER NOT NULL, object TEXT NOT NULL UNIQUE,
    dialect TEXT NOT NULL, row_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL, PRIMARY KEY (job_arn, part)
) STRICT, WITHOUT ROWID;
";

/// Of how many imports of a dataset the rows are kept that they left out.
const KEPT: i64 = 20;

/// What an import found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    /// How many rows; of a job that failed, how many the report tells.
    pub count: u64,
    /// How many the report tells.
    pub told: u64,
    /// Whether the report tells all of them.
    pub is_complete: bool,
    /// The report, sealed as records of the dataset are; `None` once a data deletion job has taken it away.
    pub report: Option<Vec<u8>>,
    /// The rows that were left out; none where the job failed, and none any more of older jobs.
    pub files: Vec<RejectFile>,
}

/// An object with rows that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectFile {
    pub object: String,
    /// The word for the CSV dialect of the files that they came from.
    pub dialect: String,
    pub rows: u64,
    pub size_bytes: u64,
}

impl Catalog {
    /// Keeps what a job that is about to fail found wrong.
    ///
    /// # Errors
    /// `InUse` when the lease was lost, or the attempt that wrote the rows that were left out has been ended.
    pub async fn keep_rejects(&self, lease: &Lease, dataset_id: i64, rejects: &Rejects) -> Result<()> {
        let mut tx = self.write().await?;
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM job WHERE arn = $1 AND fence = $2 AND status = 'CREATE IN_PROGRESS'",
        );
        let query = query.bind(lease.arn.as_str()).bind(lease.fence);
        let found: i64 = query.fetch_one(&mut *tx).await.map_err(failed)?;
        claim::held(found.cast_unsigned())?;
        keep(&mut tx, &lease.arn, dataset_id, rejects, self.now_ms()).await?;
        tx.commit().await.map_err(failed)
    }

    /// What a job found wrong; `None` when that is nothing.
    pub async fn rejects(&self, job: &Arn) -> Result<Option<Rejects>> {
        let query = sqlx::query("SELECT * FROM reject_report WHERE job_arn = $1").bind(job.as_str());
        let Some(row) = query.fetch_optional(self.pool()).await.map_err(failed)? else { return Ok(None) };
        let query = sqlx::query("SELECT * FROM reject_file WHERE job_arn = $1 ORDER BY part");
        let files = query.bind(job.as_str()).fetch_all(self.pool()).await.map_err(failed)?;
        let files = files.iter().map(read_file).collect::<Result<_>>()?;
        Ok(Some(Rejects { files, ..read(&row)? }))
    }

    /// How many rows each of these jobs found wrong, and how many of those its report tells; nothing of jobs that
    /// found none.
    pub async fn reject_counts(&self, jobs: &[Arn]) -> Result<Vec<(Arn, Rejects)>> {
        let arns = serde_json::to_string(&jobs.iter().map(Arn::as_str).collect::<Vec<_>>())
            .map_err(|e| model::Error::internal("write a list of ARNs").caused_by(e))?;
        let rows = sqlx::query(
            "SELECT job_arn, row_count, told_count, is_complete, NULL AS report FROM reject_report
             WHERE job_arn IN (SELECT value FROM json_each($1))",
        );
        let rows = rows.bind(arns).fetch_all(self.pool()).await.map_err(failed)?;
        let counted = |row: &AnyRow| Ok((stored_arn(row.try_get("job_arn").map_err(failed)?)?, read(row)?));
        rows.iter().map(counted).collect()
    }
}

/// Keeps what a job found wrong, in the place of what an earlier attempt of it found.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Any>,
    job: &Arn,
    dataset_id: i64,
    rejects: &Rejects,
    now_ms: i64,
) -> Result<()> {
    for table in ["reject_report", "reject_file"] {
        let sql = format!("DELETE FROM {table} WHERE job_arn = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(job.as_str());
        query.execute(&mut **tx).await.map_err(failed)?;
    }
    if rejects.count == 0 {
        return Ok(());
    }
    sqlx::query("INSERT INTO reject_report VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(job.as_str())
        .bind(dataset_id)
        .bind(rejects.count.cast_signed())
        .bind(rejects.told.cast_signed())
        .bind(i64::from(rejects.is_complete))
        .bind(&rejects.report)
        .bind(now_ms)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    for (part, file) in (0_i64..).zip(&rejects.files) {
        run::check_attempt(tx, &file.object).await?;
        sqlx::query("INSERT INTO reject_file VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(job.as_str())
            .bind(part)
            .bind(dataset_id)
            .bind(&file.object)
            .bind(&file.dialect)
            .bind(file.rows.cast_signed())
            .bind(file.size_bytes.cast_signed())
            .execute(&mut **tx)
            .await
            .map_err(failed)?;
    }
    forget_older(tx, dataset_id).await
}

// Jobs stay until they are pruned; what they left out would fill any disk.
async fn forget_older(tx: &mut Transaction<'static, Any>, dataset_id: i64) -> Result<()> {
    let query = sqlx::query(
        "DELETE FROM reject_file WHERE dataset_id = $1 AND job_arn NOT IN (
             SELECT arn FROM job WHERE arn IN (SELECT job_arn FROM reject_file WHERE dataset_id = $1)
             ORDER BY number DESC LIMIT $2)",
    );
    query.bind(dataset_id).bind(KEPT).execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Takes away the rows that imports of a dataset left out, and what their reports quote: users who are deleted may
/// be among them. Counts stay.
pub(crate) async fn forget_rows(tx: &mut Transaction<'static, Any>, dataset_id: i64) -> Result<()> {
    let query = sqlx::query("DELETE FROM reject_file WHERE dataset_id = $1").bind(dataset_id);
    query.execute(&mut **tx).await.map_err(failed)?;
    let query = sqlx::query("UPDATE reject_report SET report = NULL WHERE dataset_id = $1").bind(dataset_id);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

fn read(row: &AnyRow) -> Result<Rejects> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    Ok(Rejects {
        count: number("row_count")?,
        told: number("told_count")?,
        is_complete: row.try_get::<i64, _>("is_complete").map_err(failed)? != 0,
        report: row.try_get("report").map_err(failed)?,
        files: Vec::new(),
    })
}

fn read_file(row: &AnyRow) -> Result<RejectFile> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    Ok(RejectFile {
        object: row.try_get("object").map_err(failed)?,
        dialect: row.try_get("dialect").map_err(failed)?,
        rows: number("row_count")?,
        size_bytes: number("size_bytes")?,
    })
}
