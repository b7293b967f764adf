//! Pruning: rows of jobs that ended long ago go, with all that stands beside them. Their names stay taken unless they are
//! freed.

use model::Arn;
use model::error::{Error, Result};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row};

use super::JobKind;
use crate::{Catalog, Transaction, failed, stored_arn, unknown_word};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS pruned_job (
    arn TEXT PRIMARY KEY, subject_arn TEXT NOT NULL, ended_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Which jobs may go: those that ended before a time, of one group or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneFilter {
    pub ended_before_ms: i64,
    pub group: Option<Arn>,
}

/// A job that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableJob {
    /// Later jobs have larger numbers.
    pub number: i64,
    pub arn: Arn,
    pub kind: JobKind,
    pub ended_ms: i64,
}

/// What stands, or stood, beside jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    pub events: u64,
    pub reject_reports: u64,
    pub reject_files: u64,
    pub analysis_results: u64,
    pub tags: u64,
}

// Jobs that have ended and that nothing else asks for: a pin or an upload of theirs is somebody's to let go first, the files
// of a schedule's export are found by its row until they are deleted, and the last import that filled a dataset says that it was filled.
const PRUNABLE: &str = "FROM job WHERE number > $1 AND updated_ms < $2
    AND status NOT IN ('CREATE PENDING', 'CREATE IN_PROGRESS')
    AND ($3 = '' OR subject_arn = $3 OR substr(subject_arn, 1, length($4)) = $4)
    AND NOT EXISTS (SELECT 1 FROM run_pin WHERE run_pin.job_arn = job.arn)
    AND NOT EXISTS (SELECT 1 FROM upload WHERE upload.job_arn = job.arn)
    AND NOT EXISTS (
        SELECT 1 FROM scheduled_export JOIN export_schedule ON export_schedule.name = scheduled_export.schedule
        WHERE scheduled_export.job_arn = job.arn AND is_kept = 1 AND job.status = 'ACTIVE'
        AND coalesce(json_extract(spec, '$.keep'), '') <> 'All')
    AND number NOT IN (
        SELECT max(filled.number) FROM job AS filled JOIN dataset ON dataset.id = filled.dataset_id
        WHERE filled.kind = 'IMPORT' AND filled.status = 'ACTIVE'
        AND coalesce(CAST(json_extract(filled.request, '$.validate_only') AS TEXT), 'false') NOT IN ('1', 'true')
        GROUP BY filled.dataset_id)";

/// Rows beside jobs, and the condition on which they go with the jobs whose ARNs are the list in `$1`. An event that waits
/// for the webhook is sent first.
const BESIDE: [(&str, &str); 8] = [
    ("job_event", "job_arn IN (SELECT value FROM json_each($1)) AND coalesce(delivery, '') <> 'WAITING'"),
    ("reject_report", "job_arn IN (SELECT value FROM json_each($1))"),
    ("reject_file", "job_arn IN (SELECT value FROM json_each($1))"),
    (
        "analysis",
        "group_arn IN (SELECT subject_arn FROM job WHERE kind = 'ANALYSIS' AND arn IN (SELECT value FROM json_each($1))
         AND job.updated_ms >= analysis.finished_ms)",
    ),
    ("tag", "resource_arn IN (SELECT value FROM json_each($1))"),
    ("job_task", "job_arn IN (SELECT value FROM json_each($1))"),
    ("metric_report", "job_arn IN (SELECT value FROM json_each($1))"),
    ("scheduled_export", "job_arn IN (SELECT value FROM json_each($1))"),
];

