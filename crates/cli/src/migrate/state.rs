//! How far a migration is: one file in the working folder, replaced as a whole before each step that must not be done twice.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use model::Clock;
use model::clock::SystemClock;
use model::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};

const NAME: &str = "state.json";
const VERSION: u32 = 1;

/// The working folder, held for one command at a time.
pub struct Work {
    pub folder: PathBuf,
    pub state: State,
    _lock: File,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub version: u32,
    /// In the names of all jobs of this migration, so that they are nobody else's.
    pub run: String,
    /// Addresses of the two sides: a folder belongs to one pair.
    pub source: String,
    pub target: String,
    /// How many jobs were named.
    pub jobs: u64,
    /// Where the target reads and writes.
    pub place: Option<PlaceState>,
    /// By group and type.
    pub datasets: BTreeMap<String, DatasetState>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceState {
    pub bucket: String,
    pub prefix: String,
    pub role_arn: String,
    /// Whether bucket and role were made for this migration.
    pub is_made: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetState {
    /// The source's dataset.
    pub source_arn: Option<String>,
    /// When the target's dataset was made, which was empty when this migration began with it.
    pub claimed: Option<String>,
    /// By mode.
    pub exports: BTreeMap<String, ExportState>,
    /// The name of the job that brings the imported records in, once it has one.
    pub import_job: Option<String>,
    pub is_imported: bool,
    /// How many of the put records, in their order, are at the target; and all of them.
    pub put_rows: u64,
    pub is_put: bool,
    /// Records that the target refused, and the bytes of the file that holds them.
    pub refused: u64,
    pub refused_bytes: u64,
    /// Whether the newest record of each id is the source's.
    pub is_ordered: bool,
    /// Records that were newest at the source and in neither of its other exports: they came later.
    pub strangers: u64,
    pub is_checked: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportState {
    pub job_name: String,
    /// Absent before the job was seen to exist.
    pub job_arn: Option<String>,
    /// When the job was made, in seconds since 1970. Absent before it is over, and where the side does not tell.
    pub made_at_s: Option<i64>,
    /// Absent before all of them are in the folder.
    pub files: Option<Vec<FileState>>,
    pub rows: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileState {
    /// In the folder of its dataset and mode.
    pub name: String,
    pub bytes: u64,
    /// Whether a backslash is always a backslash in it.
    pub is_rfc4180: bool,
}

impl DatasetState {
    /// When the first export of the source was made that its records come from.
    pub fn exported_at_s(&self) -> Option<i64> {
        let of_source = self.exports.iter().filter(|(slot, _)| !slot.starts_with("TARGET-"));
        of_source.filter_map(|(_, export)| export.made_at_s).min()
    }
}

impl Work {
    /// Opens a folder, and makes it where there is none.
    ///
    /// # Errors
    /// `InUse` when another command works in it; `Invalid` when it belongs to another pair of services.
    pub fn open(folder: &Path, source: &str, target: &str) -> Result<Work> {
        let opening = || format!("open the working folder {}", folder.display());
        // It holds records: for nobody else's eyes.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).unavailable(opening)?;
        let lock = File::create(folder.join("lock")).unavailable(opening)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("another command works in {}", folder.display());
                return Err(Error::new(model::ErrorKind::InUse, text));
            }
            Err(TryLockError::Error(cause)) => return Err(cause).unavailable(opening),
        }
        let state = match fs::read(folder.join(NAME)) {
            Ok(text) => read(&text, folder, source, target)?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => State {
                version: VERSION,
                run: (&SystemClock as &dyn Clock).hex(8),
                source: source.to_owned(),
                target: target.to_owned(),
                ..State::default()
            },
            Err(cause) => return Err(cause).unavailable(opening),
        };
        Ok(Work { folder: folder.to_owned(), state, _lock: lock })
    }

    /// Writes the state down: when this returns, a power cut leaves this state or a later one.
    pub fn save(&self) -> Result<()> {
        let saving = || format!("write {NAME} in {}", self.folder.display());
        let text = serde_json::to_vec_pretty(&self.state).unavailable(saving)?;
        replace(&self.folder.join(NAME), &text).unavailable(saving)
    }

    /// A name for a job that nobody else gives; it is written down before this returns.
    pub fn job_name(&mut self) -> Result<String> {
        self.state.jobs += 1;
        self.save()?;
        Ok(format!("lade-migrate-{}-{}", self.state.run, self.state.jobs))
    }

    pub fn dataset(&mut self, key: &str) -> &mut DatasetState {
        self.state.datasets.entry(key.to_owned()).or_default()
    }
}

fn read(text: &[u8], folder: &Path, source: &str, target: &str) -> Result<State> {
    let at = folder.display();
    let state: State = serde_json::from_slice(text)
        .map_err(|cause| Error::corrupt(format!("{NAME} in {at} can't be read")).caused_by(cause))?;
    if state.version != VERSION {
        return Err(Error::invalid(format!("{NAME} in {at} is of version {}", state.version)));
    }
    if (state.source.as_str(), state.target.as_str()) != (source, target) {
        let (from, to) = (&state.source, &state.target);
        return Err(Error::invalid(format!(
            "{at} belongs to a migration from {from} to {to}: name another folder by --work, or those two"
        )));
    }
    Ok(state)
}

/// Puts bytes in a file's place, durably.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_on_where_it_was_left_and_is_one_commands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut work = Work::open(folder.path(), "s", "t").unwrap();
        let first = work.job_name().unwrap();
        work.dataset("shop/ITEMS").put_rows = 7;
        work.save().unwrap();
        assert_eq!(Work::open(folder.path(), "s", "t").err().unwrap().kind, model::ErrorKind::InUse);
        drop(work);
        let mut work = Work::open(folder.path(), "s", "t").unwrap();
        assert_eq!(work.dataset("shop/ITEMS").put_rows, 7);
        assert_ne!(work.job_name().unwrap(), first);
        drop(work);
        assert!(Work::open(folder.path(), "s", "u").err().unwrap().message().contains("from s to t"));
    }
}
