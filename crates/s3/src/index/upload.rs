//! Multipart uploads: their parts, and the moment when they become an object.

use s3s::{S3Error, S3ErrorCode, S3Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::object::{Condition, Draft, replace, signed, unsigned};
use super::{Index, key};
use crate::assembly::{Claim, assemble, left_over};
use crate::blob::Stored;
use crate::checksum::{Algorithm, Kind};
use crate::encryption::Encryption;
use crate::error::{Doing, damaged, refuse};
use crate::headers::Headers;

#[derive(Clone, Debug)]
pub struct Upload {
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub created_ms: i64,
    /// The ARN of the principal that began it; of a session, that of its role.
    pub creator: String,
    pub headers: Headers,
    pub algorithm: Algorithm,
    pub kind: Kind,
    /// Whether the client named the algorithm; else it is ours, and parts may come with others.
    pub asked: bool,
    /// With the data key that all its parts are encrypted under.
    pub encryption: Option<Encryption>,
}

#[derive(Clone, Debug)]
pub struct Part {
    pub number: i64,
    pub blob: String,
    pub size: u64,
    /// 16 bytes in hexadecimal digits: the MD5, or in a job's upload another hash.
    pub etag: String,
    pub modified_ms: i64,
    /// Base64, by the upload's algorithm.
    pub checksum: String,
}

impl Index {
    /// # Errors
    /// `ServiceUnavailable`; also when the bucket went away meanwhile.
    pub async fn create_upload(&self, upload: &Upload) -> S3Result<()> {
        sqlx::query(
            "INSERT INTO upload (id, bucket, key, created_ms, creator, headers, checksum_algorithm, checksum_type,
                                 checksum_asked, encryption)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&upload.id)
        .bind(&upload.bucket)
        .bind(upload.key.as_bytes())
        .bind(upload.created_ms)
        .bind(&upload.creator)
        .bind(upload.headers.to_json())
        .bind(upload.algorithm.as_str())
        .bind(upload.kind.as_str())
        .bind(upload.asked)
        .bind(upload.encryption.as_ref().map(Encryption::to_json))
        .execute(&self.writer)
        .await
        .doing("begin the upload")?;
        Ok(())
    }

    /// # Errors
    /// `NoSuchUpload`, also when the upload is another bucket's or key's.
    pub async fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        sqlx::query(
            "SELECT id, bucket, key, created_ms, creator, headers, checksum_algorithm, checksum_type, checksum_asked,
                    encryption
             FROM upload WHERE id = ? AND bucket = ? AND key = ?",
        )
        .bind(id)
        .bind(bucket)
        .bind(key.as_bytes())
        .fetch_optional(&self.reader)
        .await
        .doing("read its index")?
        .map_or_else(|| Err(no_such_upload()), |row| read(&row))
    }

    /// Names a part whose blob is durable; gives the blob of the part that had its number.
    ///
    /// # Errors
    /// `NoSuchUpload` when it ended meanwhile. The blob is then removed.
    pub async fn put_part(&self, upload: &str, part: &Part, mut stored: Stored) -> S3Result<Vec<String>> {
        let doing = "store the part";
        let mut tx = self.change().await?;
        if !exists(&mut tx, upload).await? {
            return Err(no_such_upload());
        }
        let replaced = sqlx::query_scalar("SELECT blob FROM part WHERE upload = ? AND number = ?")
            .bind(upload)
            .bind(part.number)
            .fetch_all(&mut *tx)
            .await
            .doing(doing)?;
        insert(&mut tx, upload, part).await?;
        // A commit that fails may have happened: the blob stays, and the next start's sweep knows.
        stored.keep();
        tx.commit().await.doing(doing)?;
        Ok(replaced)
    }

    /// Parts by number, behind `after`.
    pub async fn parts(&self, upload: &str, after: i64, limit: i64) -> S3Result<Vec<Part>> {
        let query = sqlx::query(
            "SELECT number, blob, size, etag, modified_ms, checksum FROM part
             WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
        );
        let rows = query.bind(upload).bind(after).bind(limit).fetch_all(&self.reader).await;
        Ok(rows.doing("read its index")?.iter().map(read_part).collect())
    }

    /// Makes an object of the parts that the client names, without touching their bytes.
    ///
    /// Gives the object, and the blobs that nothing names any more.
    ///
    /// # Errors
    /// `NoSuchUpload`, those of the condition and those of [`assemble`]; the upload then stays.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        claim: &Claim,
        condition: &Condition,
        now_ms: i64,
    ) -> S3Result<(Draft, Vec<String>)> {
        let doing = "complete the upload";
        let mut tx = self.change().await?;
        if !exists(&mut tx, &upload.id).await? {
            return Err(no_such_upload());
        }
        let rows =
            sqlx::query("SELECT number, blob, size, etag, modified_ms, checksum FROM part WHERE upload = ?")
                .bind(&upload.id)
                .fetch_all(&mut *tx)
                .await
                .doing(doing)?;
        let parts: Vec<Part> = rows.iter().map(read_part).collect();
        let draft = assemble(upload, &parts, claim, now_ms)?;
        let mut unnamed = replace(&mut tx, &upload.bucket, &draft, condition).await?;
        unnamed.extend(left_over(parts, &draft));
        sqlx::query("DELETE FROM upload WHERE id = ?")
            .bind(&upload.id)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok((draft, unnamed))
    }

    /// Ends an upload; gives the blobs of its parts.
    ///
    /// # Errors
    /// `NoSuchUpload` when it ended meanwhile.
    pub async fn abort_upload(&self, id: &str) -> S3Result<Vec<String>> {
        let doing = "abort the upload";
        let mut tx = self.change().await?;
        let blobs = sqlx::query_scalar("SELECT blob FROM part WHERE upload = ?");
        let blobs = blobs.bind(id).fetch_all(&mut *tx).await.doing(doing)?;
        let query = sqlx::query("DELETE FROM upload WHERE id = ?").bind(id);
        if query.execute(&mut *tx).await.doing(doing)?.rows_affected() == 0 {
            return Err(no_such_upload());
        }
        tx.commit().await.doing(doing)?;
        Ok(blobs)
    }
}

