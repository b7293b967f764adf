//! Dataset export jobs: a pinned snapshot merged into files, uploaded, then made visible in one burst.

use std::sync::Arc;

use access::remedy::{WRITING, insufficient};
use access::source::MANIFEST;
use access::{Bucket, Errand, S3Location};
use bytes::Bytes;
use catalog::{JobRow, Lease, RunRow, Snapshot};
use engine::Progress;
use engine::export::{
    FileSummary, Outcome, Piece, Portion, Settings, Source, Written, export_portion, file_count, rows_read,
};
use model::error::{Context, Error, ErrorKind, Result};
use model::export::ExportOptions;
use model::manifest::Manifest;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::naming::Naming;
use crate::patience::{insist, unless_stopped};
use crate::snapshot::{Tail, open_source};
use crate::task::Work;
use crate::upload::{Uploaded, Uploader};
use crate::{Parts, blocking, dataset_of, explain_denial, lease, manifest, team, upload};

/// The size of an uploaded part, the least that a store takes.
const PART_BYTES: u64 = 5 << 20;
/// A store takes 10,000 parts a file; all of a large export may be of one user, and so go into one file.
const PARTS_MAX: u64 = 8_000;
/// What a thread may take to put the records of one item or user in order of arrival.
const GROUP_BYTES: usize = 4 << 20;

/// All that is needed to make an export visible; once it is stored, the job only goes forward.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    files: Vec<Uploaded>,
    manifest_key: String,
    /// Absent where the job was asked for none.
    manifest: Option<String>,
    report: String,
}

impl Plan {
    /// The plan of a job that is completing.
    pub fn of(job: Option<&JobRow>) -> Result<Option<Plan>> {
        let text = job.and_then(|job| job.plan.as_ref());
        text.map(|text| serde_json::from_str(text))
            .transpose()
            .corrupt(|| "an export's plan can't be read".to_owned())
    }

    /// What all keys begin with.
    pub fn folder(&self) -> &str {
        self.manifest_key.strip_suffix(MANIFEST).unwrap_or_default()
    }

    /// All that becomes visible, in that order.
    pub fn keys(&self) -> Vec<String> {
        let manifest = self.manifest.as_ref().map(|_| self.manifest_key.clone());
        self.files.iter().map(|file| file.key.clone()).chain(manifest).collect()
    }
}

pub async fn run(parts: &Arc<Parts>, job: &JobRow, lease: &Lease, progress: &Arc<Progress>) -> Result<()> {
    let request = job.export_request()?;
    let (bucket, place) = open(parts, job).await?;
    let done = export_to(parts, job, lease, progress, (&bucket, &place)).await;
    done.map_err(explain_key(request.kms_key_arn.as_deref())).map_err(explain_denial(&place.bucket, WRITING))
}

/// Opens the bucket that a job writes to, as its role.
async fn open(parts: &Parts, job: &JobRow) -> Result<(Bucket, S3Location)> {
    let request = job.export_request()?;
    let place = S3Location::parse(&request.path).ok_or_else(|| Error::invalid("Invalid S3 output path"))?;
    let errand = Errand::writing(&place).under(request.kms_key_arn.as_deref());
    let bucket = parts.access.open_bucket(&job.role_arn, &job.arn, &errand).await?;
    Ok((bucket.with_key(request.kms_key_arn), place))
}

async fn export_to(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    progress: &Arc<Progress>,
    (bucket, place): (&Bucket, &S3Location),
) -> Result<()> {
    let plan = match Plan::of(Some(job))? {
        Some(plan) => plan,
        None => {
            unless_stopped(progress, upload::abandon(parts, &job.arn, &[], bucket)).await?;
            upload_all(parts, job, lease, progress, bucket, &folder(job, place)).await?
        }
    };
    complete(parts, lease, progress, bucket, &plan).await
}

// With a slash at its end.
fn folder(job: &JobRow, place: &S3Location) -> String {
    format!("{}{}/", place.prefix(), job.name)
}

