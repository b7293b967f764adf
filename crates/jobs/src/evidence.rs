//! Evidence: once a data deletion job has waited for everything, all that is left is read again and shown to be without
//! the listed users' older records.

use std::collections::BTreeSet;
use std::sync::Arc;

use catalog::{DatasetRow, DeletionList, DeletionPlan, JobRow, Lease, RunRow};
use engine::Progress;
use engine::deletion::{Doomed, count};
use model::error::{Context, Error, Result};
use seal::DataKeys;
use serde::{Deserialize, Serialize};
use store::compact::Input;
use store::tail::read_tail;
use store::{Objects, RunWriter, ScratchFolder, Sorter};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::upkeep::input;
use crate::{Parts, attempt, blocking};

/// What a job's report tells of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    users_checked: u64,
    runs_read: u64,
    segments_read: u64,
    pub records_found: u64,
    /// Runs and segments of the log by their ids.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub found_in: Vec<String>,
    checked_at: String,
}

/// The folders for sorting that are in use now.
pub fn scratch_folders(parts: &Parts) -> Result<Vec<String>> {
    let listing = || "list the folder for sorting".to_owned();
    let entries = match std::fs::read_dir(parts.scratch.path()) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.unavailable(listing)?,
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry.unavailable(listing)?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

/// Whether a folder for sorting is still in use that was when the records went: it may hold some.
pub fn is_scratch_awaited(parts: &Parts, plan: &DeletionPlan) -> Result<bool> {
    let now = scratch_folders(parts)?;
    Ok(plan.scratch.iter().any(|name| now.contains(name)))
}

/// Reads all runs of the group's datasets of users, and what the log has of them, beside the list.
///
/// # Errors
/// `Unavailable` when a read fails; `Corrupt` when a run is damaged.
pub async fn gather(
    parts: &Arc<Parts>,
    job: &JobRow,
    lease: &Lease,
    list: &DeletionList,
    progress: &Arc<Progress>,
) -> Result<Evidence> {
    let doomed = Doomed { list: list.object.clone(), before: list.before };
    let (users_checked, segments_read) = (list.users, parts.log.segments() as u64);
    let mut evidence = Evidence { users_checked, segments_read, ..Evidence::default() };
    let list_keys = list_keys(parts, job).await?;
    for dataset in datasets_of_users(parts, job).await? {
        let keys = and_opening(parts.of_dataset(&dataset).await?.objects.keys().clone(), &list_keys);
        let reader = Reader { parts: parts.with_keys(keys), dataset, doomed: doomed.clone() };
        reader.read_runs(lease, progress, &mut evidence).await?;
        reader.read_log(progress, &mut evidence).await?;
    }
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(parts.clock.now_ms()) * 1_000_000);
    evidence.checked_at = now.ok().and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default();
    Ok(evidence)
}

/// The datasets that a job deletes from.
pub async fn datasets_of_users(parts: &Parts, job: &JobRow) -> Result<Vec<DatasetRow>> {
    let mut datasets = parts.catalog.all_datasets().await?;
    datasets.retain(|d| d.group_arn == job.subject_arn && d.dataset_type.is_of_users());
    Ok(datasets)
}

/// What the list of users is sealed with: the key of the group's first dataset of users, so that it can be read for
/// as long as the records can.
pub async fn list_keys(parts: &Parts, job: &JobRow) -> Result<DataKeys> {
    match datasets_of_users(parts, job).await?.first() {
        Some(dataset) => Ok(parts.of_dataset(dataset).await?.objects.keys().clone()),
        None => Ok(DataKeys::default()),
    }
}

/// Keys that open what others sealed, too.
pub fn and_opening(keys: DataKeys, others: &DataKeys) -> DataKeys {
    keys.and_opening_all(others)
}

struct Reader {
    parts: Arc<Parts>,
    dataset: DatasetRow,
    doomed: Doomed,
}

impl Reader {
    // Those that are listed are kept from being cleared away; the others are pinned by an export, or go meanwhile.
    async fn read_runs(
        &self,
        lease: &Lease,
        progress: &Arc<Progress>,
        evidence: &mut Evidence,
    ) -> Result<()> {
        self.parts.catalog.pin_runs(lease, self.dataset.id).await?;
        for row in self.parts.catalog.all_runs(self.dataset.id).await? {
            let found = match self.count(input(&row), progress).await {
                Err(cause) if self.is_there(&row).await? => return Err(cause),
                Err(_) => continue,
                Ok(found) => found,
            };
            evidence.runs_read += 1;
            if found > 0 {
                evidence.records_found += found;
                evidence.found_in.push(format!("run {}", row.run.object));
            }
        }
        Ok(())
    }

