//! The export job that a new one goes on from.

use catalog::{DatasetRow, JobKind, JobRow};
use model::export::{Asked, ExportOptions, Since};
use model::status::Status;
use model::{Arn, Error, IngestionMode, Result};

use crate::door::Api;

/// Finds the job that `lade:since` names, by name or ARN.
///
/// # Errors
/// `Invalid` when there is none, or it did not end well, or it exported another dataset, mode or selection.
pub async fn find(
    api: &Api,
    dataset: &DatasetRow,
    mode: IngestionMode,
    options: &ExportOptions,
    asked: &Asked,
) -> Result<Option<Since>> {
    let Some(name) = &options.since else { return Ok(None) };
    let wrong =
        |must: &str| Error::invalid(format!("The option lade:since must be {must}, and is \"{name}\"."));
    let arn = if name.starts_with("arn:") { Arn::parse(name) } else { Some(api.realm.export_job(name)) };
    let arn = arn.ok_or_else(|| wrong("the name or ARN of an export job"))?;
    let job = api.catalog.job(&arn).await?.filter(|job| job.kind == JobKind::Export);
    let job = job.ok_or_else(|| wrong("the name or ARN of an export job that there is"))?;
    check(&job, dataset, mode, asked).map_err(wrong)?;
    let snapshot = job.snapshot()?;
    let put_sequence = snapshot.put_sequence;
    let put_sequence =
        put_sequence.ok_or_else(|| wrong("an export job that this version of Lade has made"))?;
    Ok(Some(Since { job_arn: arn, sequence: snapshot.sequence, put_sequence }))
}

fn check(job: &JobRow, dataset: &DatasetRow, mode: IngestionMode, asked: &Asked) -> Result<(), &'static str> {
    let Ok(request) = job.export_request() else { return Err("an export job that can be read") };
    if job.status != Status::Active {
        Err("an export job that is ACTIVE")
    } else if job.subject_arn != dataset.arn {
        Err("an export job of this dataset")
    } else if job.dataset_id != dataset.id {
        Err("an export job of this dataset as it was made last")
    } else if request.ingestion_mode != mode {
        Err("an export job of the same ingestionMode")
    } else if ExportOptions::writes_nothing(&request.options) {
        Err("an export job that wrote its files")
    } else if ExportOptions::conditions(&request.options) != ExportOptions::conditions(asked) {
        Err("an export job with the same lade:where")
    } else {
        Ok(())
    }
}
