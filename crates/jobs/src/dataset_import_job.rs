//! Dataset import jobs: files opened as the role, read into a run, listed in one transaction; a report goes before it.

use std::io::{self, Read};
use std::sync::Arc;

use access::bucket::ObjectEntry;
use access::remedy::READING;
use access::source::{Depth, Source};
use access::{Bucket, Errand, S3Location, bucket};
use bytes::{Buf, Bytes};
use catalog::{ImportRequest, JobRow, Lease, NewRun};
use csv::Dialect;
use engine::Progress;
use engine::import::{CHUNK_BYTES, Rejecting, Rejects, SourceFile, Target, import};
use model::error::{Error, Result};
use model::{Layout, Origin};
use store::RunFile;
use tokio::runtime::Handle;
use tracing::info;

use crate::import_range::{self, Imported};
use crate::metric_attribution::{self, Finished, Report};
use crate::patience::unless_stopped;
use crate::{Parts, attempt, blocking, dataset_of, explain_denial, lease, new_run, rejects};

pub async fn run(parts: &Arc<Parts>, job: &JobRow, lease: &Lease, progress: &Arc<Progress>) -> Result<()> {
    let request = job.import_request()?;
    let dataset = dataset_of(parts, job).await?;
    let parts = &parts.of_dataset(&dataset).await?;
    let layout = dataset.layout;
    let place =
        S3Location::parse(&request.data_location).ok_or_else(|| Error::invalid("Invalid Data location."))?;
    let bucket = parts.access.open_bucket(&job.role_arn, &job.arn, &Errand::reading(&place)).await?;
    let source = unless_stopped(progress, Source::find(&bucket, &place.key, Depth::FirstLevel))
        .await
        .map_err(explain_denial(&place.bucket, READING))?;
    progress.expect_bytes(source.size_bytes());
    let report = metric_attribution::begin(parts, job, lease, &layout, progress).await?;
    let attempt = parts.clock.hex(16);
    parts.catalog.begin_attempt(&attempt).await?;
    let place_of = (&attempt[..], rejecting(parts, &request));
    if report.is_none() && may_be_cut(parts, &request) {
        let tasks = import_range::import_all(parts, lease, &layout, &source, &attempt, progress).await;
        let listed = match tasks {
            Ok(Some(imported)) => Some(list_ranges(parts, job, lease, &layout, imported, progress).await),
            Ok(None) => None,
            Err(cause) => Some(Err(explain_denial(&place.bucket, READING)(cause))),
        };
        if let Some(listed) = listed {
            attempt::end(parts, &attempt).await;
            return listed;
        }
        info!(job.arn = %job.arn, "the import is done as a whole");
        progress.begin_again();
    }
    let read = read_and_sort(parts, place_of, layout.clone(), bucket, source, report, progress).await;
    let kept = match read {
        Ok((found, written)) => {
            let kept = rejects::keep(parts, job, lease, &found).await;
            kept.and(written).map(|(file, report)| (file, found.count, report))
        }
        Err(cause) => Err(cause),
    };
    let listed = match kept {
        Ok(done) => publish_and_list(parts, job, lease, &layout, done, progress).await,
        Err(cause) => Err(explain_denial(&place.bucket, READING)(cause)),
    };
    attempt::end(parts, &attempt).await;
    listed
}

// Only an import of the whole tells of wrong rows and leaves them out, and adds up metrics in the order of records.
fn may_be_cut(parts: &Parts, request: &ImportRequest) -> bool {
    parts.runner.is_some() && request.tolerance == 0 && !request.validate_only
}

// Source: "Quotas". Rows that equal each other count once.
fn enough(layout: &Layout, rows: u64, interactions_min: u64) -> Result<()> {
    if layout.dataset_type.is_keyed() || rows >= interactions_min {
        return Ok(());
    }
    Err(Error::invalid(format!("Dataset import job has fewer than {interactions_min} interactions.")))
}

fn rejecting(parts: &Parts, request: &ImportRequest) -> Rejecting {
    Rejecting { tolerated: request.tolerance, told_max: parts.settings.rejects_told_max }
}

/// What was read, and what of it was wrong.
type Checked = (Rejects, Result<(RunFile, Option<Finished>)>);

async fn read_and_sort(
    parts: &Arc<Parts>,
    (attempt, rejecting): (&str, Rejecting),
    layout: Layout,
    bucket: Bucket,
    source: Source,
    mut report: Option<Report>,
    progress: &Arc<Progress>,
) -> Result<Checked> {
    let (parts, progress) = (parts.clone(), progress.clone());
    let object = format!("{attempt}-0.parquet");
    let scratch = parts.scratch.join(attempt);
    let handle = Handle::current();
    blocking(move || {
        let files =
            source.files.iter().map(|file| open(&bucket, file, source.is_exported, &progress, &handle));
        let job_memory_bytes = parts.settings.job_memory_bytes;
        let memory_bytes =
            report.as_ref().map_or(job_memory_bytes, |_| Report::sort_memory_bytes(job_memory_bytes));
        let threads = parts.settings.threads;
        let (objects, chunk_bytes) = (&parts.objects, CHUNK_BYTES);
        let target = Target { objects, object, scratch, memory_bytes, threads, chunk_bytes, rejecting };
        let metrics = report.as_mut().map(|report| &mut report.aggregator);
        let (rejects, file) = import(&layout, files, &target, metrics, &progress);
        let written = file.and_then(|file| Ok((file, report.map(Report::finish).transpose()?)));
        Ok((rejects, written))
    })
    .await
}

