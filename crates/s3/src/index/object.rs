//! Objects: one row a key, and the blobs that hold its bytes one after the other.

use s3s::dto::ETagCondition;
use s3s::{S3Error, S3ErrorCode, S3Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::Index;
use super::bucket::no_such_bucket;
use crate::blob::{Slice, Stored};
use crate::checksum::{Algorithm, Checksum, Kind};
use crate::encryption::Encryption;
use crate::error::{Doing, damaged, refuse};
use crate::headers::Headers;

#[derive(Clone, Debug)]
pub struct Object {
    pub id: i64,
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// Whole seconds, as HTTP dates have no finer ones.
    pub modified_ms: i64,
    pub headers: Headers,
    pub checksum: Checksum,
    /// The multipart upload it came from.
    pub upload: Option<String>,
    pub encryption: Option<Encryption>,
}

/// An object that is about to be named.
pub struct Draft {
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: i64,
    pub headers: Headers,
    pub checksum: Checksum,
    pub upload: Option<String>,
    pub encryption: Option<Encryption>,
    pub pieces: Vec<Piece>,
}

/// A blob of an object; `number` is that of the part it came from.
#[derive(Clone, Debug)]
pub struct Piece {
    pub number: i64,
    pub blob: String,
    pub size: u64,
    /// The raw checksum's Base64.
    pub checksum: String,
}

/// What must hold for a write, besides the permission.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    pub absent: bool,
    pub matches: Option<ETagCondition>,
}

