//! The reports that import jobs are to write: promised when the job is created, each under a name of its own.

use model::error::{Error, Result};
use model::metric::report_name;
use model::{Arn, DatasetType, ImportMode};
use sqlx::{Any, Row};

use super::{MetricAttributionRow, read};
use crate::{Catalog, DatasetRow, Transaction, failed, in_use};

/// What a report is of, and where it goes.
#[derive(Clone, Debug)]
pub struct PromisedReport {
    pub attribution: MetricAttributionRow,
    /// `s3://bucket/key`.
    pub location: String,
}

impl Catalog {
    /// The report that a job is to write; `None` when it is to write none.
    pub async fn promised_report(&self, job: &Arn) -> Result<Option<PromisedReport>> {
        let query = sqlx::query(
            "SELECT metric_attribution.*, location FROM metric_report
             JOIN metric_attribution ON metric_attribution.arn = attribution_arn WHERE job_arn = $1",
        );
        let row = query.bind(job.as_str()).fetch_optional(self.pool()).await.map_err(failed)?;
        let promised = |row| {
            let location = Row::try_get(row, "location").map_err(failed)?;
            Ok(PromisedReport { attribution: read(row)?, location })
        };
        row.as_ref().map(promised).transpose()
    }
}

/// Promises the report of a new import job, in the transaction that creates the job.
///
/// # Errors
/// `Invalid` when the dataset holds no interactions, or its group has no metric attribution with a place for reports.
pub(crate) async fn promise(
    tx: &mut Transaction<'static, Any>,
    job: &Arn,
    dataset: &DatasetRow,
    mode: ImportMode,
    now_ms: i64,
) -> Result<()> {
    let group = &dataset.group_arn;
    let query = sqlx::query("SELECT * FROM metric_attribution WHERE group_arn = $1").bind(group.as_str());
    let row = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    let attribution = row.as_ref().map(read).transpose()?;
    let path = attribution.as_ref().and_then(|a| a.output.path.as_deref());
    let (Some(attribution), Some(path), DatasetType::Interactions) =
        (&attribution, path, dataset.dataset_type)
    else {
        return Err(Error::invalid(format!(
            "There is nothing to publish: the dataset group has no metric attribution with an S3 destination: {group}"
        )));
    };
    let mut created_s = now_ms.div_euclid(1000);
    // Two jobs of one second would write to one name, and one report would be lost: the later takes the next second.
    while !insert(tx, job, &attribution.arn, &location(path, mode, created_s)).await? {
        created_s += 1;
    }
    Ok(())
}

fn location(path: &str, mode: ImportMode, created_s: i64) -> String {
    let slash = if path.ends_with('/') { "" } else { "/" };
    format!("{path}{slash}{}", report_name(mode, created_s))
}

async fn insert(
    tx: &mut Transaction<'static, Any>,
    job: &Arn,
    attribution: &Arn,
    location: &str,
) -> Result<bool> {
    let query =
        sqlx::query("INSERT INTO metric_report VALUES ($1, $2, $3) ON CONFLICT (location) DO NOTHING");
    let query = query.bind(job.as_str()).bind(attribution.as_str()).bind(location);
    Ok(query.execute(&mut **tx).await.map_err(failed)?.rows_affected() > 0)
}

/// # Errors
/// `InUse` while an import job is to write a report of this attribution.
pub(super) async fn check_none_open(tx: &mut Transaction<'static, Any>, attribution: &Arn) -> Result<()> {
    let query = sqlx::query_scalar(
        "SELECT job.arn FROM metric_report JOIN job ON job.arn = job_arn
         WHERE attribution_arn = $1 AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')",
    );
    let open: Option<String> =
        query.bind(attribution.as_str()).fetch_optional(&mut **tx).await.map_err(failed)?;
    match open {
        Some(job) => Err(in_use(format!(
            "The dataset import job {job} is pending or in progress and is to write a report of the metric attribution: {attribution}"
        ))),
        None => Ok(()),
    }
}
