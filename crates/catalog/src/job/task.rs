//! The tasks that a job was cut into: who does which of them, and how far it is.

use model::Arn;
use model::error::Result;
use sqlx::{Any, Row};

use super::{Lease, claim};
use crate::{Catalog, Transaction, failed};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS job_task (
    job_arn TEXT NOT NULL, number INTEGER NOT NULL, execution TEXT NOT NULL, executor TEXT NOT NULL,
    state TEXT NOT NULL, rows_done INTEGER NOT NULL, bytes_done INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    PRIMARY KEY (job_arn, number)
) STRICT, WITHOUT ROWID;
";

/// More tasks of a job than this are counted, but not shown.
const SHOWN_MAX: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Running,
    Done,
    Failed,
}

impl TaskState {
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::Running => "RUNNING",
            TaskState::Done => "DONE",
            TaskState::Failed => "FAILED",
        }
    }
}

/// One time that a task is done: whoever began it last is the one whose word counts.
#[derive(Clone, Debug)]
pub struct TaskRow {
    pub number: i64,
    pub execution: String,
    /// The process that does it.
    pub executor: String,
    pub rows_done: u64,
    pub bytes_done: u64,
}

/// How far all tasks of a job are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TasksDone {
    pub rows: u64,
    pub bytes: u64,
    pub tasks: u64,
}

impl Catalog {
    /// Whether a lease is held, and nobody wished that its job end.
    pub async fn is_held(&self, lease: &Lease) -> Result<bool> {
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM job
             WHERE arn = $1 AND fence = $2 AND status = 'CREATE IN_PROGRESS' AND cancelled_by IS NULL",
        );
        let query = query.bind(lease.arn.as_str()).bind(lease.fence);
        let held: i64 = query.fetch_one(self.pool()).await.map_err(failed)?;
        Ok(held > 0)
    }

    /// Forgets the tasks of earlier attempts.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn begin_tasks(&self, lease: &Lease) -> Result<()> {
        let mut tx = self.write().await?;
        held(&mut tx, lease).await?;
        let query = sqlx::query("DELETE FROM job_task WHERE job_arn = $1").bind(lease.arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Writes down that a task was begun; whoever does the same one stops.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn begin_task(&self, lease: &Lease, task: &TaskRow) -> Result<()> {
        let mut tx = self.write().await?;
        held(&mut tx, lease).await?;
        sqlx::query(
            "INSERT INTO job_task (job_arn, number, execution, executor, state, rows_done, bytes_done, updated_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (job_arn, number) DO UPDATE SET execution = excluded.execution,
             executor = excluded.executor, state = excluded.state, rows_done = excluded.rows_done,
             bytes_done = excluded.bytes_done, updated_ms = excluded.updated_ms",
        )
        .bind(lease.arn.as_str())
        .bind(task.number)
        .bind(&task.execution)
        .bind(&task.executor)
        .bind(TaskState::Running.as_str())
        .bind(task.rows_done.cast_signed())
        .bind(task.bytes_done.cast_signed())
        .bind(self.now_ms())
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Tells how far a task is; false when somebody else does it now, or its job's lease was lost.
    pub async fn tell_task(&self, lease: &Lease, task: &TaskRow, state: TaskState) -> Result<bool> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE job_task SET state = $1, rows_done = $2, bytes_done = $3, updated_ms = $4
             WHERE job_arn = $5 AND number = $6 AND execution = $7 AND EXISTS (
                 SELECT 1 FROM job WHERE arn = $5 AND fence = $8 AND status = 'CREATE IN_PROGRESS')",
        )
        .bind(state.as_str())
        .bind(task.rows_done.cast_signed())
        .bind(task.bytes_done.cast_signed())
        .bind(self.now_ms())
        .bind(lease.arn.as_str())
        .bind(task.number)
        .bind(&task.execution)
        .bind(lease.fence)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }

    /// How far the tasks of a job are.
    pub async fn tasks_done(&self, job: &Arn) -> Result<TasksDone> {
        let query = sqlx::query(
            "SELECT CAST(coalesce(sum(rows_done), 0) AS BIGINT), CAST(coalesce(sum(bytes_done), 0) AS BIGINT),
             CAST(coalesce(sum(CASE state WHEN 'DONE' THEN 1 ELSE 0 END), 0) AS BIGINT)
             FROM job_task WHERE job_arn = $1",
        );
        let row = query.bind(job.as_str()).fetch_one(self.pool()).await.map_err(failed)?;
        let number = |n: usize| row.try_get::<i64, _>(n).map(i64::cast_unsigned).map_err(failed);
        Ok(TasksDone { rows: number(0)?, bytes: number(1)?, tasks: number(2)? })
    }

    /// The tasks of a job in their order, up to a thousand, each with its state.
    pub async fn job_tasks(&self, job: &Arn) -> Result<Vec<(TaskRow, String)>> {
        let query = sqlx::query(
            "SELECT number, execution, executor, rows_done, bytes_done, state FROM job_task
             WHERE job_arn = $1 ORDER BY number LIMIT $2",
        );
        let query = query.bind(job.as_str()).bind(SHOWN_MAX);
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        let read = |row: &_| {
            let number = |n: usize| Row::try_get::<i64, _>(row, n).map_err(failed);
            let text = |n: usize| Row::try_get::<String, _>(row, n).map_err(failed);
            let (rows_done, bytes_done) = (number(3)?.cast_unsigned(), number(4)?.cast_unsigned());
            let task = TaskRow {
                number: number(0)?,
                execution: text(1)?,
                executor: text(2)?,
                rows_done,
                bytes_done,
            };
            Ok((task, text(5)?))
        };
        rows.iter().map(read).collect()
    }

    /// Counts one attempt more: some of a job's tasks have to be done again. Gives how many there were.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn count_attempt(&self, lease: &Lease) -> Result<i64> {
        let mut tx = self.write().await?;
        held(&mut tx, lease).await?;
        let query =
            sqlx::query_scalar("UPDATE job SET attempts = attempts + 1 WHERE arn = $1 RETURNING attempts");
        let attempts = query.bind(lease.arn.as_str()).fetch_one(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(attempts)
    }

    /// Takes a job's right to work from its tasks: what they still do counts for nothing. Gives the lease of whoever
    /// holds the job.
    ///
    /// # Errors
    /// `InUse` when the lease was lost.
    pub async fn fence_off(&self, lease: &Lease) -> Result<Lease> {
        let mut tx = self.write().await?;
        held(&mut tx, lease).await?;
        let query = sqlx::query_scalar("UPDATE job SET fence = fence + 1 WHERE arn = $1 RETURNING fence");
        let fence = query.bind(lease.arn.as_str()).fetch_one(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(Lease { arn: lease.arn.clone(), fence })
    }
}

async fn held(tx: &mut Transaction<'static, Any>, lease: &Lease) -> Result<()> {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM job WHERE arn = $1 AND fence = $2 AND status = 'CREATE IN_PROGRESS'",
    );
    let query = query.bind(lease.arn.as_str()).bind(lease.fence);
    let rows: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
    claim::held(rows.cast_unsigned())
}