impl Condition {
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` when an object must match and there is none.
    pub fn check(&self, etag: Option<&str>) -> S3Result<()> {
        if self.absent && etag.is_some() {
            return Err(precondition_failed());
        }
        match (&self.matches, etag) {
            (None, _) | (Some(ETagCondition::Any), Some(_)) => Ok(()),
            (Some(_), None) => Err(no_such_key()),
            (Some(ETagCondition::ETag(wanted)), Some(etag)) if wanted.value() == etag => Ok(()),
            (Some(ETagCondition::ETag(_)), Some(_)) => Err(precondition_failed()),
        }
    }
}

impl Index {
    pub async fn object(&self, bucket: &str, key: &str) -> S3Result<Option<Object>> {
        let mut connection = self.reader.acquire().await.doing("read its index")?;
        find(&mut connection, bucket, key).await
    }

    /// The object and those stretches of its blobs that overlap the bytes from `start` up to `end`, as of one moment.
    ///
    /// The range is chosen by `choose` from the object's row.
    pub async fn object_slices<R>(
        &self,
        bucket: &str,
        key: &str,
        choose: impl FnOnce(&Object) -> S3Result<(std::ops::Range<u64>, R)>,
    ) -> S3Result<Option<(Object, R, Vec<Slice>)>> {
        let mut tx = self.reader.begin().await.doing("read its index")?;
        let Some(object) = find(&mut tx, bucket, key).await? else { return Ok(None) };
        let (range, chosen) = choose(&object)?;
        let rows = sqlx::query(
            "SELECT blob, start, size FROM object_blob
             WHERE object = ? AND start < ? AND start + size > ? ORDER BY number",
        )
        .bind(object.id)
        .bind(signed(range.end))
        .bind(signed(range.start))
        .fetch_all(&mut *tx)
        .await
        .doing("read its index")?;
        Ok(Some((object, chosen, rows.iter().map(|row| slice(row, &range)).collect())))
    }

    /// The blobs of an object by part number, behind `after`.
    pub async fn pieces(&self, object: i64, after: i64, limit: i64) -> S3Result<Vec<Piece>> {
        let query = sqlx::query(
            "SELECT number, blob, size, checksum FROM object_blob
             WHERE object = ? AND number > ? ORDER BY number LIMIT ?",
        );
        let rows = query.bind(object).bind(after).bind(limit).fetch_all(&self.reader).await;
        Ok(rows.doing("read its index")?.iter().map(piece).collect())
    }

    /// The number of blobs of an object: the parts of a multipart upload, else one.
    pub async fn piece_count(&self, object: i64) -> S3Result<i64> {
        let query = sqlx::query_scalar("SELECT count(*) FROM object_blob WHERE object = ?");
        query.bind(object).fetch_one(&self.reader).await.doing("read its index")
    }

    /// Names an object whose blob is durable, in place of the one that had the key.
    ///
    /// Gives the blobs that nothing names any more.
    ///
    /// # Errors
    /// Those of the condition; `NoSuchBucket`. The blob is then removed.
    pub async fn put_object(
        &self,
        bucket: &str,
        draft: &Draft,
        condition: &Condition,
        mut stored: Stored,
    ) -> S3Result<Vec<String>> {
        let mut tx = self.change().await?;
        let replaced = replace(&mut tx, bucket, draft, condition).await?;
        // A commit that fails may have happened: the blob stays, and the next start's sweep knows.
        stored.keep();
        tx.commit().await.doing("store the object")?;
        Ok(replaced)
    }

    /// Gives an object other headers, as a copy onto itself does.
    ///
    /// # Errors
    /// `NoSuchKey` when it changed meanwhile.
    pub async fn restate(&self, id: i64, headers: &Headers, modified_ms: i64) -> S3Result<()> {
        let query = sqlx::query("UPDATE object SET headers = ?, modified_ms = ? WHERE id = ?");
        let query = query.bind(headers.to_json()).bind(modified_ms).bind(id);
        let done = query.execute(&self.writer).await.doing("change the object")?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(no_such_key()) }
    }

    /// Removes those of the objects that are there and meet their conditions, all in one transaction.
    ///
    /// Gives the outcome for each, and the blobs that nothing names any more.
    pub async fn delete_objects(
        &self,
        bucket: &str,
        wanted: &[(String, Condition)],
    ) -> S3Result<(Vec<S3Result<()>>, Vec<String>)> {
        let mut tx = self.change().await?;
        let (mut outcomes, mut unnamed) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (key, condition) in wanted {
            let removed = remove(&mut tx, bucket, key, condition).await;
            outcomes.push(removed.map(|blobs| unnamed.extend(blobs)));
        }
        tx.commit().await.doing("delete the objects")?;
        Ok((outcomes, unnamed))
    }
}

/// Removes what has the draft's key and inserts the draft, if the condition holds.
pub async fn replace(
    tx: &mut Transaction<'static, Sqlite>,
    bucket: &str,
    draft: &Draft,
    condition: &Condition,
) -> S3Result<Vec<String>> {
    let replaced = remove(tx, bucket, &draft.key, condition).await?;
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM bucket WHERE name = ?)")
        .bind(bucket)
        .fetch_one(&mut **tx)
        .await
        .doing("store the object")?;
    if !known {
        return Err(no_such_bucket());
    }
    let id = insert(tx, bucket, draft).await?;
    insert_pieces(tx, id, &draft.pieces).await?;
    Ok(replaced)
}

async fn remove(
    tx: &mut Transaction<'static, Sqlite>,
    bucket: &str,
    key: &str,
    condition: &Condition,
) -> S3Result<Vec<String>> {
    let old = find(tx, bucket, key).await?;
    condition.check(old.as_ref().map(|object| object.etag.as_str()))?;
    let Some(old) = old else { return Ok(Vec::new()) };
    let blobs = sqlx::query_scalar("SELECT blob FROM object_blob WHERE object = ?")
        .bind(old.id)
        .fetch_all(&mut **tx)
        .await
        .doing("read its index")?;
    let query = sqlx::query("DELETE FROM object WHERE id = ?").bind(old.id);
    query.execute(&mut **tx).await.doing("change its index")?;
    Ok(blobs)
}

async fn insert(tx: &mut Transaction<'static, Sqlite>, bucket: &str, draft: &Draft) -> S3Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO object (bucket, key, size, etag, modified_ms, headers, checksum_algorithm, checksum_type,
                             checksum, upload, encryption)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(bucket)
    .bind(draft.key.as_bytes())
    .bind(signed(draft.size))
    .bind(&draft.etag)
    .bind(draft.modified_ms)
    .bind(draft.headers.to_json())
    .bind(draft.checksum.algorithm.as_str())
    .bind(draft.checksum.kind.as_str())
    .bind(&draft.checksum.value)
    .bind(&draft.upload)
    .bind(draft.encryption.as_ref().map(Encryption::to_json))
    .fetch_one(&mut **tx)
    .await
    .doing("store the object")
}

async fn insert_pieces(tx: &mut Transaction<'static, Sqlite>, object: i64, pieces: &[Piece]) -> S3Result<()> {
    let mut start = 0;
    for piece in pieces {
        sqlx::query(
            "INSERT INTO object_blob (object, number, blob, start, size, checksum) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(object)
        .bind(piece.number)
        .bind(&piece.blob)
        .bind(signed(start))
        .bind(signed(piece.size))
        .bind(&piece.checksum)
        .execute(&mut **tx)
        .await
        .doing("store the object")?;
        start += piece.size;
    }
    Ok(())
}

async fn find(connection: &mut SqliteConnection, bucket: &str, key: &str) -> S3Result<Option<Object>> {
    let row = sqlx::query(
        "SELECT id, size, etag, modified_ms, headers, checksum_algorithm, checksum_type, checksum, upload,
                encryption
         FROM object WHERE bucket = ? AND key = ?",
    )
    .bind(bucket)
    .bind(key.as_bytes())
    .fetch_optional(connection)
    .await
    .doing("read its index")?;
    row.as_ref().map(read).transpose()
}

fn read(row: &SqliteRow) -> S3Result<Object> {
    Ok(Object {
        id: row.get(0),
        size: unsigned(row.get(1)),
        etag: row.get(2),
        modified_ms: row.get(3),
        headers: Headers::from_json(row.get(4))?,
        checksum: checksum(row.get(5), row.get(6), row.get(7))?,
        upload: row.get(8),
        encryption: row.get::<Option<&str>, _>(9).map(Encryption::from_json).transpose()?,
    })
}

fn checksum(algorithm: &str, kind: &str, value: String) -> S3Result<Checksum> {
    let algorithm = Algorithm::parse(algorithm).ok_or_else(|| damaged("a checksum"))?;
    let kind = Kind::parse(kind).ok_or_else(|| damaged("a checksum"))?;
    Ok(Checksum { algorithm, kind, value })
}

fn slice(row: &SqliteRow, range: &std::ops::Range<u64>) -> Slice {
    let (start, size) = (unsigned(row.get(1)), unsigned(row.get(2)));
    let (from, to) = (range.start.max(start), range.end.min(start + size));
    Slice { blob: row.get(0), start: from - start, size: to.saturating_sub(from), blob_size: size }
}

fn piece(row: &SqliteRow) -> Piece {
    Piece { number: row.get(0), blob: row.get(1), size: unsigned(row.get(2)), checksum: row.get(3) }
}

/// Sizes are below 2^63 by far; SQLite has no unsigned numbers.
pub fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

pub fn no_such_key() -> S3Error {
    refuse(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

pub fn precondition_failed() -> S3Error {
    let text = "At least one of the pre-conditions you specified did not hold.";
    refuse(S3ErrorCode::PreconditionFailed, text)
}
