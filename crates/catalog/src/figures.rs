//! What an operator watches of the catalog: few numbers, each from rows that an index finds.

use model::Arn;
use model::error::Result;
use model::status::Status;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::{Catalog, JobKind, failed, stored_arn, unknown_word};

/// The numbers of one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The nodes that live.
    pub nodes: u64,
    pub datasets: Vec<DatasetFigures>,
    /// How many jobs of a kind wait or run; kinds and states without any are left out.
    pub open_jobs: Vec<(JobKind, Status, u64)>,
}

#[derive(Clone, Debug)]
pub struct DatasetFigures {
    pub id: i64,
    pub arn: Arn,
    /// The position of the log from which on its records are not yet in runs.
    pub flushed_position: u64,
    /// The runs that it consists of.
    pub runs: u64,
}

impl Catalog {
    /// # Errors
    /// `Unavailable` when the catalog does not answer.
    pub async fn figures(&self) -> Result<Figures> {
        let query = sqlx::query_scalar("SELECT count(*) FROM node WHERE ended_ms IS NULL");
        let nodes: i64 = query.fetch_one(self.pool()).await.map_err(failed)?;
        let query = sqlx::query(
            "SELECT dataset.id AS id, dataset.arn AS arn, dataset.flushed_position AS flushed_position,
             count(run.id) AS runs
             FROM dataset LEFT JOIN run ON run.dataset_id = dataset.id AND run.listed = 1
             GROUP BY dataset.id, dataset.arn, dataset.flushed_position ORDER BY dataset.id",
        );
        let datasets = query.fetch_all(self.pool()).await.map_err(failed)?;
        let query = sqlx::query(
            "SELECT kind, status, count(*) AS jobs FROM job
             WHERE status IN ('CREATE PENDING', 'CREATE IN_PROGRESS') GROUP BY kind, status",
        );
        let jobs = query.fetch_all(self.pool()).await.map_err(failed)?;
        Ok(Figures {
            nodes: nodes.cast_unsigned(),
            datasets: datasets.iter().map(dataset).collect::<Result<_>>()?,
            open_jobs: jobs.iter().map(open_jobs).collect::<Result<_>>()?,
        })
    }
}

fn dataset(row: &AnyRow) -> Result<DatasetFigures> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed);
    Ok(DatasetFigures {
        id: row.try_get("id").map_err(failed)?,
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        flushed_position: number("flushed_position")?,
        runs: number("runs")?,
    })
}

fn open_jobs(row: &AnyRow) -> Result<(JobKind, Status, u64)> {
    let kind = JobKind::parse(row.try_get("kind").map_err(failed)?).ok_or_else(|| unknown_word("kind"))?;
    let status = Status::parse(row.try_get("status").map_err(failed)?);
    let jobs: i64 = row.try_get("jobs").map_err(failed)?;
    Ok((kind, status.ok_or_else(|| unknown_word("status"))?, jobs.cast_unsigned()))
}
