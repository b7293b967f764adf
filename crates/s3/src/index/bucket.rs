//! Buckets and their policies.

use s3s::{S3ErrorCode, S3Result};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Index;
use crate::error::{Doing, refuse};

#[derive(Clone, Debug)]
pub struct Bucket {
    pub name: String,
    pub created_ms: i64,
    /// The policy's text as it was put.
    pub policy: Option<String>,
    /// The default encryption of its objects, as JSON.
    pub encryption: Option<String>,
    /// The rules for pages of other origins, as JSON.
    pub cors: Option<String>,
    /// As JSON; `None` where there are none.
    pub tags: Option<String>,
}

impl Index {
    /// Whether the bucket is new; one that is there stays as it is.
    pub async fn create_bucket(&self, name: &str, now_ms: i64) -> S3Result<bool> {
        let query = sqlx::query("INSERT INTO bucket (name, created_ms) VALUES (?, ?) ON CONFLICT DO NOTHING");
        let done = query.bind(name).bind(now_ms).execute(&self.writer).await.doing("create the bucket")?;
        Ok(done.rows_affected() == 1)
    }

    /// # Errors
    /// `NoSuchBucket`.
    pub async fn bucket(&self, name: &str) -> S3Result<Bucket> {
        sqlx::query("SELECT name, created_ms, policy, encryption, cors, tags FROM bucket WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.reader)
            .await
            .doing("read its index")?
            .map(read)
            .ok_or_else(no_such_bucket)
    }

    /// Up to `limit` buckets behind `after` whose names begin with `prefix`, by name.
    pub async fn buckets(&self, prefix: &str, after: &str, limit: i64) -> S3Result<Vec<Bucket>> {
        let rows = sqlx::query(
            "SELECT name, created_ms, policy, encryption, cors, tags FROM bucket
             WHERE name > ?2 AND substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT ?3",
        )
        .bind(prefix)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await
        .doing("read its index")?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Removes an empty bucket with its unfinished uploads; gives the blobs that nothing names any more.
    ///
    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`.
    pub async fn delete_bucket(&self, name: &str) -> S3Result<Vec<String>> {
        let doing = "delete the bucket";
        let mut tx = self.change().await?;
        let full: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM object WHERE bucket = ?)")
            .bind(name)
            .fetch_one(&mut *tx)
            .await
            .doing(doing)?;
        if full {
            let text = "The bucket you tried to delete is not empty.";
            return Err(refuse(S3ErrorCode::BucketNotEmpty, text));
        }
        let blobs = sqlx::query_scalar("SELECT blob FROM part JOIN upload ON upload = id WHERE bucket = ?")
            .bind(name)
            .fetch_all(&mut *tx)
            .await
            .doing(doing)?;
        let query = sqlx::query("DELETE FROM bucket WHERE name = ?");
        if query.bind(name).execute(&mut *tx).await.doing(doing)?.rows_affected() == 0 {
            return Err(no_such_bucket());
        }
        tx.commit().await.doing(doing)?;
        Ok(blobs)
    }

    /// # Errors
    /// `NoSuchBucket`.
    pub async fn set_policy(&self, name: &str, policy: Option<&str>) -> S3Result<()> {
        self.set("UPDATE bucket SET policy = ? WHERE name = ?", name, policy).await
    }

    /// # Errors
    /// `NoSuchBucket`.
    pub async fn set_encryption(&self, name: &str, encryption: Option<&str>) -> S3Result<()> {
        self.set("UPDATE bucket SET encryption = ? WHERE name = ?", name, encryption).await
    }

    /// # Errors
    /// `NoSuchBucket`.
    pub async fn set_cors(&self, name: &str, rules: Option<&str>) -> S3Result<()> {
        self.set("UPDATE bucket SET cors = ? WHERE name = ?", name, rules).await
    }

    /// # Errors
    /// `NoSuchBucket`.
    pub async fn set_tags(&self, name: &str, tags: Option<&str>) -> S3Result<()> {
        self.set("UPDATE bucket SET tags = ? WHERE name = ?", name, tags).await
    }

    async fn set(&self, change: &'static str, name: &str, value: Option<&str>) -> S3Result<()> {
        let done = sqlx::query(change).bind(value).bind(name).execute(&self.writer).await;
        let done = done.doing("change the bucket")?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(no_such_bucket()) }
    }
}

fn read(row: SqliteRow) -> Bucket {
    Bucket {
        name: row.get(0),
        created_ms: row.get(1),
        policy: row.get(2),
        encryption: row.get(3),
        cors: row.get(4),
        tags: row.get(5),
    }
}

pub fn no_such_bucket() -> s3s::S3Error {
    refuse(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist.")
}
