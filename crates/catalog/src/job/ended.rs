//! Jobs that have ended, as much of them as a chart shows.

use model::Arn;
use model::error::Result;
use model::status::Status;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::JobKind;
use crate::{Catalog, DatasetRow, failed, stored_arn, unknown_word};

#[derive(Clone, Debug)]
pub struct EndedJob {
    pub arn: Arn,
    pub kind: JobKind,
    pub status: Status,
    pub created_ms: i64,
    pub ended_ms: i64,
    pub rows: u64,
}

impl Catalog {
    /// The last imports and exports of a dataset that have ended, in the order in which they were created.
    pub async fn ended_jobs(&self, dataset: &DatasetRow, most: u32) -> Result<Vec<EndedJob>> {
        let query = sqlx::query(
            "SELECT arn, kind, status, created_ms, updated_ms, rows_done FROM job
             WHERE subject_arn = $1 AND kind IN ('IMPORT', 'EXPORT') AND dataset_id = $2
             AND status NOT IN ('CREATE PENDING', 'CREATE IN_PROGRESS') ORDER BY number DESC LIMIT $3",
        );
        let query = query.bind(dataset.arn.as_str()).bind(dataset.id).bind(i64::from(most));
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().rev().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<EndedJob> {
    let status = Status::parse(row.try_get("status").map_err(failed)?);
    Ok(EndedJob {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        kind: JobKind::parse(row.try_get("kind").map_err(failed)?).ok_or_else(|| unknown_word("kind"))?,
        status: status.ok_or_else(|| unknown_word("status"))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        ended_ms: row.try_get("updated_ms").map_err(failed)?,
        rows: row.try_get::<i64, _>("rows_done").map_err(failed)?.cast_unsigned(),
    })
}
