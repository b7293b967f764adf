//! The format of the tables: made new, or brought forward from an older version; a newer one is refused.

use model::error::{Error, Result};
use sqlx::SqlitePool;

use crate::{
    access_key, dataset, dataset_group, event_tracker, failed, grant, job, key, metric_attribution, policy,
    role, run, schema, sequencer, tag, user, user_policy,
};

/// The tables of this version; those that are missing are made.
const TABLES: [&str; 17] = [
    sequencer::TABLES,
    schema::TABLES,
    dataset_group::TABLES,
    dataset::TABLES,
    event_tracker::TABLES,
    metric_attribution::TABLES,
    run::TABLES,
    job::TABLES,
    job::claim::TABLES,
    tag::TABLES,
    role::TABLES,
    policy::TABLES,
    key::TABLES,
    grant::TABLES,
    user::TABLES,
    access_key::TABLES,
    user_policy::TABLES,
];

/// What brings a catalog from format n + 1 to the next one. Steps are never changed, only added.
const STEPS: [&str; 2] = [
    "
    ALTER TABLE dataset ADD COLUMN tracking_id TEXT;
    ALTER TABLE dataset ADD COLUMN latest_update TEXT;
    ALTER TABLE job RENAME COLUMN dataset_arn TO subject_arn;
    ALTER TABLE job ADD COLUMN records_deleted INTEGER NOT NULL DEFAULT 0;
    DROP INDEX job_dataset;
",
    "
    ALTER TABLE dataset_group ADD COLUMN kms_key_arn TEXT;
    ALTER TABLE dataset_group ADD COLUMN role_arn TEXT;
    ALTER TABLE dataset_group ADD COLUMN data_key BLOB;
",
];

const FORMAT: i64 = 1 + STEPS.len() as i64;

/// Leaves the tables in the format of this version, or changes nothing.
///
/// # Errors
/// `Corrupt` when the file was written by a newer version.
pub(crate) async fn settle(pool: &SqlitePool) -> Result<()> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await.map_err(failed)?;
    if found > FORMAT {
        return Err(Error::corrupt(format!(
            "the catalog has format {found}, this version reads up to {FORMAT}: start the newer version that wrote it"
        )));
    }
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let done = if found == 0 { STEPS.len() } else { usize::try_from(found - 1).unwrap_or(0) };
    for sql in STEPS[done..].iter().chain(&TABLES) {
        sqlx::raw_sql(*sql).execute(&mut *tx).await.map_err(failed)?;
    }
    let mark = format!("PRAGMA user_version = {FORMAT}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(mark)).execute(&mut *tx).await.map_err(failed)?;
    tx.commit().await.map_err(failed)
}
