//! Exports of either side: the job is made once, waited for, and its files are brought to the working folder.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use csv::Dialect;
use model::Layout;
use model::error::{Context, Error, Result};
use model::manifest::Manifest;
use serde_json::{Value, json};

use super::patience::patiently;
use super::rows::{self, Source};
use super::side::{Side, text};
use super::state::{ExportState, FileState, Work};
use super::tell::tell;

const RANGE_BYTES: u64 = 8 << 20;
const MANIFEST: &str = "_manifest.json";

/// What is exported, and where it goes.
pub struct Wanted<'a> {
    /// What the export is called in the working folder.
    pub slot: &'a str,
    pub dataset_arn: &'a str,
    pub mode: &'a str,
    pub bucket: &'a str,
    /// Empty, or ends with a slash.
    pub prefix: String,
    pub role_arn: &'a str,
    pub kms_key_arn: Option<&'a str>,
    /// Options that a Lade knows.
    pub tags: Vec<Value>,
}

impl Wanted<'_> {
    /// Makes the job, unless one of this name is there already; its ARN.
    ///
    /// # Errors
    /// The side's own words when it refuses.
    pub async fn begin(&self, side: &Side, name: &str) -> Result<String> {
        if let Some(arn) = self.find(side, name).await? {
            return Ok(arn);
        }
        let mut destination = json!({ "path": format!("s3://{}/{}", self.bucket, self.under(name)) });
        if let Some(key) = self.kms_key_arn {
            destination["kmsKeyArn"] = json!(key);
        }
        let mut input = json!({
            "jobName": name, "datasetArn": self.dataset_arn, "roleArn": self.role_arn,
            "ingestionMode": self.mode, "jobOutput": { "s3DataDestination": destination },
        });
        if !self.tags.is_empty() {
            input["tags"] = json!(self.tags);
        }
        match side.create_job("CreateDatasetExportJob", input).await {
            Ok(answer) => text(&answer, "datasetExportJobArn"),
            // The answer to an earlier try was lost.
            Err(cause) if cause.kind == model::ErrorKind::AlreadyExists => {
                self.find(side, name).await?.ok_or(cause)
            }
            Err(cause) => Err(cause),
        }
    }

    // A job that failed may have left something, so each has a folder of its own.
    fn under(&self, name: &str) -> String {
        format!("{}{name}/", self.prefix)
    }

    async fn find(&self, side: &Side, name: &str) -> Result<Option<String>> {
        let members = ("datasetExportJobs", "jobName", "datasetExportJobArn");
        side.find("ListDatasetExportJobs", members, json!({ "datasetArn": self.dataset_arn }), name).await
    }

    /// Brings the files of a job that is over to a folder; those that are there already stay.
    ///
    /// # Errors
    /// `Invalid` when the objects are others than when they were begun with.
    pub async fn fetch(&self, side: &Side, name: &str, folder: &Path) -> Result<Vec<FileState>> {
        fs::create_dir_all(folder).unavailable(|| format!("make {}", folder.display()))?;
        let under = self.under(name);
        let entries = patiently(|| side.objects.s3_list(self.bucket, &under)).await?;
        let mut files = Vec::new();
        for entry in entries {
            let name = entry.key.rsplit('/').next().unwrap_or_default();
            if name == MANIFEST {
                let (etag, _) = self.head(side, &entry.key).await?;
                self.fetch_one(side, &entry.key, &etag, entry.size_bytes, &folder.join(MANIFEST)).await?;
            }
            if name.starts_with(['_', '.']) || entry.size_bytes == 0 {
                continue;
            }
            // Their order is that of their keys; their own names may end in anything.
            let local = format!("{:05}.csv", files.len());
            let (etag, is_rfc4180) = self.head(side, &entry.key).await?;
            self.fetch_one(side, &entry.key, &etag, entry.size_bytes, &folder.join(&local)).await?;
            files.push(FileState { name: local, bytes: entry.size_bytes, is_rfc4180 });
        }
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.unavailable(|| format!("sync {}", folder.display()))?;
        Ok(files)
    }

    async fn head(&self, side: &Side, key: &str) -> Result<(String, bool)> {
        let head = patiently(|| side.objects.s3_head(self.bucket, key)).await?;
        let member = |name: &str| head.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok((member("etag").to_owned(), member("x-amz-meta-personalize-csv") == "rfc4180"))
    }

    async fn fetch_one(&self, side: &Side, key: &str, etag: &str, size: u64, path: &Path) -> Result<()> {
        if fs::metadata(path).is_ok_and(|found| found.len() == size) {
            return Ok(());
        }
        let writing = || format!("write {}", path.display());
        let draft = path.with_extension("part");
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).open(&draft).unavailable(writing)?;
        let mut from = 0;
        while from < size {
            let to = (from + RANGE_BYTES).min(size);
            let piece = patiently(|| side.objects.s3_read_range(self.bucket, key, etag, from, to)).await?;
            file.write_all(&piece).unavailable(writing)?;
            from = to;
        }
        file.sync_all().unavailable(writing)?;
        fs::rename(&draft, path).unavailable(writing)
    }
}

