//! Export schedules: put, shown, paused, run and deleted; each job of one is an export job like any other.
//!
//! What a schedule needs is what creating its jobs would need: asked when it is put, of whoever puts it.

mod input;

use access::{Context, Errand, S3Location, trail};
use catalog::export_schedule::job_name;
use catalog::{ExportPlan, ExportScheduleRow, JobKind, Keep, Missed};
use model::{Arn, Error, ErrorKind, Result, Schedule};
use serde::Serialize;
use serde_json::{Value, json};
use wire::shape;

use crate::call::Call;
use crate::dataset_export_job::{self, Planned};
use crate::door::Api;
use crate::operation::{Asked, Operation, by_target};
use crate::permission::{self, authorize, authorize_any};
use crate::reply::{Answer, Seconds};
use crate::{events, probe, shapes};
use input::Input;

const CREATE: &str = "personalize:CreateDatasetExportJob";
const DESCRIBE: &str = "personalize:DescribeDatasetExportJob";
/// The name of a job has 63 characters, of which the instant takes 17.
const NAME_CHARS_MAX: usize = 46;
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    name: String,
    dataset_arn: Arn,
    ingestion_mode: &'static str,
    role_arn: String,
    job_output: Value,
    tags: Value,
    cron: String,
    time_zone: String,
    keep: Value,
    missed: &'static str,
    enabled: bool,
    /// Null while it is paused.
    next_at: Option<Seconds>,
    created_at: Seconds,
    last_updated_at: Seconds,
    created_by: String,
    last_updated_by: String,
    last_job: Option<LastJob>,
    /// What was wrong the last time, if anything was.
    trouble: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LastJob {
    dataset_export_job_arn: Arn,
    status: &'static str,
    failure_reason: Option<String>,
    creation_date_time: Seconds,
}

#[derive(Serialize)]
pub struct Listed {
    schedules: Vec<Description>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    dataset_export_job_arn: Arn,
}

#[derive(Serialize)]
pub struct Deleted {
    name: String,
}

/// Makes a schedule, or gives it another plan; permission is that to create its jobs, to pass their role and to use
/// their key.
///
/// # Errors
/// As those of an export job; `Invalid` for what cron or time zone do not mean, or when the role may not delete what is
/// not to be kept.
pub async fn put(api: &Api, call: &Call, name: &str) -> Answer<Description> {
    check_name(name)?;
    let input = input::read(&call.body)?;
    let schedule = Schedule::parse(&input.cron, &input.time_zone)?;
    let now_ms = api.clock.now_ms();
    let next_ms = schedule.next_after(now_ms);
    let request = |job_name: &str| {
        let mut job = input.job.clone();
        job.insert("jobName".to_owned(), json!(job_name));
        Value::Object(job)
    };
    let first = request(&job_name(name, next_ms.unwrap_or(now_ms)));
    shape::check(&dataset_export_job::CREATE, &first)?;
    permission::check(api, call, operation()?, &request(&pattern(name))).await?;
    let first = serde_json::from_value(first).map_err(|e| events::request::not_json(&e))?;
    let planned = dataset_export_job::check(api, first).await?;
    check_deletion(api, name, &planned, input.keep).await?;
    let Planned { dataset_arn, ingestion_mode, role_arn, path, kms_key_arn, tags } = planned;
    let Input { cron, time_zone, keep, missed, is_enabled, .. } = input;
    let plan = ExportPlan {
        dataset_arn,
        ingestion_mode,
        role_arn,
        path,
        kms_key_arn,
        tags,
        cron,
        time_zone,
        keep,
        missed,
    };
    // What is due already stays due, unless the plan has other instants.
    let known = api.catalog.export_schedule(name).await?;
    let same = known.filter(|row| row.plan.cron == plan.cron && row.plan.time_zone == plan.time_zone);
    let next_ms = same.and_then(|row| row.next_ms).or(next_ms).filter(|_| is_enabled);
    api.catalog.put_export_schedule(name, &plan, next_ms, call.principal.arn()).await?;
    show(api, find(api, name).await?).await
}

/// Shows all schedules, by name; permission is that to list export jobs.
pub async fn list(api: &Api, call: &Call) -> Answer<Listed> {
    authorize_any(api, call, "personalize:ListDatasetExportJobs").await?;
    let mut schedules = Vec::new();
    for row in api.catalog.export_schedules().await? {
        schedules.push(show(api, row).await?);
    }
    Ok(Listed { schedules })
}

/// Shows a schedule; permission is that to describe its jobs.
pub async fn describe(api: &Api, call: &Call, name: &str) -> Answer<Description> {
    may(api, call, DESCRIBE, name).await?;
    show(api, find(api, name).await?).await
}

/// Pauses a schedule, or lets it go on with the first instant from now; permission is that to create its jobs, and to let
/// it go on also that to pass its role and to use its key.
pub async fn pause(api: &Api, call: &Call, name: &str, is_pause: bool) -> Answer<Description> {
    may(api, call, CREATE, name).await?;
    let row = find(api, name).await?;
    if !is_pause {
        permission::check(api, call, operation()?, &request_of(&row)).await?;
    }
    let next_ms = if is_pause { None } else { row.next_after(api.clock.now_ms())? };
    if row.is_enabled == is_pause {
        api.catalog.pause_export_schedule(name, next_ms, call.principal.arn()).await?;
    }
    show(api, find(api, name).await?).await
}

