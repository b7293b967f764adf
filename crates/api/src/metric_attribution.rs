//! Metric attributions: CreateMetricAttribution, DescribeMetricAttribution, ListMetricAttributions,
//! ListMetricAttributionMetrics, UpdateMetricAttribution, DeleteMetricAttribution.

mod metric;
mod output;

pub use output::can_publish;

use catalog::{MetricAttributionRow, MetricAttributionUpdate, NewMetricAttribution};
use model::metric::METRICS_MAX;
use model::status::Status;
use model::{Arn, Error, ErrorKind};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, list as list_of, optional, required, text};

use crate::door::Api;
use crate::paging::{PageInput, PageOfGroup, Pager};
use crate::reply::{Answer, Seconds, already_exists, not_found};
use crate::shapes;
use metric::Metric;
use output::OutputConfig;

static METRIC_NAME: Shape = text(1, 256);
const METRICS: Shape = list_of(0, METRICS_MAX, &metric::SHAPE);
pub static CREATE: Structure = Structure::new(&[
    required("name", shapes::name()),
    required("datasetGroupArn", shapes::arn()),
    required("metrics", METRICS),
    required("metricsOutputConfig", Shape::Structure(&output::SHAPE)),
]);
pub static BY_ARN: Structure = Structure::new(&[required("metricAttributionArn", shapes::arn())]);
// Neither here nor below does the service model require the attribution; there is nothing to do without one.
pub static METRICS_PAGE: Structure = Structure::new(&[
    required("metricAttributionArn", shapes::arn()),
    shapes::next_token(),
    shapes::max_results(),
]);
pub static UPDATE: Structure = Structure::new(&[
    required("metricAttributionArn", shapes::arn()),
    optional("addMetrics", METRICS),
    optional("removeMetrics", list_of(0, METRICS_MAX, &METRIC_NAME)),
    optional("metricsOutputConfig", Shape::Structure(&output::SHAPE)),
]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    name: String,
    dataset_group_arn: Arn,
    metrics: Vec<Metric>,
    metrics_output_config: OutputConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    metric_attribution_arn: Arn,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsPage {
    metric_attribution_arn: Arn,
    #[serde(flatten)]
    page: PageInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    metric_attribution_arn: Arn,
    add_metrics: Option<Vec<Metric>>,
    remove_metrics: Option<Vec<String>>,
    metrics_output_config: Option<OutputConfig>,
}

/// The answer to a create and to an update.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    metric_attribution_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    metric_attribution: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    #[serde(flatten)]
    summary: Summary,
    dataset_group_arn: Arn,
    metrics_output_config: OutputConfig,
}

/// What lists show of a metric attribution.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    name: String,
    metric_attribution_arn: Arn,
    status: &'static str,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    metric_attributions: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedMetrics {
    metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// # Errors
/// `NotFound` and `InUse` for the group; `AlreadyExists` when the name is taken, or the group has a metric attribution;
/// `Invalid` when a metric does not fit the group's datasets, or reports could not be written.
pub async fn create(api: &Api, input: Create) -> Answer<Done> {
    let arn = api.realm.metric_attribution(&input.name);
    let group_arn = input.dataset_group_arn;
    let group =
        api.catalog.dataset_group(&group_arn).await?.ok_or_else(|| not_found("dataset group", &group_arn))?;
    if group.status != Status::Active {
        let text = format!("The dataset group is not active: {group_arn}");
        return Err(Error::new(ErrorKind::InUse, text).into());
    }
    if api.catalog.metric_attribution(&arn).await?.is_some() {
        return Err(already_exists(&arn));
    }
    let dataset_ids = metric::check(api, &group_arn, &input.metrics).await?;
    output::check(api, &arn, &input.metrics_output_config).await?;
    let metrics = input.metrics.into_iter().map(Metric::into_new).collect();
    let (name, output) = (input.name, input.metrics_output_config.into_stored());
    let new = NewMetricAttribution { arn: arn.clone(), name, group_arn, metrics, output, dataset_ids };
    api.catalog.create_metric_attribution(&new).await?;
    Ok(Done { metric_attribution_arn: arn })
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let row = find(api, &input.metric_attribution_arn).await?;
    let (dataset_group_arn, output) = (row.group_arn.clone(), row.output.clone());
    let metrics_output_config = OutputConfig::from_stored(output);
    let summary = summary(row);
    Ok(Described { metric_attribution: Description { summary, dataset_group_arn, metrics_output_config } })
}

pub async fn list(api: &Api, input: PageOfGroup) -> Answer<Listed> {
    let group = input.dataset_group_arn;
    let pager = Pager::open(&api.paging, "ListMetricAttributions", group.as_ref(), input.page)?;
    let rows = api.catalog.metric_attributions(group.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    Ok(Listed { metric_attributions: rows.into_iter().map(summary).collect(), next_token })
}

pub async fn list_metrics(api: &Api, input: MetricsPage) -> Answer<ListedMetrics> {
    let arn = input.metric_attribution_arn;
    let pager = Pager::open(&api.paging, "ListMetricAttributionMetrics", Some(&arn), input.page)?;
    let rows = api.catalog.metrics(&arn, &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.number, &row.metric.name));
    let metrics = rows.into_iter().map(|row| Metric::from_stored(row.metric)).collect();
    Ok(ListedMetrics { metrics, next_token })
}

/// # Errors
/// `NotFound` for the attribution, and for a metric to be removed; `AlreadyExists` for one to be added; `InUse` while
/// an import is to write a report; `Invalid` as for a create, and for more than ten metrics.
pub async fn update(api: &Api, input: Update) -> Answer<Done> {
    let arn = input.metric_attribution_arn;
    let row = find(api, &arn).await?;
    let add = input.add_metrics.unwrap_or_default();
    let dataset_ids = metric::check(api, &row.group_arn, &add).await?;
    if let Some(config) = &input.metrics_output_config {
        output::check(api, &arn, config).await?;
    }
    let update = MetricAttributionUpdate {
        arn: arn.clone(),
        remove: input.remove_metrics.unwrap_or_default(),
        add: add.into_iter().map(Metric::into_new).collect(),
        output: input.metrics_output_config.map(OutputConfig::into_stored),
        dataset_ids,
    };
    api.catalog.update_metric_attribution(&update).await?;
    Ok(Done { metric_attribution_arn: arn })
}

pub async fn delete(api: &Api, input: ByArn) -> Answer<()> {
    Ok(api.catalog.delete_metric_attribution(&input.metric_attribution_arn).await?)
}

async fn find(api: &Api, arn: &Arn) -> Answer<MetricAttributionRow> {
    let row = api.catalog.metric_attribution(arn).await?;
    row.ok_or_else(|| not_found("metric attribution", arn))
}

fn summary(row: MetricAttributionRow) -> Summary {
    Summary {
        name: row.name,
        metric_attribution_arn: row.arn,
        status: row.status.as_str(),
        creation_date_time: Seconds(row.created_ms),
        last_updated_date_time: Seconds(row.updated_ms),
    }
}

#[cfg(test)]
mod tests;
