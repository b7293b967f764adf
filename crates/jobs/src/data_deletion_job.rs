//! Data deletion jobs: the listed users' records taken out of log and runs, then out of every file that still held them.

use std::sync::Arc;

use access::remedy::READING;
use access::source::{Depth, Source};
use access::{Errand, S3Location};
use catalog::{DatasetRow, DeletionList, DeletionPlan, JobRow, Lease, Replacement, RunRow};
use engine::Progress;
use engine::deletion::{Doomed, read_list, remove};
use engine::import::{CHUNK_BYTES, Rejecting, Target};
use model::error::{Context, Error, ErrorKind, Result};
use store::RunFile;
use tokio::runtime::Handle;
use tracing::info;

use crate::evidence::{self, Evidence};
use crate::upkeep::{carry, clear_objects, clear_orphans, flush_before, input, leave_to_clear, trim_log};
use crate::{Outcome, Parts, attempt, blocking, dataset_import_job, explain_denial, lease, new_run};

pub async fn run(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    progress: &Arc<Progress>,
) -> Result<Outcome> {
    let plan = match job.deletion_plan()? {
        Some(plan) => plan,
        None => {
            let attempt = parts.clock.hex(16);
            parts.catalog.begin_attempt(&attempt).await?;
            let planned = delete_and_plan(parts, job, lease, &attempt, progress).await;
            // The list of users outlives its attempt: the plan names it.
            attempt::end(parts, &attempt).await;
            planned?
        }
    };
    clear_away(parts, job, lease, &plan, progress).await
}

async fn delete_and_plan(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    attempt: &str,
    progress: &Arc<Progress>,
) -> Result<DeletionPlan> {
    let (position, list) = delete(parts, job, lease, attempt, progress).await?;
    let scratch = evidence::scratch_folders(parts)?;
    parts.catalog.set_deleted(lease, position, Some(list), scratch, lease::so_far(progress, None)).await
}

/// Takes the records out of all datasets of the group; gives the log position before which frames may still hold them,
/// and the list of users.
async fn delete(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    attempt: &str,
    progress: &Arc<Progress>,
) -> Result<(u64, DeletionList)> {
    let before = parts.catalog.begin_deletion(lease).await?;
    // Frames that are being carried to the log's end arrive there before the border; from here on none of the group are.
    drop(parts.flushing.lock().await);
    // What has a smaller number lies before this position or in a run, also what is being written at this moment.
    let position = parts.log.rotate().await?;
    let keys = evidence::list_keys(parts, job).await?;
    let list = list_users(&parts.with_keys(keys.clone()), job, attempt, progress).await?;
    let doomed = Doomed { list: list.object.clone(), before };
    let datasets = evidence::datasets_of_users(parts, job).await?;
    let mut rows = progress.rows();
    for dataset in &datasets {
        rows += parts.catalog.runs(dataset.id).await?.iter().map(|row| row.run.rows).sum::<u64>();
    }
    progress.expect_rows(rows);
    for dataset in &datasets {
        flush_before(parts, dataset.id, position).await?;
        let parts = parts.of_dataset(dataset).await?;
        let parts = parts.with_keys(evidence::and_opening(parts.objects.keys().clone(), &keys));
        delete_from(&parts, lease, attempt, dataset.id, &doomed, progress).await?;
    }
    Ok((position, DeletionList { object: list.object, users: list.rows, before }))
}

/// Reads the files of the job into an object of sorted ids, which no row names and which goes with the attempt.
async fn list_users(
    parts: &Arc<Parts>,
    job: &JobRow,
    attempt: &str,
    progress: &Arc<Progress>,
) -> Result<RunFile> {
    let request = job.deletion_request()?;
    let place =
        S3Location::parse(&request.data_location).ok_or_else(|| Error::invalid("Invalid Data location."))?;
    let bucket = parts.access.open_bucket(&job.role_arn, &job.arn, &Errand::reading(&place)).await?;
    let source = Source::find(&bucket, &place.key, Depth::AllLevels).await;
    let source = source.map_err(explain_denial(&place.bucket, READING))?;
    progress.expect_bytes(source.size_bytes());
    let (parts, progress, handle) = (parts.clone(), progress.clone(), Handle::current());
    let (object, scratch) = (format!("{attempt}-list.parquet"), parts.scratch.join(attempt));
    let read = blocking(move || {
        let open = |file: &access::bucket::ObjectEntry| {
            dataset_import_job::open(&bucket, file, source.is_exported, &progress, &handle)
        };
        let memory_bytes = parts.settings.job_memory_bytes;
        let threads = parts.settings.threads;
        let (objects, chunk_bytes, rejecting) = (&parts.objects, CHUNK_BYTES, Rejecting::FIRST);
        let target = Target { objects, object, scratch, memory_bytes, threads, chunk_bytes, rejecting };
        read_list(source.files.iter().map(open), &target, &progress)
    });
    read.await.map_err(explain_denial(&place.bucket, READING))
}

