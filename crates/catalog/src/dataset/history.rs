//! How many records a dataset had: a point for each change, written by the transaction that changes its runs.

use model::error::Result;
use sqlx::{Any, Row};

use crate::{Catalog, Transaction, failed};

// What was there before there were points begins with the state of the last change.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS row_history (
    dataset_id INTEGER NOT NULL, at_ms INTEGER NOT NULL, bulk INTEGER NOT NULL, put INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, at_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO row_history SELECT dataset_id, max(created_ms),
    coalesce(sum(record_count) FILTER (WHERE origin = 'BULK'), 0),
    coalesce(sum(record_count) FILTER (WHERE origin = 'PUT'), 0)
FROM run WHERE listed = 1 AND dataset_id NOT IN (SELECT dataset_id FROM row_history) GROUP BY dataset_id;
";

/// A dataset has no more points than this.
pub const POINTS_MAX: i64 = 200;

/// Records in runs as they arrived, from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub at_ms: i64,
    pub bulk: u64,
    pub put: u64,
}

impl Catalog {
    /// In ascending order; the older the points, the farther apart they are.
    pub async fn history(&self, dataset_id: i64) -> Result<Vec<Point>> {
        let query = sqlx::query("SELECT * FROM row_history WHERE dataset_id = $1 ORDER BY at_ms");
        let rows = query.bind(dataset_id).fetch_all(self.pool()).await.map_err(failed)?;
        let point = |row: &sqlx::any::AnyRow| -> Result<Point> {
            let number = |column: &str| row.try_get::<i64, _>(column).map_err(failed);
            let (bulk, put) = (number("bulk")?.cast_unsigned(), number("put")?.cast_unsigned());
            Ok(Point { at_ms: number("at_ms")?, bulk, put })
        };
        rows.iter().map(point).collect()
    }
}

/// Adds a point after a change of a dataset's runs, at the end of the transaction that changes them.
pub(crate) async fn note(tx: &mut Transaction<'static, Any>, dataset_id: i64, now_ms: i64) -> Result<()> {
    // A clock that was set back does not bring the points out of their order.
    let query = sqlx::query(
        "INSERT INTO row_history SELECT $1,
             max($2, coalesce((SELECT max(at_ms) FROM row_history WHERE dataset_id = $1), 0)),
             coalesce(sum(record_count) FILTER (WHERE origin = 'BULK'), 0),
             coalesce(sum(record_count) FILTER (WHERE origin = 'PUT'), 0)
         FROM run WHERE dataset_id = $1 AND listed = 1
         ON CONFLICT (dataset_id, at_ms) DO UPDATE SET bulk = excluded.bulk, put = excluded.put",
    );
    query.bind(dataset_id).bind(now_ms).execute(&mut **tx).await.map_err(failed)?;
    thin(tx, dataset_id).await
}

/// Forgets the points of a dataset that is being deleted.
pub(crate) async fn forget(tx: &mut Transaction<'static, Any>, dataset_id: i64) -> Result<()> {
    let query = sqlx::query("DELETE FROM row_history WHERE dataset_id = $1").bind(dataset_id);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

// Every other one of the older half goes as soon as there is one too many; the first and the newest stay.
async fn thin(tx: &mut Transaction<'static, Any>, dataset_id: i64) -> Result<()> {
    let query = sqlx::query_scalar("SELECT count(*) FROM row_history WHERE dataset_id = $1");
    let count: i64 = query.bind(dataset_id).fetch_one(&mut **tx).await.map_err(failed)?;
    if count <= POINTS_MAX {
        return Ok(());
    }
    let query = sqlx::query(
        "DELETE FROM row_history WHERE dataset_id = $1 AND at_ms IN (SELECT at_ms FROM (
             SELECT at_ms, row_number() OVER (ORDER BY at_ms) AS n FROM row_history WHERE dataset_id = $1) AS point
         WHERE n <= $2 AND n % 2 = 0)",
    );
    query.bind(dataset_id).bind(POINTS_MAX / 2).execute(&mut **tx).await.map_err(failed).map(drop)
}
