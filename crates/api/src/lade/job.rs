//! Jobs as they can be watched: how far one is, what became of it, and its end before its time.

use catalog::{JobFilter, JobKind, JobRow, Progress, TaskRow};
use model::export::{Asked, Since};
use model::status::Status;
use model::{Arn, DatasetType, Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::query::parameters;
use super::rejects;
use crate::call::Call;
use crate::data_deletion_job;
use crate::door::Api;
use crate::paging::{PageInput, Pager};
use crate::permission::{authorize_any, authorize_on};
use crate::reply::{Answer, Seconds, not_found};

const PAGE_MAX: usize = 100;

/// Which jobs a list is to show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    dataset_arn: Option<Arn>,
    dataset_group_arn: Option<Arn>,
    kind: Option<JobKind>,
    status: Option<Status>,
    is_open: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// A job; what nobody knows is null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    job_arn: Arn,
    job_name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    dataset_arn: Option<Arn>,
    dataset_group_arn: Option<Arn>,
    status: &'static str,
    progress: Shown,
    attempts: i64,
    ledger: Option<Value>,
    files: Option<Value>,
    /// What an export left out, as files.
    losers: Option<Value>,
    /// What an export was asked for beyond the service.
    options: Option<Asked>,
    /// The export whose end is this one's beginning.
    since: Option<Since>,
    /// The rows that an import found wrong, whether it failed for them or left them out.
    rejects: Option<rejects::Shown>,
    /// The tasks that the job was cut into, where it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<Task>,
    /// That nothing is left of what a data deletion job deleted, or what is.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Value>,
    failure_reason: Option<String>,
    cancelled_by: Option<String>,
    role_arn: String,
    /// Where an export writes, or the others read.
    location: String,
    /// The mode of an import or export.
    mode: Option<&'static str>,
    /// How many wrong rows an import may leave out.
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance: Option<u64>,
    /// Whether an import only checks, and imports nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    validate_only: Option<bool>,
    created_at: Seconds,
    last_updated_at: Seconds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    rows_done: u64,
    rows_total: Option<u64>,
    bytes_done: u64,
    bytes_total: Option<u64>,
    eta_seconds: Option<u64>,
}

/// Who does a part of a job, or did it last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    number: i64,
    executor: String,
    state: String,
    rows_done: u64,
    bytes_done: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    jobs: Vec<Job>,
    next_token: Option<String>,
}

/// The operations of the service whose permissions stand for those of a job's kind.
struct Actions {
    describe: &'static str,
    list: &'static str,
    create: &'static str,
}

const IMPORT: Actions = Actions {
    describe: "personalize:DescribeDatasetImportJob",
    list: "personalize:ListDatasetImportJobs",
    create: "personalize:CreateDatasetImportJob",
};
const EXPORT: Actions = Actions {
    describe: "personalize:DescribeDatasetExportJob",
    list: "personalize:ListDatasetExportJobs",
    create: "personalize:CreateDatasetExportJob",
};
const DELETION: Actions = Actions {
    describe: "personalize:DescribeDataDeletionJob",
    list: "personalize:ListDataDeletionJobs",
    create: "personalize:CreateDataDeletionJob",
};

/// Shows one job; permission is that to describe it.
pub async fn describe(api: &Api, call: &Call, arn: &Arn) -> Answer<Job> {
    authorize(api, call, arn).await?;
    shown(api, arn).await
}

/// Asks for the permission to describe a job.
pub async fn authorize(api: &Api, call: &Call, arn: &Arn) -> Answer<()> {
    Ok(authorize_on(api, call, actions(arn)?.describe, arn).await?)
}

async fn shown(api: &Api, arn: &Arn) -> Answer<Job> {
    let job = find(api, arn).await?;
    let rejects = if job.kind == JobKind::Import { rejects::of_job(api, &job).await? } else { None };
    let tasks = api.catalog.job_tasks(&job.arn).await?.into_iter().map(task).collect();
    Ok(Job { rejects, tasks, ..show(job)? })
}

/// Ends a job before its time; permission is that to create it.
///
/// # Errors
/// `InUse` when it has ended, or only goes forward.
pub async fn cancel(api: &Api, call: &Call, arn: &Arn) -> Answer<Job> {
    authorize_on(api, call, actions(arn)?.create, arn).await?;
    api.catalog.cancel_job(arn, call.principal.arn()).await?;
    // One that nobody works on is ended by whoever wakes up first.
    api.bell.notify_one();
    shown(api, arn).await
}

