//! `lade export --download`: the files of an export and its manifest, in a folder of this machine, whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::ProgressBar;
use model::Clock;
use model::clock::SystemClock;
use model::error::{Context, Error, Result};
use proof::plan::{self, Expected, MANIFEST};
use proof::rows::Form;
use proof::{Difference, Reading};

use crate::client::server::Choice;
use crate::job::Job;
use crate::job::show::number;
use crate::verify;
use crate::verify::place::Place;

/// How many files are downloaded at once.
const AT_ONCE: usize = 2;

/// Where an export is downloaded to.
pub struct Download<'a> {
    pub folder: &'a Path,
    /// Whether files that are there may be replaced.
    pub is_forced: bool,
}

/// A file that has no name yet; it goes when it gets none.
struct Draft {
    draft: PathBuf,
    name: String,
}

impl Download<'_> {
    /// Looks whether the folder may be written to, before any job is made.
    ///
    /// # Errors
    /// `Invalid` when it is no folder, or holds an export already.
    pub fn check_folder(&self) -> Result<()> {
        let entries = match fs::read_dir(self.folder) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.unavailable(|| format!("list {}", self.folder.display()))?,
        };
        for entry in entries {
            let name = entry.unavailable(|| format!("list {}", self.folder.display()))?.file_name();
            let name = name.to_string_lossy();
            if !self.is_forced && (name == MANIFEST || Form::is_data(&name)) {
                return Err(self.taken(&name));
            }
        }
        Ok(())
    }

    fn taken(&self, name: &str) -> Error {
        let path = self.folder.join(name);
        Error::invalid(format!(
            "{} is there already: name another folder, or replace it with --force",
            path.display()
        ))
    }

    /// Downloads what a job wrote. Files get their names when all of them are there, proven and on the disk, the manifest
    /// last.
    ///
    /// # Errors
    /// `Invalid` when a file is not what the manifest says, or a file of its name is in the folder; `Unavailable` when the
    /// store or the disk fails. The folder then holds what it held, but for what the disk refused in the very last step.
    pub async fn fetch(&self, server: &Choice, job: &Job) -> Result<()> {
        let slash = if job.members.location.ends_with('/') { "" } else { "/" };
        let from = format!("{}{slash}{}/", job.members.location, job.members.job_name);
        self.fetch_all(server, &from).await.map_err(|cause| {
            let text = format!("the export is at {from}, but was not downloaded: {}", cause.message());
            Error::new(cause.kind, text).caused_by(cause)
        })
    }

    async fn fetch_all(&self, server: &Choice, from: &str) -> Result<()> {
        let place = Arc::new(Place::parse(from, server)?);
        let (manifest, text) = place.manifest_and_text().await?;
        let (expected, differences) = plan::compare(&manifest, &place.list().await?)?;
        refuse(&differences)?;
        let names: Vec<String> = expected.iter().map(|file| file.name.clone()).collect();
        let taken = names.iter().find(|name| !self.is_forced && self.folder.join(name).exists());
        if let Some(name) = taken {
            return Err(self.taken(name));
        }
        fs::create_dir_all(self.folder)
            .unavailable(|| format!("make the folder {}", self.folder.display()))?;
        let mut drafts = self.fetch_files(&place, expected).await?;
        let draft = Draft::new(self.folder, MANIFEST);
        draft.write(&mut draft.create()?, &text)?;
        drafts.push(draft);
        drafts.into_iter().try_for_each(|draft| draft.finish(self.folder))?;
        let syncing = || format!("make {} durable", self.folder.display());
        File::open(self.folder).and_then(|folder| folder.sync_all()).unavailable(syncing)?;
        let bytes = number(manifest.files.iter().map(|file| file.bytes).sum());
        eprintln!(
            "{} files, {bytes} bytes, as the manifest has them, are in {}",
            names.len(),
            self.folder.display()
        );
        self.tell_others(&names)
    }

    async fn fetch_files(&self, place: &Arc<Place>, expected: Vec<Expected>) -> Result<Vec<Draft>> {
        let bar = Arc::new(verify::bar(expected.iter().map(|file| file.entry.bytes).sum()));
        let files = expected.into_iter().map(|file| {
            let (place, bar, draft) = (place.clone(), bar.clone(), Draft::new(self.folder, &file.name));
            tokio::spawn(async move { fetch_file(&place, &file, draft, &bar).await })
        });
        let mut files = stream::iter(files).buffered(AT_ONCE);
        let mut drafts = Vec::new();
        while let Some(fetched) = files.next().await {
            let ended = |cause| Error::internal("a download ended unexpectedly").caused_by(cause);
            drafts.push(fetched.map_err(ended)??);
        }
        bar.finish_and_clear();
        Ok(drafts)
    }

    // What an earlier download left there, `lade verify` would find beside this one.
    fn tell_others(&self, names: &[String]) -> Result<()> {
        let listing = || format!("list {}", self.folder.display());
        let mut others = BTreeMap::new();
        for entry in fs::read_dir(self.folder).unavailable(listing)? {
            let name = entry.unavailable(listing)?.file_name().to_string_lossy().into_owned();
            if Form::is_data(&name) && !names.contains(&name) {
                others.insert(name, ());
            }
        }
        for name in others.keys() {
            eprintln!("{} is not of this export", self.folder.join(name).display());
        }
        Ok(())
    }
}