/// Writes what is left of each run beside it and puts it in its place: all runs of the dataset, or none.
pub async fn delete_from(
    parts: &Arc<Parts>,
    lease: &Lease,
    attempt: &str,
    dataset_id: i64,
    doomed: &Doomed,
    progress: &Arc<Progress>,
) -> Result<()> {
    loop {
        let runs = parts.catalog.pin_runs(lease, dataset_id).await?;
        let dataset = parts.catalog.dataset_by_id(dataset_id).await?;
        let dataset = dataset
            .ok_or_else(|| Error::internal("a dataset is gone while a job deletes records from it"))?;
        let arn = dataset.arn.clone();
        let replacements = {
            let (parts, attempt) = (parts.clone(), attempt.to_owned());
            let (doomed, progress) = (doomed.clone(), progress.clone());
            blocking(move || write_rests(&parts, &attempt, &dataset, &runs, &doomed, &progress)).await?
        };
        // An import or a compaction may have taken a run away meanwhile; then the new list is worked on.
        if parts.catalog.replace_runs(lease, dataset_id, &replacements).await? {
            let deleted: u64 = replacements.iter().map(|r| r.deleted).sum();
            info!(job.arn = %lease.arn, dataset.arn = %arn, "deleted {deleted} records");
            return Ok(());
        }
    }
}

fn write_rests(
    parts: &Parts,
    attempt: &str,
    dataset: &DatasetRow,
    runs: &[RunRow],
    doomed: &Doomed,
    progress: &Progress,
) -> Result<Vec<Replacement>> {
    let mut replacements = Vec::new();
    for row in runs {
        let object = format!("{attempt}-{}.parquet", parts.clock.hex(8));
        let rest = remove(&parts.objects, &object, &dataset.layout, &input(row), doomed, progress)?;
        let Some(rest) = rest else { continue };
        if rest.file.records + rest.deleted != row.run.records {
            return Err(Error::corrupt("a run holds another number of records than the catalog says"));
        }
        let deleted = rest.deleted;
        // A run without records would say nothing; its object is cleared away like any that no row names.
        let rest = (rest.file.rows > 0).then(|| new_run(&dataset.layout, row.run.origin, rest.file));
        replacements.push(Replacement { id: row.id, rest, deleted });
    }
    Ok(replacements)
}

/// Ends the job once no file holds a deleted record: exports that read them are through, their segments and runs gone.
pub async fn clear_away(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    plan: &DeletionPlan,
    progress: &Arc<Progress>,
) -> Result<Outcome> {
    // A segment goes as a whole, so the frames of all groups have to leave it.
    for dataset in parts.catalog.all_datasets().await? {
        match flush_before(parts, dataset.id, plan.log_position).await {
            // A group without its key keeps no other group's job waiting.
            Err(cause) if cause.kind == ErrorKind::Invalid && dataset.group_arn != job.subject_arn => {
                carry(parts, dataset.id).await?;
            }
            flushed => flushed?,
        }
    }
    if parts.catalog.is_deletion_awaited(&job.subject_arn, plan).await? {
        return Ok(Outcome::Waiting);
    }
    trim_log(parts).await?;
    // A backup that copies files lets none of them go; the job waits for its end.
    if !clear_objects(parts).await? || parts.log.start() < plan.log_position {
        return Ok(Outcome::Waiting);
    }
    if evidence::is_scratch_awaited(parts, plan)? {
        return Ok(Outcome::Waiting);
    }
    clear_orphans(parts).await?;
    if let Some(list) = &plan.list
        && !prove(parts, job, lease, list, progress).await?
    {
        return Ok(Outcome::Waiting);
    }
    let done = lease::so_far(progress, None);
    parts.catalog.finish_deletion(lease, catalog::Progress { rows_total: done.rows_done, ..done }).await?;
    Ok(Outcome::Ended)
}

/// Writes down the evidence, and lets the list of users go; `false` where it has to stay for now.
async fn prove(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    list: &DeletionList,
    progress: &Arc<Progress>,
) -> Result<bool> {
    let unreadable = || "the evidence of a data deletion job can't be read".to_owned();
    let found: Evidence = match &job.report {
        // An earlier attempt got this far; the list may be gone since.
        Some(report) => serde_json::from_str(report).corrupt(unreadable)?,
        None => {
            let found = evidence::gather(parts, job, lease, list, progress).await?;
            let report = serde_json::to_string(&found)
                .map_err(|e| Error::internal("write the evidence of a deletion").caused_by(e))?;
            parts.catalog.set_evidence(lease, &report).await?;
            found
        }
    };
    let Some(_going) = leave_to_clear(&parts.holds.objects).await? else { return Ok(false) };
    let (objects, object) = (parts.objects.clone(), list.object.clone());
    blocking(move || objects.delete(&object)).await?;
    if found.records_found > 0 {
        return Err(Error::corrupt(evidence::reason(&found)));
    }
    Ok(true)
}
