//! What datasets hold, as the rows of their runs tell it: no file is read.

use model::error::Result;
use model::status::Status;
use model::{Arn, DatasetType};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::{Catalog, Page, failed, page, stored_arn, unknown_word};

/// How much came one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Records as they arrived, duplicates counted.
    pub records: u64,
    /// Records that differ within their run; compaction finds the duplicates between runs.
    pub rows: u64,
}

/// A dataset and what its runs hold.
#[derive(Clone, Debug)]
pub struct ContentsRow {
    pub id: i64,
    pub arn: Arn,
    pub name: String,
    pub group_arn: Arn,
    pub dataset_type: DatasetType,
    pub status: Status,
    pub created_ms: i64,
    /// Put records below this position of the log are in runs.
    pub flushed_position: u64,
    pub bulk: Held,
    pub put: Held,
    pub runs: u64,
    pub size_bytes: u64,
    /// The last day that is known to have had puts, in days since 1970, how many, and the time of the last.
    pub last_puts: Option<LastPuts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPuts {
    pub day: i64,
    pub records: u64,
    pub last_ms: i64,
}

impl Catalog {
    pub async fn contents(&self, arn: &Arn) -> Result<Option<ContentsRow>> {
        let sql = sql("WHERE arn = $1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// One page of datasets with what they hold, of one group or of all.
    pub async fn all_contents(&self, group: Option<&Arn>, page: &Page) -> Result<Vec<ContentsRow>> {
        let sql = sql("WHERE (created_ms < $1 OR (created_ms = $1 AND arn > $2))
             AND ($4 IS NULL OR group_arn = $4) ORDER BY created_ms DESC, arn LIMIT $3");
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(page.before_ms())
            .bind(page.after_arn())
            .bind(page.rows())
            .bind(page::filter(group));
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }
}

// The datasets come first, each then finds its runs by their index. `filter` is text of this file.
fn sql(filter: &str) -> String {
    let of = |column: &str, origin: &str| {
        format!("CAST(coalesce(sum({column}) FILTER (WHERE origin = '{origin}'), 0) AS BIGINT)")
    };
    format!(
        "SELECT dataset.*, {} AS bulk_records, {} AS bulk_rows, {} AS put_records, {} AS put_rows,
         count(run.id) AS runs, CAST(coalesce(sum(size_bytes), 0) AS BIGINT) AS size_bytes,
         day, put_day.records AS day_records, last_ms
         FROM (SELECT id, arn, name, group_arn, dataset_type, status, flushed_position, created_ms
             FROM dataset {filter}) AS dataset
         LEFT JOIN run ON run.dataset_id = dataset.id AND listed = 1
         LEFT JOIN put_day ON put_day.dataset_id = dataset.id
         GROUP BY dataset.id, dataset.arn, dataset.name, dataset.group_arn, dataset.dataset_type, dataset.status,
             dataset.flushed_position, dataset.created_ms, day, put_day.records, last_ms
         ORDER BY dataset.created_ms DESC, arn",
        of("record_count", "BULK"),
        of("row_count", "BULK"),
        of("record_count", "PUT"),
        of("row_count", "PUT"),
    )
}

fn read(row: &AnyRow) -> Result<ContentsRow> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    let day: Option<i64> = row.try_get("day").map_err(failed)?;
    let last_puts = |day| -> Result<LastPuts> {
        let last_ms = row.try_get("last_ms").map_err(failed)?;
        Ok(LastPuts { day, records: number("day_records")?, last_ms })
    };
    Ok(ContentsRow {
        id: row.try_get("id").map_err(failed)?,
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        group_arn: stored_arn(row.try_get("group_arn").map_err(failed)?)?,
        dataset_type: DatasetType::parse(row.try_get("dataset_type").map_err(failed)?)
            .ok_or_else(|| unknown_word("dataset_type"))?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        flushed_position: number("flushed_position")?,
        bulk: Held { records: number("bulk_records")?, rows: number("bulk_rows")? },
        put: Held { records: number("put_records")?, rows: number("put_rows")? },
        runs: number("runs")?,
        size_bytes: number("size_bytes")?,
        last_puts: day.map(last_puts).transpose()?,
    })
}