async fn fetch_file(place: &Place, expected: &Expected, draft: Draft, bar: &ProgressBar) -> Result<Draft> {
    let mut reading = Reading::new(expected);
    let mut out = draft.create()?;
    let writing = || format!("write {}", draft.draft.display());
    place
        .read_pieces(&expected.name, |piece| {
            reading.push(piece);
            bar.inc(piece.len() as u64);
            out.write_all(piece).unavailable(writing)
        })
        .await?;
    refuse(&reading.end())?;
    out.sync_all().unavailable(writing)?;
    Ok(draft)
}

fn refuse(differences: &[Difference]) -> Result<()> {
    match differences {
        [] => Ok(()),
        [first, ..] => Err(Error::invalid(format!("it is not what its manifest says: {first}"))),
    }
}

impl Draft {
    fn new(folder: &Path, name: &str) -> Draft {
        let chance = (&SystemClock as &dyn Clock).hex(8);
        Draft { draft: folder.join(format!(".{name}.{chance}.download")), name: name.to_owned() }
    }

    fn create(&self) -> Result<File> {
        File::create_new(&self.draft).unavailable(|| format!("write {}", self.draft.display()))
    }

    fn write(&self, file: &mut File, text: &[u8]) -> Result<()> {
        let written = file.write_all(text).and_then(|()| file.sync_all());
        written.unavailable(|| format!("write {}", self.draft.display()))
    }

    fn finish(self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.name);
        fs::rename(&self.draft, &path).unavailable(|| format!("write {}", path.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After its renaming there is none; one that can't be removed bears a name that nobody takes for an export's.
        let _ = fs::remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_an_export_is_refused_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let download = |is_forced| Download { folder: &folder, is_forced };
        download(false).check_folder().unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("notes.txt"), "").unwrap();
        download(false).check_folder().unwrap();
        for name in [MANIFEST, "ITEMS-00000.csv.gz"] {
            fs::write(folder.join(name), "").unwrap();
            let refused = download(false).check_folder().unwrap_err();
            assert!(refused.message().contains(name), "{refused}");
            download(true).check_folder().unwrap();
            fs::remove_file(folder.join(name)).unwrap();
        }
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(Download { folder: &dir.path().join("file"), is_forced: true }.check_folder().is_err());
    }

    #[test]
    fn a_draft_that_gets_no_name_goes() {
        let dir = tempfile::tempdir().unwrap();
        let draft = Draft::new(dir.path(), "a.csv");
        draft.write(&mut draft.create().unwrap(), b"text").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let draft = Draft::new(dir.path(), "a.csv");
        draft.write(&mut draft.create().unwrap(), b"text").unwrap();
        draft.finish(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("a.csv")).unwrap(), b"text");
    }
}