async fn exists(tx: &mut Transaction<'static, Sqlite>, upload: &str) -> S3Result<bool> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM upload WHERE id = ?)");
    query.bind(upload).fetch_one(&mut **tx).await.doing("read its index")
}

async fn insert(tx: &mut Transaction<'static, Sqlite>, upload: &str, part: &Part) -> S3Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO part (upload, number, blob, size, etag, modified_ms, checksum)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(upload)
    .bind(part.number)
    .bind(&part.blob)
    .bind(signed(part.size))
    .bind(&part.etag)
    .bind(part.modified_ms)
    .bind(&part.checksum)
    .execute(&mut **tx)
    .await
    .doing("store the part")?;
    Ok(())
}

fn read(row: &SqliteRow) -> S3Result<Upload> {
    Ok(Upload {
        id: row.get(0),
        bucket: row.get(1),
        key: key::text(row.get(2)).into_owned(),
        created_ms: row.get(3),
        creator: row.get(4),
        headers: Headers::from_json(row.get(5))?,
        algorithm: Algorithm::parse(row.get(6)).ok_or_else(|| damaged("an upload"))?,
        kind: Kind::parse(row.get(7)).ok_or_else(|| damaged("an upload"))?,
        asked: row.get(8),
        encryption: row.get::<Option<&str>, _>(9).map(Encryption::from_json).transpose()?,
    })
}

fn read_part(row: &SqliteRow) -> Part {
    Part {
        number: row.get(0),
        blob: row.get(1),
        size: unsigned(row.get(2)),
        etag: row.get(3),
        modified_ms: row.get(4),
        checksum: row.get(5),
    }
}

pub fn no_such_upload() -> S3Error {
    let text =
        "The specified multipart upload does not exist: its id is wrong, or it was completed or aborted.";
    refuse(S3ErrorCode::NoSuchUpload, text)
}