    async fn is_there(&self, row: &RunRow) -> Result<bool> {
        let rows = self.parts.catalog.all_runs(self.dataset.id).await?;
        Ok(rows.iter().any(|other| other.id == row.id))
    }

    async fn count(&self, input: Input, progress: &Arc<Progress>) -> Result<u64> {
        let (parts, doomed, progress) = (self.parts.clone(), self.doomed.clone(), progress.clone());
        let layout = self.layout().await?;
        blocking(move || count(&parts.objects, &layout, &input, &doomed, &progress)).await
    }

    // A newer schema may have come meanwhile, and a run with it.
    async fn layout(&self) -> Result<model::Layout> {
        let gone = || Error::internal("a dataset is gone while a job deletes records from it");
        Ok(self.parts.catalog.dataset_by_id(self.dataset.id).await?.ok_or_else(gone)?.layout)
    }

    async fn read_log(&self, progress: &Arc<Progress>, evidence: &mut Evidence) -> Result<()> {
        let (parts, id) = (self.parts.clone(), self.dataset.id.cast_unsigned());
        parts.log.refresh().await?;
        let before = self.doomed.before;
        let older = blocking(move || parts.log.older_frames(id, before)).await?;
        let (Some(first), Some(last)) = (older.first(), older.last()) else { return Ok(()) };
        let (from, to) = (first.position, last.position + 1);
        let attempt = self.parts.clock.hex(16);
        self.parts.catalog.begin_attempt(&attempt).await?;
        let found = self.count_in_log((from, to), attempt.clone(), progress).await;
        attempt::end(&self.parts, &attempt).await;
        let found = found?;
        if found > 0 {
            evidence.records_found += found;
            evidence.found_in.push(format!("log from {from} to {to}"));
        }
        Ok(())
    }

    // The copy of the log lies among the runs, beside the list, and goes with its attempt.
    async fn count_in_log(
        &self,
        (from, to): (u64, u64),
        attempt: String,
        progress: &Arc<Progress>,
    ) -> Result<u64> {
        let (parts, id) = (self.parts.clone(), self.dataset.id.cast_unsigned());
        let (layout, doomed, progress) = (self.layout().await?, self.doomed.clone(), progress.clone());
        blocking(move || {
            let folder = Folder(parts.scratch.join(&attempt));
            let object = format!("{attempt}-log.parquet");
            let size_bytes = write_log(&parts, id, (from, to), &layout, &folder.0, &object)?;
            let input = Input { object, sequence_base: 0, size_bytes };
            count(&parts.objects, &layout, &input, &doomed, &progress)
        })
        .await
    }
}

fn write_log(
    parts: &Parts,
    id: u64,
    (from, to): (u64, u64),
    layout: &model::Layout,
    folder: &ScratchFolder,
    object: &str,
) -> Result<u64> {
    let mut sorter = Sorter::new(folder, parts.settings.job_memory_bytes / 4);
    let objects: &Objects = &parts.objects;
    read_tail(&parts.log, id, from, to, layout, objects.keys(), &mut sorter)?;
    let mut sorted = sorter.finish()?;
    let mut run = RunWriter::create(objects, object, layout)?;
    while let Some((record, arrivals)) = sorted.next_record()? {
        run.push_record(record, arrivals)?;
    }
    Ok(run.finish()?.size_bytes)
}

/// A folder that goes with whoever made it.
struct Folder(ScratchFolder);

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now is cleared at the next start.
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}

/// Where something was found, for the reason of a job that failed.
pub fn reason(evidence: &Evidence) -> String {
    let places: BTreeSet<&str> = evidence.found_in.iter().map(String::as_str).collect();
    let places: Vec<&str> = places.into_iter().collect();
    format!(
        "{} records of the listed users were found again after their deletion, in: {}. Run the job again; if it fails \
         again, call whoever operates the server.",
        evidence.records_found,
        places.join(", ")
    )
}
