//! Metric attributions: one a group, with the metrics that it watches and the place for reports of them.

mod metric;
mod report;

use model::error::{Error, Result};
use model::status::Status;
use model::{Arn, ErrorKind};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::{
    Catalog, Page, Transaction, failed, in_use, not_found, not_inserted, page, stored_arn, unknown_word,
};

pub(crate) use metric::needed_datasets;
pub use metric::{MetricRow, NewMetric};
pub use report::PromisedReport;
pub(crate) use report::promise;

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS metric_attribution (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, group_arn TEXT NOT NULL UNIQUE REFERENCES dataset_group (arn),
    output TEXT NOT NULL, status TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS metric (
    number INTEGER PRIMARY KEY AUTOINCREMENT, attribution_arn TEXT NOT NULL REFERENCES metric_attribution (arn),
    name TEXT NOT NULL, event_type TEXT NOT NULL, expression TEXT NOT NULL, UNIQUE (attribution_arn, name)
) STRICT;
CREATE TABLE IF NOT EXISTS metric_report (
    job_arn TEXT PRIMARY KEY, attribution_arn TEXT NOT NULL, location TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
";

/// Where reports go, and as whom they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsOutput {
    pub role_arn: String,
    /// Exactly as it was sent; without one there are no reports.
    pub path: Option<String>,
    /// The key under which reports are written.
    #[serde(default)]
    pub kms_key_arn: Option<String>,
}

pub struct NewMetricAttribution {
    pub arn: Arn,
    pub name: String,
    pub group_arn: Arn,
    pub metrics: Vec<NewMetric>,
    pub output: MetricsOutput,
    /// The ids of the datasets that the metrics were found to fit; none of them may have gone since.
    pub dataset_ids: Vec<i64>,
}

/// What is to be changed of a metric attribution; metrics are removed before others are added.
pub struct MetricAttributionUpdate {
    pub arn: Arn,
    pub remove: Vec<String>,
    pub add: Vec<NewMetric>,
    pub output: Option<MetricsOutput>,
    /// As in `NewMetricAttribution`.
    pub dataset_ids: Vec<i64>,
}

#[derive(Clone, Debug)]
pub struct MetricAttributionRow {
    pub arn: Arn,
    pub name: String,
    pub group_arn: Arn,
    pub output: MetricsOutput,
    pub status: Status,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Catalog {
    /// Creates a metric attribution; nothing has to be made ready for it, so it is ACTIVE at once.
    ///
    /// # Errors
    /// `NotFound` when the group is gone; `InUse` when it is not ACTIVE, or lost a dataset a moment ago;
    /// `AlreadyExists` when the name is taken, or the group has a metric attribution.
    pub async fn create_metric_attribution(&self, new: &NewMetricAttribution) -> Result<()> {
        let now_ms = self.now_ms();
        let mut tx = self.write().await?;
        check_group(&mut tx, new).await?;
        check_datasets(&mut tx, &new.dataset_ids).await?;
        sqlx::query("INSERT INTO metric_attribution VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(new.arn.as_str())
            .bind(&new.name)
            .bind(new.group_arn.as_str())
            .bind(text(&new.output)?)
            .bind(Status::Active.as_str())
            .bind(now_ms)
            .bind(now_ms)
            .execute(&mut *tx)
            .await
            .map_err(not_inserted(&new.arn))?;
        metric::add(&mut tx, &new.arn, &new.metrics).await?;
        tx.commit().await.map_err(failed)
    }

    pub async fn metric_attribution(&self, arn: &Arn) -> Result<Option<MetricAttributionRow>> {
        let query = sqlx::query("SELECT * FROM metric_attribution WHERE arn = $1").bind(arn.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    pub async fn metric_attribution_of(&self, group: &Arn) -> Result<Option<MetricAttributionRow>> {
        let query = sqlx::query("SELECT * FROM metric_attribution WHERE group_arn = $1").bind(group.as_str());
        query.fetch_optional(self.pool()).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    /// One page of metric attributions, of one group or of all.
    pub async fn metric_attributions(
        &self,
        group: Option<&Arn>,
        page: &Page,
    ) -> Result<Vec<MetricAttributionRow>> {
        let rows = sqlx::query(
            "SELECT * FROM metric_attribution WHERE (created_ms < $1 OR (created_ms = $1 AND arn > $2))
             AND ($4 IS NULL OR group_arn = $4) ORDER BY created_ms DESC, arn LIMIT $3",
        )
        .bind(page.before_ms())
        .bind(page.after_arn())
        .bind(page.rows())
        .bind(page::filter(group))
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Removes metrics, adds others and changes the output, or does nothing of it.
    ///
    /// # Errors
    /// `NotFound` for the attribution, or a metric to be removed; `InUse` while an import is to write a report of it;
    /// `AlreadyExists` for a metric to be added; `Invalid` when there would be more than ten.
    pub async fn update_metric_attribution(&self, update: &MetricAttributionUpdate) -> Result<()> {
        let mut tx = self.write().await?;
        report::check_none_open(&mut tx, &update.arn).await?;
        let output = update.output.as_ref().map(text).transpose()?;
        let done = sqlx::query(
            "UPDATE metric_attribution SET output = coalesce($1, output), updated_ms = max(updated_ms, $2) WHERE arn = $3",
        )
        .bind(output)
        .bind(self.now_ms())
        .bind(update.arn.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(not_found("metric attribution", &update.arn));
        }
        metric::remove(&mut tx, &update.arn, &update.remove).await?;
        check_datasets(&mut tx, &update.dataset_ids).await?;
        metric::add(&mut tx, &update.arn, &update.add).await?;
        tx.commit().await.map_err(failed)
    }

    /// # Errors
    /// `NotFound`; `InUse` while an import is to write a report of it.
    pub async fn delete_metric_attribution(&self, arn: &Arn) -> Result<()> {
        let mut tx = self.write().await?;
        report::check_none_open(&mut tx, arn).await?;
        let query = sqlx::query("DELETE FROM metric WHERE attribution_arn = $1").bind(arn.as_str());
        query.execute(&mut *tx).await.map_err(failed)?;
        let query = sqlx::query("DELETE FROM metric_attribution WHERE arn = $1").bind(arn.as_str());
        if query.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
            return Err(not_found("metric attribution", arn));
        }
        tx.commit().await.map_err(failed)
    }
}

async fn check_group(tx: &mut Transaction<'static, Any>, new: &NewMetricAttribution) -> Result<()> {
    let group = &new.group_arn;
    let query = sqlx::query_scalar("SELECT status FROM dataset_group WHERE arn = $1").bind(group.as_str());
    let status: Option<String> = query.fetch_optional(&mut **tx).await.map_err(failed)?;
    match status.as_deref().and_then(Status::parse) {
        None => return Err(not_found("dataset group", group)),
        Some(Status::Active) => {}
        Some(_) => return Err(in_use(format!("The dataset group is not active: {group}"))),
    }
    let query = sqlx::query_scalar("SELECT arn FROM metric_attribution WHERE group_arn = $1");
    let other: Option<String> = query.bind(group.as_str()).fetch_optional(&mut **tx).await.map_err(failed)?;
    match other {
        // The same name is told as such when the row is inserted.
        Some(other) if other != new.arn.as_str() => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("The dataset group has the metric attribution {other} already: {group}"),
        )),
        _ => Ok(()),
    }
}

async fn check_datasets(tx: &mut Transaction<'static, Any>, ids: &[i64]) -> Result<()> {
    for id in ids {
        let query = sqlx::query_scalar::<_, i64>("SELECT 1 FROM dataset WHERE id = $1").bind(id);
        let found = query.fetch_optional(&mut **tx).await.map_err(failed)?;
        found.ok_or_else(|| in_use("A dataset that the metrics refer to was just deleted."))?;
    }
    Ok(())
}

fn text(output: &MetricsOutput) -> Result<String> {
    serde_json::to_string(output)
        .map_err(|e| Error::internal("write a metric attribution's row").caused_by(e))
}

fn read(row: &AnyRow) -> Result<MetricAttributionRow> {
    let output: &str = row.try_get("output").map_err(failed)?;
    Ok(MetricAttributionRow {
        arn: stored_arn(row.try_get("arn").map_err(failed)?)?,
        name: row.try_get("name").map_err(failed)?,
        group_arn: stored_arn(row.try_get("group_arn").map_err(failed)?)?,
        output: serde_json::from_str(output)
            .map_err(|e| Error::corrupt("a metric attribution's row can't be read").caused_by(e))?,
        status: Status::parse(row.try_get("status").map_err(failed)?)
            .ok_or_else(|| unknown_word("status"))?,
        created_ms: row.try_get("created_ms").map_err(failed)?,
        updated_ms: row.try_get("updated_ms").map_err(failed)?,
    })
}