// The store names the key where it is the key that can't be used.
fn explain_key(key: Option<&str>) -> impl FnOnce(Error) -> Error {
    move |cause| match key {
        Some(key) if cause.kind != ErrorKind::Unavailable && cause.message().contains(key) => {
            Error::invalid(insufficient(key, cause.message())).caused_by(cause)
        }
        _ => cause,
    }
}

async fn upload_all(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    progress: &Arc<Progress>,
    bucket: &Bucket,
    folder: &str,
) -> Result<Plan> {
    let parts = &parts.of_dataset(&dataset_of(parts, job).await?).await?;
    let done = match &parts.runner {
        None => vec![upload_files(parts, job, lease, progress, (bucket, folder), None).await?],
        Some(_) => {
            let portions = cut(parts, job, progress).await?;
            team::begin(parts, lease).await?;
            let works = (0..).zip(portions.into_iter().map(Work::Export)).collect();
            team::run(parts, lease, progress, works).await?
        }
    };
    let plan = plan(job, &job.snapshot()?, folder, done)?;
    let text =
        serde_json::to_string(&plan).map_err(|e| Error::internal("write an export's plan").caused_by(e))?;
    progress.expect_bytes(progress.bytes());
    parts.catalog.set_completing(lease, &text, lease::so_far(progress, None)).await?;
    Ok(plan)
}

/// Cuts a job into its files.
async fn cut(parts: &Arc<Parts>, job: &JobRow, progress: &Arc<Progress>) -> Result<Vec<Portion>> {
    let (snapshot, runs) = (job.snapshot()?, parts.catalog.pinned_runs(&job.arn).await?);
    let (parts, job, progress) = (parts.clone(), job.clone(), progress.clone());
    blocking(move || {
        let mode = job.export_request()?.ingestion_mode;
        let source = open_source(&parts, job.dataset_id, &snapshot, &runs, mode, &Tail::new(&parts))?;
        let settings = settings(&parts, &job, &snapshot, &source)?;
        progress.expect_rows(rows_read(&source, &settings));
        Ok(Portion::each(file_count(source.csv_bytes, &settings)).collect())
    })
    .await
}

/// Files whose parts are all on the store, and what became of their records.
#[derive(Serialize, Deserialize)]
pub struct UploadedFiles {
    files: Vec<(Uploaded, FileSummary)>,
    written: Written,
}

/// Does the task of writing some of a job's files, as the job's role; nothing becomes visible.
pub async fn upload_portion(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    progress: &Arc<Progress>,
    portion: Portion,
) -> Result<UploadedFiles> {
    let (bucket, place) = open(parts, job).await?;
    let parts = &parts.of_dataset(&dataset_of(parts, job).await?).await?;
    upload_files(parts, job, lease, progress, (&bucket, &folder(job, &place)), Some(portion)).await
}

async fn upload_files(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    progress: &Arc<Progress>,
    (bucket, folder): (&Bucket, &str),
    portion: Option<Portion>,
) -> Result<UploadedFiles> {
    let snapshot = job.snapshot()?;
    let runs = parts.catalog.pinned_runs(&job.arn).await?;
    let naming = Naming::new(folder, &snapshot.layout, &job.export_request()?.options)?;
    let (pieces, received) = mpsc::channel(1);
    let merging = {
        let (parts, job, progress) = (parts.clone(), job.clone(), progress.clone());
        blocking(move || merge(&parts, &job, (&snapshot, &runs), portion, &progress, &pieces))
    };
    let uploader = Uploader { parts: parts.clone(), lease: lease.clone(), bucket: bucket.clone(), naming };
    // The uploads' error comes first: a merge whose pieces nobody takes any more only says that it was stopped.
    let (written, files) = tokio::join!(merging, unless_stopped(progress, uploader.run(received)));
    let (files, written) = (files?, written?);
    Ok(UploadedFiles { files, written })
}

