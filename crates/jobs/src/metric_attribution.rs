//! Reports of metric attributions: an import job that publishes them adds up what it reads, and writes one file.

use std::sync::Arc;

use access::remedy::REPORTING;
use access::{Bucket, Errand, S3Location};
use bytes::Bytes;
use catalog::{DatasetRow, JobRow, Lease, MetricRow, Page, PromisedReport};
use engine::Progress;
use engine::metrics::{Aggregator, ItemNumbers, Metric, item_columns};
use model::error::{Error, Result};
use model::metric::{Expression, METRICS_MAX};
use model::{DatasetType, IngestionMode, Layout};

use crate::naming::CSV;
use crate::snapshot::{Tail, open_source};
use crate::{Parts, blocking, explain_denial};

/// Of the memory of a job that writes a report, the part for items and the part for the report; the rest sorts.
const MEMORY_PARTS: usize = 4;

/// A report that is being added up.
pub struct Report {
    place: Place,
    pub aggregator: Aggregator,
    sources_max: Option<u64>,
}

/// A report that is complete, but not written.
pub struct Finished {
    place: Place,
    csv: Bytes,
}

/// Where a report goes.
struct Place {
    bucket: Bucket,
    key: String,
}

impl Report {
    /// The memory that is left for sorting.
    pub fn sort_memory_bytes(job_memory_bytes: usize) -> usize {
        job_memory_bytes - 2 * (job_memory_bytes / MEMORY_PARTS)
    }

    /// Writes down what was added up.
    pub fn finish(self) -> Result<Finished> {
        let sources = self.aggregator.sources() as u64;
        if let Some(most) = self.sources_max.filter(|most| sources > *most) {
            return Err(Error::invalid(format!(
                "The report of the metric attribution has {sources} sources, and may have {most}."
            )));
        }
        let csv = self.aggregator.report()?.into();
        Ok(Finished { place: self.place, csv })
    }
}

impl Finished {
    /// Writes the file in one request. Its name is the job's own, so a later attempt replaces what an earlier one wrote.
    pub async fn write(self) -> Result<()> {
        let Place { bucket, key } = self.place;
        let put = bucket.put(&key, self.csv, CSV, Default::default(), None).await;
        put.map(drop).map_err(explain_denial(bucket.name(), REPORTING))
    }
}

/// Makes ready for the report that a job is to write; `None` when it is to write none.
///
/// # Errors
/// `Invalid` when the role can't be assumed, or the items do not fit into the memory of a job.
pub async fn begin(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    layout: &Layout,
    progress: &Arc<Progress>,
) -> Result<Option<Report>> {
    let Some(promised) = parts.catalog.promised_report(&job.arn).await? else { return Ok(None) };
    let place = open(parts, job, &promised).await?;
    let attribution = &promised.attribution;
    let rows = parts.catalog.metrics(&attribution.arn, &Page::first(METRICS_MAX)).await?;
    let metrics: Vec<Metric> = rows.into_iter().map(metric).collect::<Result<_>>()?;
    let items = read_items(parts, lease, &attribution.group_arn, item_columns(&metrics), progress).await?;
    let since_s = attribution.created_ms.div_euclid(1000);
    let memory_bytes = parts.settings.job_memory_bytes / MEMORY_PARTS;
    let aggregator = Aggregator::new(layout, metrics, items, since_s, memory_bytes)?;
    Ok(Some(Report { place, aggregator, sources_max: parts.catalog.quotas().attribution_sources }))
}

async fn open(parts: &Parts, job: &JobRow, promised: &PromisedReport) -> Result<Place> {
    let location = &promised.location;
    let place = S3Location::parse(location).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let role = &promised.attribution.output.role_arn;
    let key = promised.attribution.output.kms_key_arn.as_deref();
    let errand = Errand::reporting(&place.bucket, &place.key).under(key);
    let bucket = parts.access.open_bucket(role, &job.arn, &errand).await.map_err(|cause| {
        let text = format!("The report {location} can't be written: {}", cause.message());
        Error::new(cause.kind, text).caused_by(cause)
    })?;
    let bucket = bucket.with_key(promised.attribution.output.kms_key_arn.clone());
    Ok(Place { bucket, key: place.key })
}

fn metric(row: MetricRow) -> Result<Metric> {
    let metric = row.metric;
    let expression = Expression::parse(&metric.expression)
        .ok_or_else(|| Error::corrupt("a stored expression of a metric can't be read"))?;
    Ok(Metric { name: metric.name, event_type: metric.event_type, expression })
}

/// Reads columns of the group's items, as they are when the job begins for the first time.
async fn read_items(
    parts: &Arc<Parts>,
    lease: &Lease,
    group: &model::Arn,
    columns: Vec<String>,
    progress: &Arc<Progress>,
) -> Result<ItemNumbers> {
    if columns.is_empty() {
        return Ok(ItemNumbers::default());
    }
    let dataset = items_of(parts, group).await?;
    let snapshot = parts.catalog.pin(lease, &dataset, || parts.log.settled()).await?;
    let runs = parts.catalog.pinned_runs(&lease.arn).await?;
    let (parts, progress) = (parts.of_dataset(&dataset).await?, progress.clone());
    blocking(move || {
        let tail = Tail::new(&parts);
        let source = open_source(&parts, dataset.id, &snapshot, &runs, IngestionMode::All, &tail)?;
        let memory_bytes = parts.settings.job_memory_bytes / MEMORY_PARTS;
        ItemNumbers::read(&snapshot.layout, source.batches()?, &columns, memory_bytes, &progress)
    })
    .await
}

async fn items_of(parts: &Parts, group: &model::Arn) -> Result<DatasetRow> {
    let datasets = parts.catalog.datasets(Some(group), &Page::first(DatasetType::ALL.len())).await?;
    let items = datasets.into_iter().find(|dataset| dataset.dataset_type == DatasetType::Items);
    items.ok_or_else(|| Error::invalid(format!("The dataset group has no Items dataset: {group}")))
}
