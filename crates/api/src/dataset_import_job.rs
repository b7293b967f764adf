//! Dataset import jobs: CreateDatasetImportJob, DescribeDatasetImportJob, ListDatasetImportJobs.

mod options;

use access::{Errand, S3Location};
use catalog::{DatasetRow, ImportRequest, JobKind, JobRow, NewJob};
use model::{Arn, Error, ImportMode, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required};

use crate::door::Api;
use crate::paging::{PageOfDataset, Pager};
use crate::reply::{Answer, Seconds, already_exists, not_found};
use crate::tag::{self, Tag};
use crate::{dataset, metric_attribution, probe, shapes};
use options::Options;

static DATA_SOURCE: Structure = Structure::new(&[required("dataLocation", shapes::s3_location())]);
// The service model does not require the role; without one there is nothing to read the bucket as.
pub static CREATE: Structure = Structure::new(&[
    required("jobName", shapes::name()),
    required("datasetArn", shapes::arn()),
    required("dataSource", Shape::Structure(&DATA_SOURCE)),
    required("roleArn", shapes::role_arn()),
    optional("importMode", Shape::Enum(&["FULL", "INCREMENTAL"])),
    optional("publishAttributionMetricsToS3", Shape::Boolean),
    optional("tags", shapes::tags()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("datasetImportJobArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    job_name: String,
    dataset_arn: Arn,
    data_source: DataSource,
    role_arn: String,
    import_mode: Option<ImportMode>,
    #[serde(rename = "publishAttributionMetricsToS3")]
    publish_attribution_metrics_to_s3: Option<bool>,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSource {
    data_location: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    dataset_import_job_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    dataset_import_job_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    dataset_import_job: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    #[serde(flatten)]
    summary: Summary,
    dataset_arn: Arn,
    data_source: DataSource,
    role_arn: String,
    #[serde(rename = "publishAttributionMetricsToS3", skip_serializing_if = "Option::is_none")]
    publish_attribution_metrics_to_s3: Option<bool>,
}

/// What lists show of a job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    dataset_import_job_arn: Arn,
    job_name: String,
    status: &'static str,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    import_mode: ImportMode,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    dataset_import_jobs: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Creates a job after all checks that need no more than the files' first lines.
///
/// # Errors
/// `NotFound`, `InUse` and `Invalid` for the dataset, the place, the files and the report; `AlreadyExists`.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    let mut options = Options::default();
    let tags = tag::with_options(input.tags, |key, value| options.take(key, value))?;
    options.check(input.publish_attribution_metrics_to_s3 == Some(true))?;
    let arn = api.realm.import_job(&input.job_name);
    let import_mode = input.import_mode.unwrap_or(ImportMode::Full);
    let dataset = dataset::active(api, &input.dataset_arn).await?;
    if api.catalog.job(&arn).await?.is_some() {
        return Err(already_exists(&arn));
    }
    check_mode(api, &dataset, import_mode).await?;
    let quotas = api.catalog.quotas();
    let bytes_max = match import_mode {
        ImportMode::Full => quotas.full_import_bytes,
        ImportMode::Incremental => quotas.incremental_import_bytes,
    };
    let location = &input.data_source.data_location;
    check_source(api, &arn, &input.role_arn, location, &dataset, bytes_max).await?;
    // A key that can't be used is told before the job is there.
    api.access.data_keys(dataset.id, &dataset.group_arn).await?;
    if input.publish_attribution_metrics_to_s3 == Some(true) {
        metric_attribution::can_publish(api, &arn, &dataset, import_mode).await?;
    }
    let request = ImportRequest {
        data_location: input.data_source.data_location,
        import_mode,
        publish_attribution_metrics_to_s3: input.publish_attribution_metrics_to_s3,
        tolerance: options.tolerance,
        validate_only: options.validate_only,
    };
    let (name, subject_arn, role_arn) = (input.job_name, input.dataset_arn, input.role_arn);
    api.catalog
        .create_import_job(&NewJob { arn: arn.clone(), name, subject_arn, role_arn, request, tags })
        .await?;
    api.bell.notify_one();
    Ok(Created { dataset_import_job_arn: arn })
}

// Source: "Updating existing bulk data": there must be something to add to.
async fn check_mode(api: &Api, dataset: &DatasetRow, mode: ImportMode) -> Result<()> {
    if mode == ImportMode::Full || api.catalog.has_imported(dataset.id).await? {
        return Ok(());
    }
    Err(Error::invalid(
        "An import in INCREMENTAL mode needs an earlier import that has become ACTIVE: use FULL.",
    ))
}

async fn check_source(
    api: &Api,
    job: &Arn,
    role: &str,
    location: &str,
    dataset: &DatasetRow,
    bytes_max: Option<u64>,
) -> Result<()> {
    let place = S3Location::parse(location).ok_or_else(probe::invalid_location)?;
    let bucket = api.access.open_bucket(role, job, &Errand::reading(&place)).await?;
    probe::import_source(&bucket, &place.key, &dataset.layout, bytes_max).await
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let arn = &input.dataset_import_job_arn;
    let job = api.catalog.job(arn).await?.filter(|job| job.kind == JobKind::Import);
    let job = job.ok_or_else(|| not_found("dataset import job", arn))?;
    let request = job.import_request()?;
    let description = Description {
        dataset_arn: job.subject_arn.clone(),
        role_arn: job.role_arn.clone(),
        publish_attribution_metrics_to_s3: request.publish_attribution_metrics_to_s3,
        summary: summary(job)?,
        data_source: DataSource { data_location: request.data_location },
    };
    Ok(Described { dataset_import_job: description })
}

pub async fn list(api: &Api, input: PageOfDataset) -> Answer<Listed> {
    let dataset = input.dataset_arn;
    let pager = Pager::open(&api.paging, "ListDatasetImportJobs", dataset.as_ref(), input.page)?;
    let rows = api.catalog.jobs(JobKind::Import, dataset.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    let dataset_import_jobs = rows.into_iter().map(summary).collect::<Result<_>>()?;
    Ok(Listed { dataset_import_jobs, next_token })
}

fn summary(job: JobRow) -> Result<Summary> {
    Ok(Summary {
        import_mode: job.import_request()?.import_mode,
        dataset_import_job_arn: job.arn,
        job_name: job.name,
        status: job.status.as_str(),
        creation_date_time: Seconds(job.created_ms),
        last_updated_date_time: Seconds(job.updated_ms),
        failure_reason: job.failure_reason,
    })
}

#[cfg(test)]
mod tests;
