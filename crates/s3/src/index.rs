//! The index: which buckets, objects and uploads there are, and which blobs hold their bytes.

pub mod bucket;
pub mod key;
pub mod list;
pub mod object;
pub mod upload;

use std::path::Path;
use std::time::Duration;

use model::error::{Context, Error, Result};
use s3s::S3Result;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};

use crate::error::Doing;

/// The rows of one store in SQLite; a clone is the same index.
///
/// All changes go through one connection, each in one transaction that is durable when it ends.
#[derive(Clone)]
pub struct Index {
    writer: SqlitePool,
    reader: SqlitePool,
}

/// The version of the tables; a newer one is refused.
pub(crate) const VERSION: i64 = 3;

const TABLES: &str = include_str!("index/tables.sql");

/// What brings tables of version 1 to version 2.
const TO_VERSION_2: &str = "
    ALTER TABLE bucket ADD COLUMN encryption TEXT;
    ALTER TABLE object ADD COLUMN encryption TEXT;
    ALTER TABLE upload ADD COLUMN encryption TEXT;
    PRAGMA user_version = 2;
";

/// What brings tables of version 2 to version 3.
const TO_VERSION_3: &str = "
    ALTER TABLE bucket ADD COLUMN cors TEXT;
    ALTER TABLE bucket ADD COLUMN tags TEXT;
    PRAGMA user_version = 3;
";

impl Index {
    /// # Errors
    /// `Unavailable` when the file cannot be opened; `Invalid` when a newer program wrote it.
    pub async fn open(path: &Path) -> Result<Index> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let writer = pool(1, options.clone()).await?;
        set_up(&writer).await?;
        let reader = pool(4, options.pragma("query_only", "on")).await?;
        Ok(Index { writer, reader })
    }

    /// Begins a change; none else begins before it ends.
    async fn change(&self) -> S3Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.doing("change its index")
    }

    /// All blobs that rows name and whose ids begin with `shelf`.
    pub async fn blobs_of_shelf(&self, shelf: &str) -> Result<Vec<String>> {
        let end = format!("{shelf}g");
        sqlx::query_scalar(
            "SELECT blob FROM object_blob WHERE blob >= ?1 AND blob < ?2
             UNION ALL SELECT blob FROM part WHERE blob >= ?1 AND blob < ?2",
        )
        .bind(shelf)
        .bind(end)
        .fetch_all(&self.reader)
        .await
        .unavailable(|| "read the index of objects".to_owned())
    }
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool> {
    // SQLite ends a transaction by itself when the disk is full or fails. The driver does not notice and would never begin
    // another one: such a connection is replaced.
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }));
    pool.connect_with(options).await.unavailable(|| "open the index of objects".to_owned())
}

async fn set_up(writer: &SqlitePool) -> Result<()> {
    let doing = || "prepare the index of objects".to_owned();
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.unavailable(doing)?;
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *tx).await.unavailable(doing)?;
    let steps: &[&'static str] = match version {
        0 => &[TABLES],
        1 => &[TO_VERSION_2, TO_VERSION_3],
        2 => &[TO_VERSION_3],
        VERSION => &[],
        newer => return Err(refused(newer)),
    };
    for sql in steps {
        sqlx::raw_sql(*sql).execute(&mut *tx).await.unavailable(doing)?;
    }
    tx.commit().await.unavailable(doing)
}

/// What an index is refused with that a newer program wrote.
pub(crate) fn refused(newer: i64) -> Error {
    Error::invalid(format!(
        "The index of objects, s3/index.db, has version {newer}, and this program reads up to version {VERSION}: start \
         the newer version that wrote it."
    ))
}

/// Lets a change run to its end even when whoever waits for it goes away.
///
/// # Errors
/// Those of the change; `ServiceUnavailable` when its task broke.
pub async fn settle<T: Send + 'static>(
    change: impl Future<Output = S3Result<T>> + Send + 'static,
) -> S3Result<T> {
    tokio::spawn(change).await.doing("change its index")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_index_of_version_1_is_brought_forward() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("index.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let old = SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql(include_str!("index/version_1.sql")).execute(&old).await.unwrap();
        old.close().await;
        let index = Index::open(&file).await.unwrap();
        assert_eq!(index.bucket("old").await.unwrap().encryption, None);
        index.set_encryption("old", Some("{}")).await.unwrap();
        index.set_cors("old", Some("[]")).await.unwrap();
        drop(index);
        let again = Index::open(&file).await.unwrap();
        let old = again.bucket("old").await.unwrap();
        assert_eq!((old.encryption.as_deref(), old.cors.as_deref()), (Some("{}"), Some("[]")));
    }

    #[tokio::test]
    async fn an_index_whose_disk_was_full_changes_again() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index.db")).await.unwrap();
        // Holds for the connection that is there now.
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&index.writer).await.unwrap();
        let large = "x".repeat(1 << 20);
        let mut tx = index.change().await.unwrap();
        let insert = sqlx::query("INSERT INTO bucket VALUES (?1, 0, NULL, NULL, NULL, NULL)")
            .bind(&large)
            .execute(&mut *tx)
            .await;
        assert!(insert.unwrap_err().to_string().contains("full"));
        drop(tx);
        index.change().await.unwrap().rollback().await.unwrap();
    }
}
