//! What a catalog's file says of files outside of it.

use std::path::Path;

use model::error::{Context, Result};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::look;

/// What a catalog says of files outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Of runs that make datasets up or that a job reads, with their sizes.
    pub runs: Vec<(String, u64)>,
    /// Objects that jobs have written, some of which may be gone.
    pub others: Vec<String>,
    /// Runs that nobody needs any more, and whose objects may be gone.
    pub retired: Vec<String>,
    /// What begins the names of objects that somebody may be writing.
    pub attempts: Vec<String>,
    /// How far the log was read into runs.
    pub flushed: u64,
    /// Which number comes next.
    pub sequence: u64,
    /// Where the last node kept its objects: `file`, or a bucket.
    pub objects: String,
    /// The version of the node that works on it.
    pub version: Option<String>,
    /// What the master key has sealed, to be known by it.
    pub master_key_mark: Option<Vec<u8>>,
}

/// Reads these from a catalog of this format that others may have open.
///
/// # Errors
/// `Unavailable` when the file can't be read.
pub async fn named(file: &Path) -> Result<Named> {
    let doing = || format!("read {}", file.display());
    let mut connection = look(file).await.unavailable(doing)?;
    let named = read_named(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(named)
}

/// What the master key sealed in a catalog of any format, to be known by it; `None` where there is no such mark.
///
/// # Errors
/// `Unavailable` when the file can't be read.
pub async fn master_key_mark(file: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("read {}", file.display());
    let mut connection = look(file).await.unavailable(doing)?;
    let mark = read_mark(&mut connection).await.unavailable(doing)?;
    connection.close().await.unavailable(doing)?;
    Ok(mark)
}

async fn read_mark(connection: &mut SqliteConnection) -> sqlx::Result<Option<Vec<u8>>> {
    let query = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'master_key_mark'");
    let tables: i64 = query.fetch_one(&mut *connection).await?;
    if tables == 0 {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT sealed FROM master_key_mark").fetch_optional(connection).await
}

async fn read_named(connection: &mut SqliteConnection) -> sqlx::Result<Named> {
    let runs: Vec<(String, i64)> = sqlx::query_as(
        "SELECT object, size_bytes FROM run WHERE listed = 1 OR id IN (SELECT run_id FROM run_pin) ORDER BY id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let others = sqlx::query_scalar(
        "SELECT object FROM reject_file UNION SELECT json_extract(plan, '$.list.object') FROM job
         WHERE kind = 'DELETION' AND json_extract(plan, '$.list.object') IS NOT NULL",
    )
    .fetch_all(&mut *connection)
    .await?;
    let retired = sqlx::query_scalar(
        "SELECT object FROM run WHERE listed = 0 AND id NOT IN (SELECT run_id FROM run_pin) ORDER BY id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let attempts = sqlx::query_scalar("SELECT id FROM attempt").fetch_all(&mut *connection).await?;
    let (flushed, sequence): (Option<i64>, i64) = sqlx::query_as(
        "SELECT (SELECT max(flushed_position) FROM dataset), (SELECT value FROM counter WHERE name = 'sequence')",
    )
    .fetch_one(&mut *connection)
    .await?;
    let node: Option<(String, String, Option<i64>)> = sqlx::query_as(
        "SELECT objects, version, ended_ms FROM node WHERE objects <> '' AND url <> '' ORDER BY started_ms DESC, ended_ms IS NULL DESC LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    let master_key_mark = read_mark(connection).await?;
    let (objects, version) = match node {
        Some((objects, version, None)) => (objects, Some(version)),
        Some((objects, _, Some(_))) => (objects, None),
        None => (String::new(), None),
    };
    Ok(Named {
        runs: runs.into_iter().map(|(object, size)| (object, size.cast_unsigned())).collect(),
        others,
        retired,
        attempts,
        flushed: flushed.unwrap_or(0).cast_unsigned(),
        sequence: sequence.cast_unsigned(),
        objects,
        version,
        master_key_mark,
    })
}
