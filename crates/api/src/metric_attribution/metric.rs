//! A metric as requests write it, and whether it fits the datasets of its group.

use std::collections::HashSet;

use catalog::{DatasetRow, NewMetric, Page};
use model::metric::Expression;
use model::schema::Storage;
use model::{Arn, DatasetType, Error, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, required, text};

use crate::dataset::check_active;
use crate::door::Api;
use crate::reply::Answer;

// The service model lets these be empty; such a metric would watch nothing, or be called nothing.
static MEMBERS: Structure = Structure::new(&[
    required("eventType", text(1, 256)),
    required("metricName", text(1, 256)),
    required("expression", text(1, 256)),
]);
pub static SHAPE: Shape = Shape::Structure(&MEMBERS);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    event_type: String,
    metric_name: String,
    expression: String,
}

impl Metric {
    pub fn into_new(self) -> NewMetric {
        NewMetric { name: self.metric_name, event_type: self.event_type, expression: self.expression }
    }

    pub fn from_stored(metric: NewMetric) -> Metric {
        Metric { event_type: metric.event_type, metric_name: metric.name, expression: metric.expression }
    }
}

/// Checks that metrics can be made of the group's datasets; the ids of the datasets that they need.
///
/// Source: "Requirements and guidelines" of metric attributions.
///
/// # Errors
/// `Invalid` for the first metric that does not fit; `InUse` when a dataset is not ACTIVE.
pub async fn check(api: &Api, group: &Arn, metrics: &[Metric]) -> Answer<Vec<i64>> {
    check_names(metrics)?;
    let datasets = api.catalog.datasets(Some(group), &Page::first(DatasetType::ALL.len())).await?;
    let interactions = find(&datasets, DatasetType::Interactions).filter(|d| has_event_type(d));
    let interactions = interactions.ok_or_else(|| {
        Error::invalid(format!(
            "A metric attribution needs an Interactions dataset whose schema has EVENT_TYPE: {group}"
        ))
    })?;
    check_active(interactions)?;
    let mut ids = vec![interactions.id];
    for metric in metrics {
        match read(metric)? {
            Expression::SampleCount => {}
            Expression::Sum { dataset_type: DatasetType::Items, column } => {
                let items = items(api, find(&datasets, DatasetType::Items), metric).await?;
                check_column(items, &column, metric)?;
                ids.push(items.id);
            }
            Expression::Sum { column, .. } => check_column(interactions, &column, metric)?,
        }
    }
    Ok(ids)
}

// Reports write names in upper case: two that differ in case alone would be one there.
fn check_names(metrics: &[Metric]) -> Result<()> {
    let mut seen = HashSet::new();
    let twice = metrics.iter().find(|metric| !seen.insert(metric.metric_name.to_uppercase()));
    twice.map_or(Ok(()), |metric| {
        Err(Error::invalid(format!("Metric name is there twice: {}", metric.metric_name)))
    })
}

fn find(datasets: &[DatasetRow], dataset_type: DatasetType) -> Option<&DatasetRow> {
    datasets.iter().find(|dataset| dataset.dataset_type == dataset_type)
}

fn has_event_type(interactions: &DatasetRow) -> bool {
    interactions.layout.position("EVENT_TYPE").is_some()
}

fn read(metric: &Metric) -> Result<Expression> {
    Expression::parse(&metric.expression).ok_or_else(|| {
        Error::invalid(format!(
            "The expression of metric {} must be SAMPLECOUNT(), SUM(Items.COLUMN) or SUM(Interactions.COLUMN): {}",
            metric.metric_name, metric.expression
        ))
    })
}

async fn items<'a>(api: &Api, items: Option<&'a DatasetRow>, metric: &Metric) -> Answer<&'a DatasetRow> {
    let name = &metric.metric_name;
    let items = items.ok_or_else(|| {
        Error::invalid(format!("The metric {name} sums a column of items: the group has no Items dataset."))
    })?;
    check_active(items)?;
    if !api.catalog.has_imported(items.id).await? {
        let text = format!("The metric {name} sums a column of items: import item data first: {}", items.arn);
        return Err(Error::invalid(text).into());
    }
    Ok(items)
}

fn check_column(dataset: &DatasetRow, column: &str, metric: &Metric) -> Result<()> {
    let layout = &dataset.layout;
    let storage = layout.position(column).map(|n| layout.columns[n].kind().storage());
    if matches!(storage, Some(Storage::Long | Storage::Double)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The metric {} can't sum {column}: the schema of the {} dataset has no numeric column of this name.",
        metric.metric_name,
        dataset.dataset_type.record_name()
    )))
}
