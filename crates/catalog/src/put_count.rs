//! How many records were put, by dataset and minute: written in batches by whoever counts, and kept for some days.

use model::error::Result;
use sqlx::Any;

use crate::{Catalog, Transaction, failed};

// `put_day` is the sum of the last day that had puts: so one row tells of a dataset what lists show.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS put_minute (
    dataset_id INTEGER NOT NULL, minute INTEGER NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (dataset_id, minute)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS put_day (
    dataset_id INTEGER PRIMARY KEY, day INTEGER NOT NULL, records INTEGER NOT NULL, last_ms INTEGER NOT NULL
) STRICT;
";

/// Minutes of a day.
pub const DAY: i64 = 24 * 60;

/// Records that were put to a dataset in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutCount {
    pub dataset_id: i64,
    /// Minutes since 1970, UTC.
    pub minute: i64,
    pub records: u64,
    /// When the last of them came.
    pub last_ms: i64,
}

impl Catalog {
    /// Adds to what was counted before; counts of datasets that are gone are dropped.
    pub async fn add_put_counts(&self, counts: &[PutCount]) -> Result<()> {
        let mut tx = self.write().await?;
        for count in counts {
            add_minute(&mut tx, count).await?;
            add_day(&mut tx, count).await?;
        }
        tx.commit().await.map_err(failed)
    }

    /// Forgets the counts of minutes before one.
    pub async fn forget_put_counts(&self, before: i64) -> Result<()> {
        let mut tx = self.write().await?;
        // By dataset, as the rows lie: none that stays is looked at.
        let query = sqlx::query(
            "DELETE FROM put_minute WHERE dataset_id IN (SELECT dataset_id FROM put_day) AND minute < $1",
        );
        query.bind(before).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// The minutes from one on in which records were put to a dataset, and how many; in ascending order.
    pub async fn put_counts(&self, dataset_id: i64, from: i64) -> Result<Vec<(i64, u64)>> {
        let query = sqlx::query_as(
            "SELECT minute, records FROM put_minute WHERE dataset_id = $1 AND minute >= $2 ORDER BY minute",
        );
        let rows: Vec<(i64, i64)> =
            query.bind(dataset_id).bind(from).fetch_all(self.pool()).await.map_err(failed)?;
        Ok(rows.into_iter().map(|(minute, records)| (minute, records.cast_unsigned())).collect())
    }
}

/// Forgets what was put to a dataset that is being deleted.
pub(crate) async fn forget(tx: &mut Transaction<'static, Any>, dataset_id: i64) -> Result<()> {
    for sql in ["DELETE FROM put_minute WHERE dataset_id = $1", "DELETE FROM put_day WHERE dataset_id = $1"] {
        sqlx::query(sql).bind(dataset_id).execute(&mut **tx).await.map_err(failed)?;
    }
    Ok(())
}

async fn add_minute(tx: &mut Transaction<'static, Any>, count: &PutCount) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO put_minute SELECT $1, $2, $3 FROM dataset WHERE id = $1
         ON CONFLICT (dataset_id, minute) DO UPDATE SET records = put_minute.records + excluded.records",
    );
    let query = query.bind(count.dataset_id).bind(count.minute).bind(count.records.cast_signed());
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

// What comes late for a day that is over, or by a clock that was set back, changes nothing of the later day.
async fn add_day(tx: &mut Transaction<'static, Any>, count: &PutCount) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO put_day SELECT $1, $2, $3, $4 FROM dataset WHERE id = $1
         ON CONFLICT (dataset_id) DO UPDATE SET
             records = excluded.records + CASE WHEN put_day.day = excluded.day THEN put_day.records ELSE 0 END,
             day = excluded.day, last_ms = max(put_day.last_ms, excluded.last_ms)
         WHERE put_day.day <= excluded.day",
    )
    .bind(count.dataset_id)
    .bind(count.minute.div_euclid(DAY))
    .bind(count.records.cast_signed())
    .bind(count.last_ms);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}