// The report comes first: a job that can't write it fails, and has then imported nothing.
async fn publish_and_list(
    parts: &Parts,
    job: &JobRow,
    lease: &Lease,
    layout: &Layout,
    (file, rejected, report): (RunFile, u64, Option<Finished>),
    progress: &Progress,
) -> Result<()> {
    enough(layout, file.rows, parts.catalog.quotas().interactions_min)?;
    if let Some(report) = report {
        report.write().await?;
    }
    list_run(parts, job, lease, layout, (file, rejected), progress).await
}

/// Ends a job that tasks have done: its report is that of an import of the whole.
async fn list_ranges(
    parts: &Parts,
    job: &JobRow,
    lease: &Lease,
    layout: &Layout,
    imported: Imported,
    progress: &Progress,
) -> Result<()> {
    enough(layout, imported.distinct, parts.catalog.quotas().interactions_min)?;
    // An earlier attempt may have kept a report of wrong rows.
    rejects::keep(parts, job, lease, &Rejects { is_complete: true, ..Rejects::default() }).await?;
    let Imported { runs, records, distinct } = imported;
    info!(job.arn = %job.arn, rows = records, distinct, runs = runs.len(), "imported {records} rows by tasks");
    let run = |(file, base)| NewRun { sequence_base: base, ..new_run(layout, Origin::Bulk, file) };
    let runs: Vec<NewRun> = runs.into_iter().map(run).collect();
    let report = report(records, distinct, 0);
    progress.expect_rows(progress.rows());
    let (mode, progress) = (job.import_request()?.import_mode, lease::so_far(progress, None));
    parts.catalog.finish_import(lease, job.dataset_id, mode, &runs, &report, progress).await
}

fn report(records: u64, distinct: u64, rejected: u64) -> String {
    let (read, duplicates) = (records + rejected, records - distinct);
    let report =
        serde_json::json!({ "rowsRead": read, "exactDuplicates": duplicates, "rowsRejected": rejected });
    report.to_string()
}

/// Ends the job with the run that was written; `rejected` rows were left out of it.
pub async fn list_run(
    parts: &Parts,
    job: &JobRow,
    lease: &Lease,
    layout: &Layout,
    (file, rejected): (RunFile, u64),
    progress: &Progress,
) -> Result<()> {
    let request = job.import_request()?;
    let report = report(file.records, file.rows, rejected);
    if request.validate_only {
        info!(job.arn = %job.arn, rows = file.records, rejected, "checked {} rows, and imported none", file.records);
        progress.expect_rows(progress.rows());
        let progress = lease::so_far(progress, None);
        return parts.catalog.finish_validation(lease, &report, progress).await;
    }
    info!(job.arn = %job.arn, rows = file.records, distinct = file.rows, rejected, size_bytes = file.size_bytes, "imported {} rows", file.records);
    let run = new_run(layout, Origin::Bulk, file);
    // A run without records would say nothing; its object is cleared away like any that no row names.
    let runs = if run.rows == 0 { vec![] } else { vec![run] };
    progress.expect_rows(progress.rows());
    let (mode, progress) = (request.import_mode, lease::so_far(progress, None));
    parts.catalog.finish_import(lease, job.dataset_id, mode, &runs, &report, progress).await
}

/// Opens a file that must still be the one that was listed.
pub(crate) fn open(
    bucket: &Bucket,
    file: &ObjectEntry,
    is_exported: bool,
    progress: &Arc<Progress>,
    handle: &Handle,
) -> Result<SourceFile> {
    let if_match = (!file.etag.is_empty()).then_some(file.etag.as_str());
    let opening = unless_stopped(progress, bucket.get(&file.key, None, if_match));
    let (head, body) = handle.block_on(opening)?;
    let body = body.of_size(file.size)?;
    let is_rfc4180 = is_exported || head.metadata.get("personalize-csv").is_some_and(|v| v == "rfc4180");
    let dialect = if is_rfc4180 { Dialect::Rfc4180 } else { Dialect::Aws };
    let bytes = BodyReader { body, piece: Bytes::new(), progress: progress.clone(), handle: handle.clone() };
    Ok(SourceFile { key: file.key.clone(), dialect, bytes: Box::new(bytes) })
}

/// The bytes of an object for whoever reads and does not wait.
struct BodyReader {
    body: bucket::Body,
    piece: Bytes,
    progress: Arc<Progress>,
    handle: Handle,
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = unless_stopped(&self.progress, self.body.next());
            match self.handle.block_on(next).map_err(io::Error::other)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut out[..n]);
        Ok(n)
    }
}