/// Shows the jobs of a dataset, of a group, or all; permission is that to list each kind that is shown.
pub async fn list(api: &Api, call: &Call, query: Query) -> Answer<Listed> {
    for actions in query.shown() {
        authorize_any(api, call, actions.list).await?;
    }
    let filter = query.filter()?;
    let about = query.dataset_arn.as_ref().or(query.dataset_group_arn.as_ref());
    let list = query.list();
    let page = PageInput { next_token: query.next_token.clone(), max_results: query.max_results };
    let pager = Pager::open(&api.paging, &list, about, page)?;
    let rows = api.catalog.all_jobs(&filter, &pager.page).await?;
    let (rows, next_token) = pager.cut(rows, |row| (row.created_ms, &row.arn));
    let arns: Vec<Arn> = rows.iter().map(|job| job.arn.clone()).collect();
    let mut jobs = rows.into_iter().map(show).collect::<Result<Vec<_>>>()?;
    for (arn, found) in api.catalog.reject_counts(&arns).await? {
        jobs.iter_mut().filter(|job| job.job_arn == arn).for_each(|job| job.rejects = Some((&found).into()));
    }
    Ok(Listed { jobs, next_token })
}

impl Query {
    fn shown(&self) -> Vec<&'static Actions> {
        match self.kind {
            Some(JobKind::Import) => vec![&IMPORT],
            Some(JobKind::Export) => vec![&EXPORT],
            Some(JobKind::Deletion) => vec![&DELETION],
            _ if self.dataset_arn.is_some() => vec![&IMPORT, &EXPORT],
            _ => vec![&IMPORT, &EXPORT, &DELETION],
        }
    }

    fn filter(&self) -> Result<JobFilter> {
        let subjects = match (&self.dataset_arn, &self.dataset_group_arn) {
            (Some(_), Some(_)) => {
                let text = "The parameters datasetArn and datasetGroupArn exclude each other.";
                return Err(Error::invalid(text));
            }
            (Some(dataset), None) => vec![dataset.clone()],
            (None, Some(group)) => subjects(group),
            (None, None) => Vec::new(),
        };
        Ok(JobFilter { subjects, kind: self.kind, status: self.status, is_open: self.is_open })
    }

    // What a token is bound to, beside the dataset or group.
    fn list(&self) -> String {
        let list = if self.is_open { "lade:ListOpenJobs" } else { "lade:ListJobs" };
        let (kind, status) = (self.kind.map(JobKind::as_str), self.status.map(Status::as_str));
        [Some(list), kind, status].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

// A group, and the datasets that it has or had: jobs outlive them.
fn subjects(group: &Arn) -> Vec<Arn> {
    let datasets = group.as_str().replacen(":dataset-group/", ":dataset/", 1);
    let datasets =
        DatasetType::ALL.iter().filter_map(|kind| Arn::parse(&format!("{datasets}/{}", kind.as_str())));
    datasets.chain([group.clone()]).collect()
}

/// Reads the query of a list.
///
/// # Errors
/// `Invalid` for a parameter that there is not, and for a value that it can't have.
pub fn read_query(text: Option<&str>) -> Result<Query> {
    let mut query = Query::default();
    for (name, value) in parameters(text) {
        let wrong = |must| Error::invalid(format!("The parameter {name} must be {must}, and is {value}."));
        match name {
            "datasetArn" => {
                query.dataset_arn = Some(Arn::parse(&value).ok_or_else(|| wrong("the ARN of a dataset"))?);
            }
            "datasetGroupArn" => {
                let arn = Arn::parse(&value).filter(|arn| arn.resource_type() == "dataset-group");
                query.dataset_group_arn = Some(arn.ok_or_else(|| wrong("the ARN of a dataset group"))?);
            }
            "type" => {
                let kind = JobKind::parse(&value).filter(|kind| *kind != JobKind::Update);
                query.kind = Some(kind.ok_or_else(|| wrong("IMPORT, EXPORT or DELETION"))?);
            }
            "status" => {
                let status = Status::parse(&value).or_else(|| data_deletion_job::status(&value));
                query.status = Some(status.ok_or_else(|| wrong("the status of a job"))?);
            }
            "open" => query.is_open = value.parse().map_err(|_| wrong("true or false"))?,
            "maxResults" => {
                let most = value.parse().ok().filter(|most| (1..=PAGE_MAX).contains(most));
                query.max_results = Some(most.ok_or_else(|| wrong("a number from 1 to 100"))?);
            }
            "nextToken" => query.next_token = Some(value),
            _ => {
                let known = "datasetArn, datasetGroupArn, type, status, open, maxResults and nextToken";
                return Err(Error::invalid(format!("There is no parameter {name}; there are {known}.")));
            }
        }
    }
    Ok(query)
}

fn actions(arn: &Arn) -> Answer<&'static Actions> {
    match arn.resource_type() {
        "dataset-import-job" => Ok(&IMPORT),
        "dataset-export-job" => Ok(&EXPORT),
        "data-deletion-job" => Ok(&DELETION),
        _ => Err(Error::new(ErrorKind::NotFound, format!("This is not the ARN of a job: {arn}")).into()),
    }
}