/// Makes the exports of a dataset in several modes, all before any is waited for, and brings their files.
///
/// A step that was done by an earlier command is not done again.
pub async fn all(
    work: &mut Work,
    side: &Side,
    (key, layout): (&str, &Layout),
    wanted: &[Wanted<'_>],
) -> Result<()> {
    for wanted in wanted {
        let known = work.dataset(key).exports.get(wanted.slot).cloned().unwrap_or_default();
        if known.job_arn.is_some() {
            continue;
        }
        let job_name = if known.job_name.is_empty() { work.job_name()? } else { known.job_name };
        let mut export = ExportState { job_name, ..ExportState::default() };
        work.dataset(key).exports.insert(wanted.slot.to_owned(), export.clone());
        work.save()?;
        export.job_arn = Some(wanted.begin(side, &export.job_name).await?);
        work.dataset(key).exports.insert(wanted.slot.to_owned(), export);
        work.save()?;
    }
    for wanted in wanted {
        let Some(mut export) = work.dataset(key).exports.get(wanted.slot).cloned() else { continue };
        let folder = folder(work, key, wanted.slot).join(&export.job_name);
        if export.files.is_some() {
            continue;
        }
        tell!("{key}: waiting for the {} export {}", wanted.slot, export.job_name);
        let input = json!({ "datasetExportJobArn": export.job_arn });
        match side.until_over("DescribeDatasetExportJob", input, "datasetExportJob").await? {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of this era are small numbers")]
            Ok(job) => export.made_at_s = job["creationDateTime"].as_f64().map(|seconds| seconds as i64),
            Err(failed) => {
                // A job that failed is never waited for again: the next command makes another one.
                work.dataset(key).exports.remove(wanted.slot);
                work.save()?;
                return Err(failed);
            }
        }
        let files = wanted.fetch(side, &export.job_name, &folder).await?;
        export.rows = rows::count(layout, sources(&folder, &files))?;
        check_manifest(&folder, export.rows)?;
        export.files = Some(files);
        work.dataset(key).exports.insert(wanted.slot.to_owned(), export);
        work.save()?;
    }
    Ok(())
}

/// The files of an export that is here.
///
/// # Errors
/// `Internal` when it is not.
pub fn of_slot(work: &mut Work, key: &str, slot: &str) -> Result<Vec<Source>> {
    let folder = folder(work, key, slot);
    let export = work.dataset(key).exports.get(slot);
    let found = export.and_then(|export| Some((export.files.as_deref()?, &export.job_name)));
    let missing = || Error::internal(format!("the {slot} export of {key} is not here"));
    let (files, job_name) = found.ok_or_else(missing)?;
    Ok(sources(&folder.join(job_name), files))
}

/// Where the files of an export lie, those of each job in a folder of its name.
pub fn folder(work: &Work, key: &str, slot: &str) -> PathBuf {
    work.folder.join("data").join(key).join(slot)
}

/// The files as they are read.
pub fn sources(folder: &Path, files: &[FileState]) -> Vec<Source> {
    let source = |file: &FileState| Source {
        path: folder.join(&file.name),
        dialect: if file.is_rfc4180 { Dialect::Rfc4180 } else { Dialect::Aws },
    };
    files.iter().map(source).collect()
}

// A Lade says how many records it wrote, and where all that it read went.
fn check_manifest(folder: &Path, rows: u64) -> Result<()> {
    let Ok(text) = fs::read(folder.join(MANIFEST)) else { return Ok(()) };
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|cause| Error::invalid(format!("{MANIFEST} of an export can't be read")).caused_by(cause))?;
    if manifest.ledger.balances() && manifest.ledger.written == rows {
        return Ok(());
    }
    let (job, written) = (&manifest.job_arn, manifest.ledger.written);
    Err(Error::corrupt(format!("the manifest of {job} tells {written} records, its files hold {rows}")))
}

/// Forgets the files of an export: it was only to be looked at.
pub fn forget(work: &mut Work, key: &str, slot: &str) -> Result<()> {
    work.dataset(key).exports.remove(slot);
    work.save()?;
    remove(&folder(work, key, slot))
}

/// Removes the files of all exports of a dataset, and what was made of them.
///
/// # Errors
/// `Unavailable` when one can't be removed.
pub fn remove_files(work: &Work, key: &str) -> Result<()> {
    remove(&work.folder.join("data").join(key))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(cause).unavailable(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
