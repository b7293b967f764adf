//! The metrics of a metric attribution: rows in the order in which they were added.

use model::error::{Error, Result};
use model::metric::{Expression, METRICS_MAX};
use model::{Arn, ErrorKind};
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use crate::{Catalog, Page, Transaction, failed};

/// A metric to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMetric {
    pub name: String,
    pub event_type: String,
    /// Exactly as it was sent.
    pub expression: String,
}

#[derive(Clone, Debug)]
pub struct MetricRow {
    /// Metrics are listed and reported in the order of their numbers, the order in which they were added.
    pub number: i64,
    pub metric: NewMetric,
}

impl Catalog {
    /// One page of the metrics of an attribution, in their order.
    pub async fn metrics(&self, attribution: &Arn, page: &Page) -> Result<Vec<MetricRow>> {
        let query = sqlx::query(
            "SELECT * FROM metric WHERE attribution_arn = $1 AND number > $2 ORDER BY number LIMIT $3",
        );
        let query = query.bind(attribution.as_str()).bind(page.after_number()).bind(page.rows());
        query.fetch_all(self.pool()).await.map_err(failed)?.iter().map(read).collect()
    }
}

/// # Errors
/// `NotFound` for the first name that no metric has.
pub(super) async fn remove(tx: &mut Transaction<'static, Any>, arn: &Arn, names: &[String]) -> Result<()> {
    for name in names {
        let query = sqlx::query("DELETE FROM metric WHERE attribution_arn = $1 AND name = $2");
        let done = query.bind(arn.as_str()).bind(name).execute(&mut **tx).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            let text = format!("The metric attribution has no metric {name}: {arn}");
            return Err(Error::new(ErrorKind::NotFound, text));
        }
    }
    Ok(())
}

/// # Errors
/// `AlreadyExists` for a name that is taken; `Invalid` when there would be more than ten.
pub(super) async fn add(tx: &mut Transaction<'static, Any>, arn: &Arn, metrics: &[NewMetric]) -> Result<()> {
    let query = sqlx::query_scalar("SELECT name FROM metric WHERE attribution_arn = $1").bind(arn.as_str());
    let mut names: Vec<String> = query.fetch_all(&mut **tx).await.map_err(failed)?;
    for metric in metrics {
        // Reports write names in upper case: two that differ in case alone would be one there.
        if names.iter().any(|name| name.to_uppercase() == metric.name.to_uppercase()) {
            let text = format!("The metric attribution has a metric {} already: {arn}", metric.name);
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        insert(tx, arn, metric).await?;
        names.push(metric.name.clone());
    }
    if names.len() > METRICS_MAX {
        return Err(Error::invalid(format!("A metric attribution can have at most {METRICS_MAX} metrics.")));
    }
    Ok(())
}

async fn insert(tx: &mut Transaction<'static, Any>, arn: &Arn, metric: &NewMetric) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO metric (attribution_arn, name, event_type, expression) VALUES ($1, $2, $3, $4)",
    );
    let query = query.bind(arn.as_str()).bind(&metric.name).bind(&metric.event_type).bind(&metric.expression);
    query.execute(&mut **tx).await.map_err(failed).map(drop)
}

/// Whether a metric attribution of the group needs its Interactions dataset, and whether it needs its Items dataset.
pub(crate) async fn needed_datasets(tx: &mut Transaction<'static, Any>, group: &Arn) -> Result<(bool, bool)> {
    let query = sqlx::query_scalar("SELECT count(*) FROM metric_attribution WHERE group_arn = $1");
    let attributions: i64 = query.bind(group.as_str()).fetch_one(&mut **tx).await.map_err(failed)?;
    let query = sqlx::query_scalar(
        "SELECT expression FROM metric JOIN metric_attribution ON arn = attribution_arn WHERE group_arn = $1",
    );
    let expressions: Vec<String> = query.bind(group.as_str()).fetch_all(&mut **tx).await.map_err(failed)?;
    let sums_items = |text: &String| Expression::parse(text).is_some_and(|e| e.item_column().is_some());
    Ok((attributions > 0, expressions.iter().any(sums_items)))
}

fn read(row: &AnyRow) -> Result<MetricRow> {
    let metric = NewMetric {
        name: row.try_get("name").map_err(failed)?,
        event_type: row.try_get("event_type").map_err(failed)?,
        expression: row.try_get("expression").map_err(failed)?,
    };
    Ok(MetricRow { number: row.try_get("number").map_err(failed)?, metric })
}