impl Catalog {
    /// The next jobs behind a number that may go, in the order in which they were created.
    pub async fn prunable_jobs(
        &self,
        filter: &PruneFilter,
        after: i64,
        most: u32,
    ) -> Result<Vec<PrunableJob>> {
        let sql = format!("SELECT number, arn, kind, updated_ms {PRUNABLE} ORDER BY number LIMIT $5");
        let (group, datasets) = of_group(filter);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(filter.ended_before_ms);
        let query = query.bind(group).bind(datasets).bind(i64::from(most));
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// What stands beside jobs.
    pub async fn beside_jobs(&self, jobs: &[PrunableJob]) -> Result<Beside> {
        let arns = list(jobs)?;
        let mut counts = [0; BESIDE.len()];
        for (count, (table, condition)) in counts.iter_mut().zip(BESIDE) {
            let sql = format!("SELECT count(*) FROM {table} WHERE {condition}");
            let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(&arns);
            let found: i64 = query.fetch_one(self.pool()).await.map_err(failed)?;
            *count = found.cast_unsigned();
        }
        Ok(beside(counts))
    }

    /// Removes jobs that may go, in one transaction; tells what went beside them.
    pub async fn prune_jobs(&self, jobs: &[PrunableJob], frees_names: bool) -> Result<Beside> {
        let arns = list(jobs)?;
        let mut counts = [0; BESIDE.len()];
        let mut tx = self.write().await?;
        for (count, (table, condition)) in counts.iter_mut().zip(BESIDE) {
            *count = execute(&mut tx, format!("DELETE FROM {table} WHERE {condition}"), &arns).await?;
        }
        if !frees_names {
            let reserve = "INSERT INTO pruned_job SELECT arn, subject_arn, updated_ms FROM job
                 WHERE kind IN ('IMPORT', 'EXPORT', 'DELETION') AND arn IN (SELECT value FROM json_each($1))
                 ON CONFLICT DO NOTHING";
            execute(&mut tx, reserve.to_owned(), &arns).await?;
        }
        let remove = "DELETE FROM job WHERE arn IN (SELECT value FROM json_each($1))
             AND status NOT IN ('CREATE PENDING', 'CREATE IN_PROGRESS')";
        execute(&mut tx, remove.to_owned(), &arns).await?;
        tx.commit().await.map_err(failed)?;
        Ok(beside(counts))
    }

    /// How many names of jobs stay taken that were removed before.
    pub async fn taken_names(&self, filter: &PruneFilter) -> Result<u64> {
        let query = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) {TAKEN}")));
        let (group, datasets) = of_group(filter);
        let query = query.bind(filter.ended_before_ms).bind(group).bind(datasets);
        let found: i64 = query.fetch_one(self.pool()).await.map_err(failed)?;
        Ok(found.cast_unsigned())
    }

    /// Frees the names of jobs that were removed before; tells how many.
    pub async fn free_names(&self, filter: &PruneFilter) -> Result<u64> {
        let mut tx = self.write().await?;
        let (group, datasets) = of_group(filter);
        let query = sqlx::query(AssertSqlSafe(format!("DELETE {TAKEN}")));
        let query = query.bind(filter.ended_before_ms).bind(group).bind(datasets);
        let freed = query.execute(&mut *tx).await.map_err(failed)?.rows_affected();
        tx.commit().await.map_err(failed)?;
        Ok(freed)
    }
}

const TAKEN: &str = "FROM pruned_job WHERE ended_ms < $1
    AND ($2 = '' OR subject_arn = $2 OR substr(subject_arn, 1, length($3)) = $3)";

/// Whether a job that was removed keeps a name.
pub(super) async fn is_taken(tx: &mut Transaction<'static, Any>, arn: &Arn) -> Result<bool> {
    let query = sqlx::query_scalar("SELECT count(*) FROM pruned_job WHERE arn = $1").bind(arn.as_str());
    let found: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
    Ok(found > 0)
}

// The group's ARN and how those of its datasets begin, also of datasets that are gone; nothing where all jobs are meant.
fn of_group(filter: &PruneFilter) -> (String, String) {
    let group = filter.group.as_ref().map(|arn| arn.as_str().to_owned()).unwrap_or_default();
    let datasets = match group.split_once(":dataset-group/") {
        Some((realm, name)) => format!("{realm}:dataset/{name}/"),
        None => group.clone(),
    };
    (group, datasets)
}

fn list(jobs: &[PrunableJob]) -> Result<String> {
    let arns: Vec<&str> = jobs.iter().map(|job| job.arn.as_str()).collect();
    serde_json::to_string(&arns).map_err(|e| Error::internal("write a list of ARNs").caused_by(e))
}

async fn execute(tx: &mut Transaction<'static, Any>, sql: String, arns: &str) -> Result<u64> {
    let query = sqlx::query(AssertSqlSafe(sql)).bind(arns);
    Ok(query.execute(&mut **tx).await.map_err(failed)?.rows_affected())
}

fn beside([events, reject_reports, reject_files, analysis_results, tags, ..]: [u64; 8]) -> Beside {
    Beside { events, reject_reports, reject_files, analysis_results, tags }
}

fn read(row: &AnyRow) -> Result<PrunableJob> {
    Ok(PrunableJob {
        number: row.try_get("number").map_err(failed)?,
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        kind: JobKind::parse(row.try_get("kind").map_err(failed)?).ok_or_else(|| unknown_word("kind"))?,
        ended_ms: row.try_get("updated_ms").map_err(failed)?,
    })
}