pub(super) async fn find(api: &Api, arn: &Arn) -> Answer<JobRow> {
    api.catalog.job(arn).await?.ok_or_else(|| not_found("job", arn))
}

fn show(job: JobRow) -> Result<Job> {
    let report: Value =
        job.report.as_deref().map_or(Ok(Value::Null), serde_json::from_str).map_err(damaged)?;
    let (location, mode) = request(&job)?;
    let (tolerance, validate_only) = asked_of_import(&job)?;
    let (options, since) = extensions(&job)?;
    let (is_deletion, status) = (job.kind == JobKind::Deletion, word(&job));
    let (group, dataset) =
        if is_deletion { (Some(job.subject_arn), None) } else { (None, Some(job.subject_arn)) };
    Ok(Job {
        kind: job.kind.as_str(),
        dataset_arn: dataset,
        dataset_group_arn: group,
        status,
        progress: so_far(job.progress),
        attempts: job.attempts,
        ledger: ledger(job.kind, job.status, &report, job.records_deleted, validate_only == Some(true)),
        files: report.get("files").cloned(),
        losers: report.get("losers").cloned(),
        options,
        since,
        rejects: None,
        tasks: Vec::new(),
        evidence: (is_deletion && report.is_object()).then_some(report),
        failure_reason: job.failure_reason,
        cancelled_by: job.cancelled_by,
        role_arn: job.role_arn,
        location,
        mode,
        tolerance,
        validate_only,
        created_at: Seconds(job.created_ms),
        last_updated_at: Seconds(job.updated_ms),
        job_name: job.name,
        job_arn: job.arn,
    })
}

fn task((task, state): (TaskRow, String)) -> Task {
    let TaskRow { number, executor, rows_done, bytes_done, .. } = task;
    Task { number, executor, state, rows_done, bytes_done }
}

/// A job's state in its own words.
pub(super) fn word(job: &JobRow) -> &'static str {
    if job.kind == JobKind::Deletion { data_deletion_job::word(job.status) } else { job.status.as_str() }
}

fn request(job: &JobRow) -> Result<(String, Option<&'static str>)> {
    Ok(match job.kind {
        JobKind::Import => {
            let request = job.import_request()?;
            (request.data_location, Some(request.import_mode.as_str()))
        }
        JobKind::Export => {
            let request = job.export_request()?;
            (request.path, Some(request.ingestion_mode.as_str()))
        }
        JobKind::Deletion => (job.deletion_request()?.data_location, None),
        JobKind::Update | JobKind::Analysis => (String::new(), None),
    })
}

fn asked_of_import(job: &JobRow) -> Result<(Option<u64>, Option<bool>)> {
    if job.kind != JobKind::Import {
        return Ok((None, None));
    }
    let request = job.import_request()?;
    Ok((Some(request.tolerance), Some(request.validate_only)))
}

fn extensions(job: &JobRow) -> Result<(Option<Asked>, Option<Since>)> {
    if job.kind != JobKind::Export {
        return Ok((None, None));
    }
    let request = job.export_request()?;
    Ok((Some(request.options), request.since))
}

// Where every row went; of a job that failed nothing did.
fn ledger(
    kind: JobKind,
    status: Status,
    report: &Value,
    records_deleted: u64,
    validate_only: bool,
) -> Option<Value> {
    match kind {
        _ if status != Status::Active => None,
        JobKind::Import => {
            let number = |member: &str| report.get(member)?.as_u64();
            let (read, duplicates) = (number("rowsRead")?, number("exactDuplicates")?);
            // Jobs of older versions left out none.
            let rejected = number("rowsRejected").unwrap_or(0);
            let right = read.saturating_sub(duplicates + rejected);
            let (kept, valid) = if validate_only { (0, Some(right)) } else { (right, None) };
            let mut ledger = json!({
                "rowsRead": read, "exactDuplicates": duplicates, "rowsRejected": rejected, "rowsKept": kept,
            });
            if let Some(valid) = valid {
                ledger["rowsValid"] = valid.into();
            }
            Some(ledger)
        }
        JobKind::Export => report.get("ledger").cloned(),
        JobKind::Deletion => Some(json!({ "recordsDeleted": records_deleted })),
        JobKind::Update | JobKind::Analysis => None,
    }
}

pub(super) fn so_far(progress: Progress) -> Shown {
    let known = |total: u64| (total > 0).then_some(total);
    Shown {
        rows_done: progress.rows_done,
        rows_total: known(progress.rows_total),
        bytes_done: progress.bytes_done,
        bytes_total: known(progress.bytes_total),
        eta_seconds: progress.eta_s,
    }
}

fn damaged(cause: serde_json::Error) -> Error {
    Error::corrupt("a job's report can't be read").caused_by(cause)
}

#[cfg(test)]
mod tests;
