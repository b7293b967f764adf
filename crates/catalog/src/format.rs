//! The format of the tables: made new, or brought forward from an older version; a newer one is refused.

use model::error::{Error, Result};
use sqlx::SqlitePool;

use crate::{
    access_key, dataset, dataset_group, event_tracker, failed, grant, group, identity_policy, job, key,
    master_key, metric_attribution, policy, policy_version, put_count, role, run, schema, sequencer, tag,
    user,
};

/// The tables of this version; those that are missing are made.
const TABLES: [&str; 26] = [
    sequencer::TABLES,
    schema::TABLES,
    dataset_group::TABLES,
    dataset::TABLES,
    event_tracker::TABLES,
    metric_attribution::TABLES,
    run::TABLES,
    dataset::history::TABLES,
    put_count::TABLES,
    job::TABLES,
    job::analysis::TABLES,
    job::claim::TABLES,
    job::reject::TABLES,
    job::event::TABLES,
    job::task::TABLES,
    tag::TABLES,
    role::TABLES,
    policy::TABLES,
    key::TABLES,
    grant::TABLES,
    master_key::TABLES,
    user::TABLES,
    access_key::TABLES,
    policy_version::TABLES,
    group::TABLES,
    identity_policy::TABLES,
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
    CREATE TABLE IF NOT EXISTS policy (
        arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, document TEXT NOT NULL,
        description TEXT, tags TEXT NOT NULL, created_ms INTEGER NOT NULL
    ) STRICT;
    DROP INDEX IF EXISTS policy_name;
    ALTER TABLE policy ADD COLUMN default_version INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE policy ADD COLUMN newest_version INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE policy ADD COLUMN updated_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE policy SET updated_ms = created_ms;
    CREATE TABLE policy_version (
        policy_arn TEXT NOT NULL REFERENCES policy (arn) ON DELETE CASCADE, number INTEGER NOT NULL,
        document TEXT NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY (policy_arn, number)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO policy_version SELECT arn, 1, document, created_ms FROM policy;
    ALTER TABLE job ADD COLUMN bytes_total INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN eta_s INTEGER;
    ALTER TABLE job ADD COLUMN cancelled_by TEXT;
    ALTER TABLE dataset_group ADD COLUMN kms_key_arn TEXT;
    ALTER TABLE dataset_group ADD COLUMN role_arn TEXT;
    ALTER TABLE dataset_group ADD COLUMN data_key BLOB;
    ALTER TABLE dataset ADD COLUMN replaced_sequence INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE dataset ADD COLUMN deleted_sequence INTEGER NOT NULL DEFAULT 0;
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
