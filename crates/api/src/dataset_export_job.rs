//! Dataset export jobs: CreateDatasetExportJob, DescribeDatasetExportJob, ListDatasetExportJobs.

mod since;

use access::{Errand, S3Location};
use catalog::{DatasetRow, ExportRequest, JobKind, JobRow, NewJob};
use model::export::{Asked, ExportOptions, allows_actions};
use model::{Arn, Error, IngestionMode, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required};

use crate::door::Api;
use crate::paging::{PageOfDataset, Pager};
use crate::reply::{Answer, Seconds, already_exists, not_found};
use crate::tag::{self, Tag};
use crate::{dataset, probe, shapes};

static DESTINATION: Structure =
    Structure::new(&[required("path", shapes::s3_location()), optional("kmsKeyArn", shapes::kms_key_arn())]);
static JOB_OUTPUT: Structure =
    Structure::new(&[required("s3DataDestination", Shape::Structure(&DESTINATION))]);
pub static CREATE: Structure = Structure::new(&[
    required("jobName", shapes::name()),
    required("datasetArn", shapes::arn()),
    optional("ingestionMode", Shape::Enum(&["BULK", "PUT", "ALL"])),
    required("roleArn", shapes::role_arn()),
    required("jobOutput", Shape::Structure(&JOB_OUTPUT)),
    optional("tags", shapes::tags()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("datasetExportJobArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    job_name: String,
    dataset_arn: Arn,
    ingestion_mode: Option<IngestionMode>,
    role_arn: String,
    job_output: JobOutput,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOutput {
    s3_data_destination: Destination,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByArn {
    dataset_export_job_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    dataset_export_job_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    dataset_export_job: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    #[serde(flatten)]
    summary: Summary,
    dataset_arn: Arn,
    ingestion_mode: IngestionMode,
    role_arn: String,
    job_output: JobOutput,
}

/// What lists show of a job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    dataset_export_job_arn: Arn,
    job_name: String,
    status: &'static str,
    creation_date_time: Seconds,
    last_updated_date_time: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    dataset_export_jobs: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Creates a job; what it will export is what the dataset holds at this moment.
///
/// # Errors
/// `NotFound`, `InUse` and `Invalid` for the dataset, the destination and the role; `AlreadyExists`.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    let arn = api.realm.export_job(&input.job_name);
    let asked = tag::options(input.tags.as_deref());
    let dataset = check_dataset(api, &input.dataset_arn, &asked).await?;
    let tags = tag::with_options(input.tags, |_, _| Ok(()))?;
    let options = ExportOptions::read(&asked, &dataset.layout)?;
    if api.catalog.job(&arn).await?.is_some() {
        return Err(already_exists(&arn));
    }
    let destination = input.job_output.s3_data_destination;
    check_destination(api, &arn, &input.job_name, &input.role_arn, &destination, &options).await?;
    dataset::probe_key(api, &dataset).await?;
    // Source: the service model: without a mode, put records are exported.
    let ingestion_mode = input.ingestion_mode.unwrap_or(IngestionMode::Put);
    let Destination { path, kms_key_arn } = destination;
    let since = since::find(api, &dataset, ingestion_mode, &options, &asked).await?;
    let manifest = !options.has_no_manifest;
    let request = ExportRequest { path, ingestion_mode, kms_key_arn, manifest, options: asked, since };
    let (name, subject_arn, role_arn) = (input.job_name, input.dataset_arn, input.role_arn);
    let new = NewJob { arn: arn.clone(), name, subject_arn, role_arn, request, tags };
    api.catalog.create_export_job(&new, || api.log.settled()).await?;
    api.bell.notify_one();
    Ok(Created { dataset_export_job_arn: arn })
}

/// What a schedule has exported: all of a request that each of its jobs shares.
pub struct Planned {
    pub dataset_arn: Arn,
    pub ingestion_mode: IngestionMode,
    pub role_arn: String,
    pub path: String,
    pub kms_key_arn: Option<String>,
    pub tags: Vec<(String, String)>,
}

/// Checks what `create` would, and creates nothing.
///
/// # Errors
/// As `create`; `Invalid` for `lade:since`, which one job alone can have.
pub async fn check(api: &Api, input: Create) -> Answer<Planned> {
    let arn = api.realm.export_job(&input.job_name);
    let asked = tag::options(input.tags.as_deref());
    let dataset = check_dataset(api, &input.dataset_arn, &asked).await?;
    let tags = tag::with_options(input.tags, |_, _| Ok(()))?;
    let options = ExportOptions::read(&asked, &dataset.layout)?;
    if options.since.is_some() {
        return Err(Error::invalid("The option lade:since can't be given to a schedule of exports.").into());
    }
    let destination = input.job_output.s3_data_destination;
    check_destination(api, &arn, &input.job_name, &input.role_arn, &destination, &options).await?;
    dataset::probe_key(api, &dataset).await?;
    let (dataset_arn, role_arn, Destination { path, kms_key_arn }) =
        (input.dataset_arn, input.role_arn, destination);
    let ingestion_mode = input.ingestion_mode.unwrap_or(IngestionMode::Put);
    Ok(Planned { dataset_arn, ingestion_mode, role_arn, path, kms_key_arn, tags })
}

async fn check_dataset(api: &Api, arn: &Arn, asked: &Asked) -> Answer<DatasetRow> {
    let dataset = api.catalog.dataset(arn).await?.ok_or_else(|| not_found("dataset", arn))?;
    if !dataset.dataset_type.is_exportable() && !allows_actions(asked)? {
        let name = dataset.dataset_type.as_str();
        return Err(
            Error::invalid(format!("Dataset export is not supported for datasets of type {name}.")).into()
        );
    }
    dataset::check_active(&dataset)?;
    Ok(dataset)
}

async fn check_destination(
    api: &Api,
    job: &Arn,
    job_name: &str,
    role: &str,
    destination: &Destination,
    options: &ExportOptions,
) -> Result<()> {
    let place =
        S3Location::parse(&destination.path).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let errand = Errand::writing(&place).under(destination.kms_key_arn.as_deref());
    let bucket = api.access.open_bucket(role, job, &errand).await?;
    if options.is_digest {
        return Ok(());
    }
    let keys = probe::last_keys(&place.key, job_name, options);
    let Some(key) = &destination.kms_key_arn else {
        return probe::export_destination(&bucket, &keys).await;
    };
    let last = keys.last().cloned().unwrap_or_default();
    let usable = api.access.probe_key(role, job, key, &model::arn::object(&place.bucket, &last)).await;
    // A key that can't be used is told behind what is wrong with the bucket.
    let bucket = if usable.is_ok() { bucket.with_key(Some(key.clone())) } else { bucket };
    probe::export_destination(&bucket, &keys).await.and(usable)
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let arn = &input.dataset_export_job_arn;
    let job = api.catalog.job(arn).await?.filter(|job| job.kind == JobKind::Export);
    let job = job.ok_or_else(|| not_found("dataset export job", arn))?;
    let request = job.export_request()?;
    let destination = Destination { path: request.path, kms_key_arn: request.kms_key_arn };
    let description = Description {
        dataset_arn: job.subject_arn.clone(),
        ingestion_mode: request.ingestion_mode,
        role_arn: job.role_arn.clone(),
        summary: summary(job),
        job_output: JobOutput { s3_data_destination: destination },
    };
    Ok(Described { dataset_export_job: description })
}

pub async fn list(api: &Api, input: PageOfDataset) -> Answer<Listed> {
    let dataset = input.dataset_arn;
    let pager = Pager::open(&api.paging, "ListDatasetExportJobs", dataset.as_ref(), input.page)?;
    let rows = api.catalog.jobs(JobKind::Export, dataset.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    Ok(Listed { dataset_export_jobs: rows.into_iter().map(summary).collect(), next_token })
}

fn summary(job: JobRow) -> Summary {
    Summary {
        dataset_export_job_arn: job.arn,
        job_name: job.name,
        status: job.status.as_str(),
        creation_date_time: Seconds(job.created_ms),
        last_updated_date_time: Seconds(job.updated_ms),
        failure_reason: job.failure_reason,
    }
}

#[cfg(test)]
mod tests;
