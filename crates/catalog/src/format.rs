//! The format of the tables: made new, or brought forward from an older version; a newer one is refused.

use model::error::{Error, Result};
use sqlx::{Any, AnyPool, AssertSqlSafe};

use crate::database::{self, Dialect};
use crate::{
    Transaction, access_key, change, console_session, dataset, dataset_group, duty, event_tracker,
    export_schedule, failed, grant, group, identity_policy, job, key, log_segment, master_key,
    metric_attribution, node, policy, policy_version, postgres, put_count, realm, role, run, schema,
    sequencer, tag, user,
};

/// The tables of this version; those that are missing are made.
const TABLES: [&str; 34] = [
    sequencer::TABLES,
    log_segment::TABLES,
    change::TABLES,
    node::TABLES,
    duty::TABLES,
    realm::TABLES,
    console_session::TABLES,
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
    export_schedule::TABLES,
    job::prune::TABLES,
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
const STEPS: [&str; 3] = [
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
    ALTER TABLE job ADD COLUMN node TEXT;
    DROP TABLE attempt;
    ALTER TABLE dataset_group ADD COLUMN kms_key_arn TEXT;
    ALTER TABLE dataset_group ADD COLUMN role_arn TEXT;
    ALTER TABLE dataset_group ADD COLUMN data_key BLOB;
    ALTER TABLE dataset ADD COLUMN replaced_sequence INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE dataset ADD COLUMN deleted_sequence INTEGER NOT NULL DEFAULT 0;
",
    EXPORT_SCHEDULES,
];

/// Format 4 has export schedules: new tables alone.
const EXPORT_SCHEDULES: &str = "
    CREATE TABLE export_schedule (
        name TEXT PRIMARY KEY, spec TEXT NOT NULL, version INTEGER NOT NULL, enabled INTEGER NOT NULL, next_ms INTEGER,
        created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, created_by TEXT NOT NULL, updated_by TEXT NOT NULL,
        last_job_arn TEXT, trouble TEXT
    ) STRICT;
    CREATE TABLE scheduled_export (
        job_arn TEXT PRIMARY KEY, schedule TEXT NOT NULL, instant_ms INTEGER NOT NULL, is_kept INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX scheduled_export_of ON scheduled_export (schedule, is_kept);
";

/// The same on PostgreSQL.
const POSTGRES_EXPORT_SCHEDULES: &str = r#"
    CREATE TABLE export_schedule (
        name TEXT COLLATE "C" PRIMARY KEY, spec TEXT COLLATE "C" NOT NULL, version BIGINT NOT NULL,
        enabled BIGINT NOT NULL, next_ms BIGINT, created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL,
        created_by TEXT COLLATE "C" NOT NULL, updated_by TEXT COLLATE "C" NOT NULL,
        last_job_arn TEXT COLLATE "C", trouble TEXT COLLATE "C"
    );
    CREATE TABLE scheduled_export (
        job_arn TEXT COLLATE "C" PRIMARY KEY, schedule TEXT COLLATE "C" NOT NULL, instant_ms BIGINT NOT NULL,
        is_kept BIGINT NOT NULL
    );
    CREATE INDEX scheduled_export_of ON scheduled_export (schedule, is_kept);
"#;

pub(crate) const FORMAT: i64 = 1 + STEPS.len() as i64;

/// The first format that there was on PostgreSQL, made new in all databases.
const POSTGRES_FIRST: i64 = 3;

/// What brings a catalog on PostgreSQL from format n + 3 to the next one, in that server's words.
const POSTGRES_STEPS: [&str; (FORMAT - POSTGRES_FIRST) as usize] = [POSTGRES_EXPORT_SCHEDULES];

/// Leaves the tables in the format of this version, or changes nothing.
///
/// # Errors
/// `Corrupt` when a newer version wrote there; `Invalid` when a server of PostgreSQL is not fit.
pub(crate) async fn settle(dialect: Dialect, pool: &AnyPool) -> Result<()> {
    // Of several processes that start at once one makes the tables; the others find them.
    let mut tx = database::write(dialect, pool).await.map_err(failed)?;
    match dialect {
        Dialect::Sqlite => settle_sqlite(&mut tx).await?,
        Dialect::Postgres => settle_postgres(&mut tx).await?,
    }
    tx.commit().await.map_err(failed)
}

async fn settle_sqlite(tx: &mut Transaction<'static, Any>) -> Result<()> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut **tx).await.map_err(failed)?;
    let steps = missing(found, 1, &STEPS)?;
    for sql in steps.iter().chain(&TABLES).chain(&[job::event::TRIGGERS]) {
        sqlx::raw_sql(*sql).execute(&mut **tx).await.map_err(failed)?;
    }
    run(tx, format!("PRAGMA user_version = {FORMAT}")).await
}

async fn settle_postgres(tx: &mut Transaction<'static, Any>) -> Result<()> {
    check_server(tx).await?;
    run(tx, postgres::FORMAT_TABLE.to_owned()).await?;
    let found: Option<i64> =
        sqlx::query_scalar("SELECT number FROM format").fetch_optional(&mut **tx).await.map_err(failed)?;
    for sql in missing(found.unwrap_or(0), POSTGRES_FIRST, &POSTGRES_STEPS)? {
        run(tx, (*sql).to_owned()).await?;
    }
    run(tx, postgres::FUNCTIONS.to_owned()).await?;
    for sql in TABLES {
        run(tx, postgres::translate(sql)).await?;
    }
    run(tx, job::event::POSTGRES_TRIGGERS.to_owned()).await?;
    let mark = "INSERT INTO format VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET number = excluded.number";
    sqlx::query(mark).bind(FORMAT).execute(&mut **tx).await.map_err(failed).map(drop)
}

// The steps from a format to this one; 0 is the format of a database without tables, which none has to change.
fn missing<'a>(found: i64, first: i64, steps: &'a [&'static str]) -> Result<&'a [&'static str]> {
    if found > FORMAT {
        return Err(newer(found));
    }
    let done = if found == 0 { steps.len() } else { usize::try_from(found - first).unwrap_or(0) };
    Ok(&steps[done..])
}

/// What a catalog is refused with that a newer version wrote.
pub(crate) fn newer(found: i64) -> Error {
    Error::corrupt(format!(
        "the catalog has format {found}, this version reads up to {FORMAT}: start the newer version that wrote it"
    ))
}

async fn check_server(tx: &mut Transaction<'static, Any>) -> Result<()> {
    let query = sqlx::query_as(
        "SELECT current_setting('server_version_num')::BIGINT, current_setting('server_encoding')",
    );
    let (version, encoding): (i64, String) = query.fetch_one(&mut **tx).await.map_err(failed)?;
    if version < postgres::VERSION_MIN * 10_000 {
        let (least, found) = (postgres::VERSION_MIN, version / 10_000);
        return Err(Error::invalid(format!(
            "the catalog needs PostgreSQL {least} or newer, and its server has version {found}"
        )));
    }
    if encoding != "UTF8" {
        return Err(Error::invalid(format!(
            "the database of the catalog must have the encoding UTF8, and has {encoding}"
        )));
    }
    Ok(())
}

async fn run(tx: &mut Transaction<'static, Any>, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await.map_err(failed).map(drop)
}
