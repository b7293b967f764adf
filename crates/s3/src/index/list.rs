//! Listings in key order: pages, prefixes, and what lies behind a delimiter rolled up with one seek.

use s3s::S3Result;
use sqlx::Row;

use super::object::unsigned;
use super::{Index, key};
use crate::error::Doing;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub bucket: String,
    pub prefix: String,
    /// Empty: nothing is rolled up.
    pub delimiter: String,
    /// The list begins behind this key, or behind all keys under this common prefix.
    pub after: String,
    /// Uploads only: of the key `after` those behind this id are listed too.
    pub after_upload: Option<String>,
    /// The most entries, common prefixes counted.
    pub limit: usize,
}

/// One page of a listing.
#[derive(Debug)]
pub struct Page<T> {
    pub entries: Vec<T>,
    pub prefixes: Vec<String>,
    /// The last key or common prefix of the page, when there is more.
    pub next: Option<String>,
}

/// An object as listings show it.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: i64,
    pub checksum_algorithm: String,
    pub checksum_type: String,
}

/// An unfinished upload as listings show it.
#[derive(Debug)]
pub struct UploadEntry {
    pub key: String,
    pub id: String,
    pub created_ms: i64,
    pub creator: String,
    pub checksum_algorithm: String,
    pub checksum_type: String,
}

/// Rows asked for at once where many may fall under one common prefix.
const BATCH_ROLLED_UP: usize = 100;

impl Index {
    pub async fn list_objects(&self, query: &Query) -> S3Result<Page<Entry>> {
        let mut roll = Roll::new(query);
        while let Some((from, to, batch)) = roll.range() {
            let rows = sqlx::query(
                "SELECT key, size, etag, modified_ms, checksum_algorithm, checksum_type FROM object
                 WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
            )
            .bind(&query.bucket)
            .bind(from)
            .bind(to)
            .bind(batch)
            .fetch_all(&self.reader)
            .await
            .doing("read its index")?;
            for row in &rows {
                roll.take(row.get(0), |key| Entry {
                    key,
                    size: unsigned(row.get(1)),
                    etag: row.get(2),
                    modified_ms: row.get(3),
                    checksum_algorithm: row.get(4),
                    checksum_type: row.get(5),
                });
            }
            roll.end_of_batch(rows.len());
        }
        Ok(roll.page)
    }

    pub async fn list_uploads(&self, query: &Query) -> S3Result<Page<UploadEntry>> {
        let mut roll = Roll::new(query);
        // A marker before the prefix says nothing about the uploads of a key behind it.
        let marker = query.after_upload.as_ref().filter(|_| query.after >= query.prefix);
        let mut behind = marker.map(|id| format!("{id}\0"));
        if behind.is_some() {
            roll.from = query.after.clone().into_bytes();
        }
        while let Some((from, to, batch)) = roll.range() {
            let rows = sqlx::query(
                "SELECT key, id, created_ms, creator, checksum_algorithm, checksum_type FROM upload
                 WHERE bucket = ? AND (key, id) >= (?, ?) AND key < ? ORDER BY key, id LIMIT ?",
            )
            .bind(&query.bucket)
            .bind(from)
            .bind(behind.take().unwrap_or_default())
            .bind(to)
            .bind(batch)
            .fetch_all(&self.reader)
            .await
            .doing("read its index")?;
            for row in &rows {
                roll.take(row.get(0), |key| UploadEntry {
                    key,
                    id: row.get(1),
                    created_ms: row.get(2),
                    creator: row.get(3),
                    checksum_algorithm: row.get(4),
                    checksum_type: row.get(5),
                });
            }
            roll.end_of_batch(rows.len());
            // One key may have many uploads: the next batch begins within it.
            if let (Some(last), false) = (rows.last(), roll.rolled) {
                roll.from = row_key(last);
                behind = Some(format!("{}\0", last.get::<String, _>(1)));
            }
        }
        Ok(roll.page)
    }
}

fn row_key(row: &sqlx::sqlite::SqliteRow) -> Vec<u8> {
    row.get(0)
}

/// Turns rows in key order into a page.
struct Roll<'q, T> {
    query: &'q Query,
    page: Page<T>,
    from: Vec<u8>,
    to: Vec<u8>,
    last: Vec<u8>,
    /// Whether the last row lay under the last common prefix.
    rolled: bool,
    batch: usize,
    done: bool,
}

impl<'q, T> Roll<'q, T> {
    fn new(query: &'q Query) -> Roll<'q, T> {
        let prefix = query.prefix.as_bytes();
        // Keys are UTF-8, which has no byte 0xff.
        let to = key::behind(prefix).unwrap_or_else(|| vec![0xff]);
        let from =
            if query.after.is_empty() { Vec::new() } else { behind_entry(query, query.after.as_bytes()) };
        let page = Page { entries: Vec::new(), prefixes: Vec::new(), next: None };
        let from = from.max(prefix.to_vec());
        Roll { query, page, from, to, last: Vec::new(), rolled: false, batch: 0, done: query.limit == 0 }
    }

    /// The keys to read next, and the most rows; `None` once the page is complete.
    fn range(&mut self) -> Option<(Vec<u8>, Vec<u8>, i64)> {
        if self.done || self.from >= self.to {
            return None;
        }
        let left = self.query.limit - self.len() + 1;
        self.batch = if self.query.delimiter.is_empty() { left } else { left.min(BATCH_ROLLED_UP) };
        Some((self.from.clone(), self.to.clone(), i64::try_from(self.batch).unwrap_or(i64::MAX)))
    }

    fn len(&self) -> usize {
        self.page.entries.len() + self.page.prefixes.len()
    }

    fn take(&mut self, key: &[u8], entry: impl FnOnce(String) -> T) {
        if self.done || (self.rolled && key.starts_with(&self.last)) {
            return;
        }
        if self.len() == self.query.limit {
            self.page.next = Some(key::text(&self.last).into_owned());
            self.done = true;
            return;
        }
        let prefix = key::common_prefix(key, self.query.prefix.as_bytes(), self.query.delimiter.as_bytes());
        self.rolled = prefix.is_some();
        self.last = prefix.unwrap_or(key).to_vec();
        let text = key::text(&self.last).into_owned();
        match prefix {
            Some(_) => self.page.prefixes.push(text),
            None => self.page.entries.push(entry(text)),
        }
    }

    fn end_of_batch(&mut self, rows: usize) {
        self.done |= rows < self.batch;
        self.from = match self.rolled {
            true => key::behind(&self.last).unwrap_or_else(|| self.to.clone()),
            false => next(&self.last),
        };
    }
}

// Behind a common prefix come the keys that do not begin with it; behind a key comes the next one.
fn behind_entry(query: &Query, entry: &[u8]) -> Vec<u8> {
    let prefix = key::common_prefix(entry, query.prefix.as_bytes(), query.delimiter.as_bytes());
    match prefix {
        Some(prefix) if prefix == entry => key::behind(entry).unwrap_or_else(|| next(entry)),
        _ => next(entry),
    }
}

fn next(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