/// Merges what some files of a job hold, or all.
pub fn merge(
    parts: &Parts,
    job: &JobRow,
    (snapshot, runs): (&Snapshot, &[RunRow]),
    portion: Option<Portion>,
    progress: &Progress,
    pieces: &mpsc::Sender<Piece>,
) -> Result<Written> {
    let mode = job.export_request()?.ingestion_mode;
    let tail = Tail::new(parts);
    let source = open_source(parts, job.dataset_id, snapshot, runs, mode, &tail)?;
    let settings = settings(parts, job, snapshot, &source)?;
    let portion = portion.unwrap_or_else(|| Portion::whole(file_count(source.csv_bytes, &settings)));
    let mut emit = |piece: Piece| {
        if let Piece::Part { bytes, .. } = &piece {
            let bytes: &[u8] = bytes.as_ref();
            progress.add(0, bytes.len() as u64);
        }
        pieces.blocking_send(piece).map_err(|_| Error::unavailable("the export was stopped"))
    };
    export_portion(&snapshot.layout, mode, &source, &portion, &settings, progress, &mut emit)
}

fn settings(parts: &Parts, job: &JobRow, snapshot: &Snapshot, source: &Source) -> Result<Settings> {
    let request = job.export_request()?;
    Ok(Settings {
        file_size_bytes_max: parts.settings.file_size_bytes_max,
        part_size_bytes: usize::try_from(PART_BYTES.max(source.csv_bytes / PARTS_MAX)).unwrap_or(usize::MAX),
        threads: parts.settings.threads,
        scratch: parts.scratch.join(format!("{}-export", parts.clock.hex(16))),
        memory_bytes: GROUP_BYTES,
        options: ExportOptions::read(&request.options, &snapshot.layout)?,
        since: request.since,
    })
}

fn plan(job: &JobRow, snapshot: &Snapshot, folder: &str, done: Vec<UploadedFiles>) -> Result<Plan> {
    let outcome = Outcome::of(&done.iter().map(|part| part.written).collect::<Vec<_>>())?;
    let mut uploaded: Vec<(Uploaded, FileSummary)> = done.into_iter().flat_map(|part| part.files).collect();
    // Those of the losers come behind the others.
    uploaded.sort_by_key(|(_, summary)| summary.file);
    let named: Vec<(String, FileSummary)> =
        uploaded.iter().map(|(u, s)| (u.key.clone(), s.clone())).collect();
    let manifest = manifest::of_export(job, snapshot, &named, outcome)?;
    let writing = |e| Error::internal("write a manifest").caused_by(e);
    let request = job.export_request()?;
    let is_digest = ExportOptions::read(&request.options, &snapshot.layout)?.is_digest;
    Ok(Plan {
        files: uploaded.into_iter().map(|(u, _)| u).filter(|_| !is_digest).collect(),
        manifest_key: format!("{folder}{MANIFEST}"),
        manifest: match request.manifest && !is_digest {
            true => Some(serde_json::to_string_pretty(&manifest).map_err(writing)?),
            false => None,
        },
        report: report(&manifest),
    })
}

// What the job tells of itself when it has ended.
fn report(manifest: &Manifest) -> String {
    let mut report = serde_json::json!({ "ledger": manifest.ledger, "files": manifest.files });
    if let Some(losers) = &manifest.losers {
        report["losers"] = serde_json::json!(losers);
    }
    report.to_string()
}

/// Makes everything visible: the files in one burst, then the manifest, then the job.
async fn complete(
    parts: &Parts,
    lease: &Lease,
    progress: &Progress,
    bucket: &Bucket,
    plan: &Plan,
) -> Result<()> {
    // What tasks did twice, or others still do, goes before the rest is visible.
    unless_stopped(progress, upload::abandon(parts, &lease.arn, &plan.files, bucket)).await?;
    for file in &plan.files {
        let tags = file.part_tags();
        insist(progress, || bucket.complete(&file.key, &file.upload_id, &tags, file.crc64nvme, file.bytes))
            .await?;
    }
    if let Some(manifest) = &plan.manifest {
        let body = Bytes::from(manifest.clone());
        let put =
            || bucket.put(&plan.manifest_key, body.clone(), "application/json", Default::default(), None);
        insist(progress, put).await?;
    }
    parts.catalog.finish_export(lease, &plan.report).await
}
