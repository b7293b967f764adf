//! Data deletion jobs: CreateDataDeletionJob, DescribeDataDeletionJob, ListDataDeletionJobs.

use access::{Errand, S3Location};
use catalog::{DeletionRequest, JobKind, JobRow, NewJob};
use model::status::Status;
use model::{Arn, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use wire::shape::{Shape, Structure, optional, required};

use crate::door::Api;
use crate::paging::{PageOfGroup, Pager};
use crate::reply::{Answer, Seconds, already_exists, not_found};
use crate::tag::{self, Tag};
use crate::{probe, shapes};

static DATA_SOURCE: Structure = Structure::new(&[required("dataLocation", shapes::s3_location())]);
pub static CREATE: Structure = Structure::new(&[
    required("jobName", shapes::name()),
    required("datasetGroupArn", shapes::arn()),
    required("dataSource", Shape::Structure(&DATA_SOURCE)),
    required("roleArn", shapes::role_arn()),
    optional("tags", shapes::tags()),
]);
pub static BY_ARN: Structure = Structure::new(&[required("dataDeletionJobArn", shapes::arn())]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    job_name: String,
    dataset_group_arn: Arn,
    data_source: DataSource,
    role_arn: String,
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
    data_deletion_job_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    data_deletion_job_arn: Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    data_deletion_job: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    #[serde(flatten)]
    summary: Summary,
    data_source: DataSource,
    role_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_deleted: Option<u64>,
}

/// What lists show of a job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    data_deletion_job_arn: Arn,
    dataset_group_arn: Arn,
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
    data_deletion_jobs: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Creates a job after all checks that need no more than the files' first lines.
///
/// # Errors
/// `NotFound` and `InUse` for the group, `Invalid` for the place and the files; `AlreadyExists`.
pub async fn create(api: &Api, input: Create) -> Answer<Created> {
    let arn = api.realm.data_deletion_job(&input.job_name);
    check_group(api, &input.dataset_group_arn).await?;
    let tags = tag::of_new(input.tags)?;
    if api.catalog.job(&arn).await?.is_some() {
        return Err(already_exists(&arn));
    }
    let data_location = input.data_source.data_location;
    check_source(api, &arn, &input.role_arn, &data_location).await?;
    let new = NewJob {
        arn: arn.clone(),
        name: input.job_name,
        subject_arn: input.dataset_group_arn,
        role_arn: input.role_arn,
        request: DeletionRequest { data_location },
        tags,
    };
    api.catalog.create_data_deletion_job(&new).await?;
    api.bell.notify_one();
    Ok(Created { data_deletion_job_arn: arn })
}

async fn check_group(api: &Api, arn: &Arn) -> Answer<()> {
    let group = api.catalog.dataset_group(arn).await?.ok_or_else(|| not_found("dataset group", arn))?;
    match group.status {
        Status::Active => Ok(()),
        _ => Err(Error::new(ErrorKind::InUse, format!("The dataset group is not active: {arn}")).into()),
    }
}

async fn check_source(api: &Api, job: &Arn, role: &str, location: &str) -> Result<()> {
    let place = S3Location::parse(location).ok_or_else(probe::invalid_location)?;
    let bucket = api.access.open_bucket(role, job, &Errand::reading(&place)).await?;
    probe::deletion_source(&bucket, &place.key, api.catalog.quotas().deletion_list_bytes).await
}

pub async fn describe(api: &Api, input: ByArn) -> Answer<Described> {
    let arn = &input.data_deletion_job_arn;
    let job = api.catalog.job(arn).await?.filter(|job| job.kind == JobKind::Deletion);
    let job = job.ok_or_else(|| not_found("data deletion job", arn))?;
    let description = Description {
        data_source: DataSource { data_location: job.deletion_request()?.data_location },
        role_arn: job.role_arn.clone(),
        num_deleted: (job.status == Status::Active).then_some(job.records_deleted),
        summary: summary(job),
    };
    Ok(Described { data_deletion_job: description })
}

pub async fn list(api: &Api, input: PageOfGroup) -> Answer<Listed> {
    let group = input.dataset_group_arn;
    let pager = Pager::open(&api.paging, "ListDataDeletionJobs", group.as_ref(), input.page)?;
    let rows = api.catalog.jobs(JobKind::Deletion, group.as_ref(), &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    Ok(Listed { data_deletion_jobs: rows.into_iter().map(summary).collect(), next_token })
}

fn summary(job: JobRow) -> Summary {
    Summary {
        data_deletion_job_arn: job.arn,
        dataset_group_arn: job.subject_arn,
        job_name: job.name,
        status: word(job.status),
        creation_date_time: Seconds(job.created_ms),
        last_updated_date_time: Seconds(job.updated_ms),
        failure_reason: job.failure_reason,
    }
}

// These jobs have words of their own for the steps that all jobs go through.
pub(crate) fn word(status: Status) -> &'static str {
    match status {
        Status::CreatePending => "PENDING",
        Status::CreateInProgress => "IN_PROGRESS",
        Status::Active => "COMPLETED",
        Status::CreateFailed => "FAILED",
        Status::DeletePending | Status::DeleteInProgress => status.as_str(),
    }
}

/// The step that one of these words stands for.
pub(crate) fn status(text: &str) -> Option<Status> {
    Status::ALL.into_iter().find(|status| word(*status) == text)
}

#[cfg(test)]
mod tests;
