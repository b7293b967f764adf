//! Runs: which immutable objects a dataset's state is made of. Every change replaces inputs by outputs in one transaction.

use model::Origin;
use model::error::Result;
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::dataset::history;
use crate::{Catalog, Transaction, failed, in_use, log_segment, unknown_word};

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, dataset_id INTEGER NOT NULL, origin TEXT NOT NULL,
    schema_version INTEGER NOT NULL, sequence_base INTEGER NOT NULL, row_count INTEGER NOT NULL,
    record_count INTEGER NOT NULL, csv_bytes INTEGER NOT NULL, object TEXT NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL, listed INTEGER NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS run_dataset ON run (dataset_id, listed);
CREATE TABLE IF NOT EXISTS run_pin (
    job_arn TEXT NOT NULL, run_id INTEGER NOT NULL REFERENCES run (id), PRIMARY KEY (job_arn, run_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempt (id TEXT PRIMARY KEY, started_ms INTEGER NOT NULL, node TEXT NOT NULL) STRICT;
";

/// A run that was written but that nobody sees yet.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub origin: Origin,
    pub schema_version: u32,
    /// What is added to the sequence numbers that the run's object holds.
    pub sequence_base: u64,
    /// Distinct records.
    pub rows: u64,
    /// Records as they arrived, duplicates counted.
    pub records: u64,
    /// The size of the records as they arrived, written as CSV, in bytes; compaction conserves it.
    pub csv_bytes: u64,
    pub object: String,
    pub size_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct RunRow {
    pub id: i64,
    pub dataset_id: i64,
    pub run: NewRun,
}

impl Catalog {
    /// The runs that make up a dataset now, oldest first.
    pub async fn runs(&self, dataset_id: i64) -> Result<Vec<RunRow>> {
        let query = sqlx::query("SELECT * FROM run WHERE dataset_id = $1 AND listed = 1 ORDER BY id")
            .bind(dataset_id);
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// All runs of a dataset whose objects are there: those that make it up now, and those that a job still reads.
    pub async fn all_runs(&self, dataset_id: i64) -> Result<Vec<RunRow>> {
        let query = sqlx::query("SELECT * FROM run WHERE dataset_id = $1 ORDER BY id").bind(dataset_id);
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// The runs that a job's snapshot pinned, oldest first.
    pub async fn pinned_runs(&self, job_arn: &model::Arn) -> Result<Vec<RunRow>> {
        let query =
            sqlx::query("SELECT run.* FROM run JOIN run_pin ON run_id = id WHERE job_arn = $1 ORDER BY id");
        query.bind(job_arn.as_str()).fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// Registers an attempt to write objects, before its first write; its id, and a hyphen, begin their names.
    ///
    /// # Errors
    /// `InUse` when the session of this node has ended.
    pub async fn begin_attempt(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let node = self.live_session(&mut tx).await?;
        let query = sqlx::query("INSERT INTO attempt (id, started_ms, node) VALUES ($1, $2, $3)");
        let query = query.bind(id).bind(self.now_ms()).bind(node);
        query.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Ends an attempt: what it wrote and no row names is now rubbish.
    pub async fn end_attempt(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM attempt WHERE id = $1").bind(id).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// The attempts that may still be writing.
    pub async fn attempts(&self) -> Result<Vec<String>> {
        sqlx::query_scalar("SELECT id FROM attempt").fetch_all(self.pool()).await.map_err(failed)
    }

    /// Moves flushed put records into a run: the run is listed and the position moves, or neither.
    ///
    /// Returns false, and changes nothing, when the position is no longer `from` or the dataset is gone.
    ///
    /// # Errors
    /// `InUse` when the attempt that wrote the run has been ended, or some of its records lie in the log once more.
    pub async fn finish_flush(
        &self,
        dataset_id: i64,
        from: u64,
        to: u64,
        run: Option<&NewRun>,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let moved =
            sqlx::query("UPDATE dataset SET flushed_position = $1 WHERE id = $2 AND flushed_position = $3")
                .bind(to.cast_signed())
                .bind(dataset_id)
                .bind(from.cast_signed())
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(run) = run {
            log_segment::check_not_again(&mut tx, dataset_id, to).await?;
            insert(&mut tx, dataset_id, run, self.now_ms()).await?;
            history::note(&mut tx, dataset_id, self.now_ms()).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Replaces runs by their merge. Returns false, and changes nothing, when an input is no longer listed.
    ///
    /// # Errors
    /// `InUse` when the attempt that wrote the merge has been ended.
    pub async fn finish_compaction(&self, dataset_id: i64, inputs: &[i64], output: &NewRun) -> Result<bool> {
        let mut tx = self.write().await?;
        for id in inputs {
            if !retire(&mut tx, dataset_id, *id).await? {
                return Ok(false);
            }
        }
        insert(&mut tx, dataset_id, output, self.now_ms()).await?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Runs that are in no list and that no job pins: their objects can go.
    pub async fn retired_runs(&self) -> Result<Vec<RunRow>> {
        let query =
            sqlx::query("SELECT * FROM run WHERE listed = 0 AND id NOT IN (SELECT run_id FROM run_pin)");
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }

    /// Forgets retired runs whose objects are gone.
    pub async fn forget_runs(&self, ids: &[i64]) -> Result<()> {
        let mut tx = self.write().await?;
        for id in ids {
            let query = sqlx::query("DELETE FROM run WHERE id = $1 AND listed = 0").bind(id);
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    /// The names of all objects that a row names, listed or pinned.
    pub async fn named_objects(&self) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            "SELECT object FROM run UNION ALL SELECT object FROM reject_file
             UNION ALL SELECT json_extract(plan, '$.list.object') FROM job WHERE kind = 'DELETION'
             AND json_extract(plan, '$.list.object') IS NOT NULL",
        );
        query.fetch_all(self.pool()).await.map_err(failed)
    }
}

/// Refuses an object whose attempt is not on record any more: it may have been cleared away.
///
/// # Errors
/// `InUse`.
pub(crate) async fn check_attempt(tx: &mut Transaction<'static, Any>, object: &str) -> Result<()> {
    let attempt = object.split_once('-').map_or(object, |(attempt, _)| attempt);
    let query = sqlx::query_scalar("SELECT count(*) FROM attempt WHERE id = $1").bind(attempt);
    let found: i64 = query.fetch_one(&mut **tx).await.map_err(failed)?;
    if found == 0 { Err(in_use("the attempt that wrote an object has been ended")) } else { Ok(()) }
}

/// Takes a run off the list; false when it was not on it.
pub(crate) async fn retire(tx: &mut Transaction<'static, Any>, dataset_id: i64, id: i64) -> Result<bool> {
    let query = sqlx::query("UPDATE run SET listed = 0 WHERE id = $1 AND dataset_id = $2 AND listed = 1");
    let done = query.bind(id).bind(dataset_id).execute(&mut **tx).await.map_err(failed)?;
    Ok(done.rows_affected() > 0)
}

/// Lists a run.
///
/// # Errors
/// `InUse` when the attempt that wrote it has been ended.
pub(crate) async fn insert(
    tx: &mut Transaction<'static, Any>,
    dataset_id: i64,
    run: &NewRun,
    now_ms: i64,
) -> Result<()> {
    check_attempt(tx, &run.object).await?;
    sqlx::query(
        "INSERT INTO run (dataset_id, origin, schema_version, sequence_base, row_count, record_count, csv_bytes, object,
         size_bytes, listed, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10)",
    )
    .bind(dataset_id)
    .bind(run.origin.as_str())
    .bind(i64::from(run.schema_version))
    .bind(run.sequence_base.cast_signed())
    .bind(run.rows.cast_signed())
    .bind(run.records.cast_signed())
    .bind(run.csv_bytes.cast_signed())
    .bind(&run.object)
    .bind(run.size_bytes.cast_signed())
    .bind(now_ms)
    .execute(&mut **tx)
    .await
    .map_err(failed)
    .map(drop)
}

pub(crate) fn read(row: &AnyRow) -> Result<RunRow> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    Ok(RunRow {
        id: row.try_get("id").map_err(failed)?,
        dataset_id: row.try_get("dataset_id").map_err(failed)?,
        run: NewRun {
            origin: Origin::parse(row.try_get("origin").map_err(failed)?)
                .ok_or_else(|| unknown_word("origin"))?,
            schema_version: u32::try_from(number("schema_version")?)
                .map_err(|_| unknown_word("schema_version"))?,
            sequence_base: number("sequence_base")?,
            rows: number("row_count")?,
            records: number("record_count")?,
            csv_bytes: number("csv_bytes")?,
            object: row.try_get("object").map_err(failed)?,
            size_bytes: number("size_bytes")?,
        },
    })
}