/// Makes a job of a schedule at once; permission is that to create it, to pass its role and to use its key.
///
/// # Errors
/// As those of an export job.
pub async fn run(api: &Api, call: &Call, name: &str) -> Answer<Created> {
    may(api, call, CREATE, name).await?;
    let row = find(api, name).await?;
    permission::check(api, call, operation()?, &request_of(&row)).await?;
    // By the second, as its job is named: an instant of the schedule in the same one has had its job then.
    let now_ms = api.clock.now_ms() / 1000 * 1000;
    let dataset = crate::dataset::active(api, &row.plan.dataset_arn).await?;
    let job = row.job(&api.realm, &dataset.layout, now_ms)?;
    api.catalog.run_export_schedule_now(&row, &job, now_ms, || api.log.settled()).await?;
    api.bell.notify_one();
    Ok(Created { dataset_export_job_arn: job.arn })
}

/// Deletes a schedule; its jobs and what they wrote stay. Permission is that to create its jobs.
pub async fn delete(api: &Api, call: &Call, name: &str) -> Answer<Deleted> {
    may(api, call, CREATE, name).await?;
    api.catalog.delete_export_schedule(name).await?;
    Ok(Deleted { name: name.to_owned() })
}

fn check_name(name: &str) -> Result<()> {
    if shapes::NAME.matches(name) && name.len() <= NAME_CHARS_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The name of a schedule has 1 to {NAME_CHARS_MAX} letters, digits, - and _, the first one a letter or digit; \
         \"{name}\" has not."
    )))
}

/// What all of a schedule's jobs are called, as a policy would put it.
fn pattern(name: &str) -> String {
    format!("{name}-*")
}

async fn may(api: &Api, call: &Call, action: &str, name: &str) -> Result<()> {
    let resource = api.realm.export_job(&pattern(name));
    trail::resource(resource.as_str());
    authorize(api, call, action, resource.as_str(), &Context::from_peer(call.peer)).await
}

fn operation() -> Result<&'static Operation> {
    match by_target("CreateDatasetExportJob") {
        Asked::Operation(operation) => Ok(operation),
        _ => Err(Error::internal("find CreateDatasetExportJob in the table of operations")),
    }
}

async fn find(api: &Api, name: &str) -> Result<ExportScheduleRow> {
    let gone = || Error::new(ErrorKind::NotFound, format!("There is no export schedule {name}."));
    api.catalog.export_schedule(name).await?.ok_or_else(gone)
}

// The role has to be able to delete what it writes; what is tried is not there.
async fn check_deletion(api: &Api, name: &str, planned: &Planned, keep: Keep) -> Result<()> {
    if keep == Keep::All {
        return Ok(());
    }
    if planned.tags.iter().any(|(key, value)| key == "lade:output" && value == "digest") {
        return Err(Error::invalid(
            "A schedule with lade:output=digest writes no files, so it takes no keep.",
        ));
    }
    let place = S3Location::parse(&planned.path).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let job = api.realm.export_job(&format!("{name}-probe"));
    let bucket = api.access.open_bucket(&planned.role_arn, &job, &Errand::clearing(&place)).await?;
    probe::deletion(&bucket, &format!("{}{name}-probe/_manifest.json", place.prefix())).await
}

/// What creating a job of a schedule would ask for.
fn request_of(row: &ExportScheduleRow) -> Value {
    json!({
        "jobName": pattern(&row.name), "datasetArn": row.plan.dataset_arn, "roleArn": row.plan.role_arn,
        "jobOutput": output(&row.plan), "tags": tags(&row.plan),
    })
}

fn output(plan: &ExportPlan) -> Value {
    let mut destination = json!({ "path": plan.path });
    if let Some(key) = &plan.kms_key_arn {
        destination["kmsKeyArn"] = json!(key);
    }
    json!({ "s3DataDestination": destination })
}

fn tags(plan: &ExportPlan) -> Value {
    plan.tags.iter().map(|(key, value)| json!({ "tagKey": key, "tagValue": value })).collect()
}

async fn show(api: &Api, row: ExportScheduleRow) -> Answer<Description> {
    let last = match &row.last_job_arn {
        Some(arn) => api.catalog.job(arn).await?.filter(|job| job.kind == JobKind::Export),
        None => None,
    };
    let last_job = last.map(|job| LastJob {
        dataset_export_job_arn: job.arn,
        status: job.status.as_str(),
        failure_reason: job.failure_reason,
        creation_date_time: Seconds(job.created_ms),
    });
    let plan = row.plan;
    Ok(Description {
        name: row.name,
        job_output: output(&plan),
        tags: tags(&plan),
        dataset_arn: plan.dataset_arn,
        ingestion_mode: plan.ingestion_mode.as_str(),
        role_arn: plan.role_arn,
        cron: plan.cron,
        time_zone: plan.time_zone,
        keep: match plan.keep {
            Keep::All => Value::Null,
            Keep::Exports(count) => json!({ "exports": count }),
            Keep::Days(days) => json!({ "days": days }),
        },
        missed: match plan.missed {
            Missed::RunOnce => "RUN_ONCE",
            Missed::Skip => "SKIP",
        },
        enabled: row.is_enabled,
        next_at: row.next_ms.map(Seconds),
        created_at: Seconds(row.created_ms),
        last_updated_at: Seconds(row.updated_ms),
        created_by: row.created_by,
        last_updated_by: row.updated_by,
        last_job,
        trouble: row.trouble,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_room_for_the_instant() {
        assert!(check_name("nightly_2-a").is_ok() && check_name(&"n".repeat(46)).is_ok());
        for name in ["", "-a", "a.b", &"n".repeat(47)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
