//! `lade admin restore`: a backup becomes a data folder, or, at the first wrong hash, does not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use access::master_key;
use model::Error;
use model::error::{Context, Result};

use super::copying::{self, Target, hash_of, private};
use super::manifest::{Entry, Manifest};
use crate::serve::{self, folder};

/// Options of `lade admin restore`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade admin restore /backups/monday --data-dir /srv/lade --master-key-file /vault/lade.key
  lade admin restore /backups/monday --check")]
pub struct Args {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,

    /// Data folder to make, or an empty one
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    data_dir: Option<PathBuf>,

    /// The master key, to be put into the data folder
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    master_key_file: Option<PathBuf>,

    /// Only read the whole backup, and compare every file with its hash
    #[arg(long, conflicts_with = "data_dir")]
    check: bool,
}

pub fn run(args: &Args) -> ExitCode {
    match restore(args) {
        Ok(told) => {
            crate::say!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => crate::failed(&error),
    }
}

fn restore(args: &Args) -> Result<String> {
    let manifest = Manifest::read(&args.backup)?;
    let size = manifest.size_bytes as f64 / f64::from(1 << 20);
    let (taken_at, files) = (&manifest.taken_at, manifest.files.len());
    let Some(to) = args.data_dir.as_deref().filter(|_| !args.check) else {
        check(&args.backup, &manifest)?;
        return Ok(format!("The backup of {taken_at} is whole: {files} files, {size:.1} MiB"));
    };
    if let Some(file) = &args.master_key_file {
        folder::read_master_key(file)?;
    }
    let mut target = Target::begin(to, false)?;
    let restored = fill(&args.backup, &manifest, args.master_key_file.as_deref(), &mut target);
    if let Err(cause) = restored {
        target.give_up();
        return Err(cause);
    }
    let has_key = manifest.has_master_key || args.master_key_file.is_some();
    let next = if has_key {
        String::new()
    } else {
        format!("\nMaster key  put it at {} (0600) before the start", to.join("master_key").display())
    };
    Ok(format!(
        "Data folder {}\nTaken at    {taken_at}\nFiles       {files}, {size:.1} MiB{next}\nStart       lade serve --data-dir '{}'",
        to.display(),
        to.display()
    ))
}

fn fill(backup: &Path, manifest: &Manifest, master_key: Option<&Path>, target: &mut Target) -> Result<()> {
    let mark = folder::restoring(&target.place(Path::new(""))?);
    let marking = || format!("mark the folder {} as unfinished", mark.display());
    // No server starts there before all of it is there.
    private(&mark).and_then(|file| file.sync_all()).unavailable(marking)?;
    target.settle()?;
    for entry in &manifest.files {
        let place = entry.place()?;
        // A key that is given takes the place of the one in the backup.
        if master_key.is_some() && place == Path::new("master_key") {
            continue;
        }
        let (from, to) = (backup.join(&place), target.place(&place)?);
        compare(entry, copying::copy(&from, &to), &from)?;
    }
    if let Some(file) = master_key {
        refuse_wrong_key(file, &target.place(Path::new("catalog.db"))?)?;
        target.copy(file, Path::new("master_key"))?;
    }
    target.settle()?;
    target.give_to_owner()?;
    let folder = mark.parent().unwrap_or(Path::new("/"));
    fs::remove_file(&mark).and_then(|()| File::open(folder)?.sync_all()).unavailable(marking)
}

// A server would refuse to start with it, perhaps long after the right one is gone.
fn refuse_wrong_key(file: &Path, catalog: &Path) -> Result<()> {
    let key = folder::read_master_key(file)?;
    let mark = serve::runtime()?.block_on(catalog::copy::master_key_mark(catalog))?;
    if mark.is_none_or(|mark| master_key::made(&mark, &key)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the key in {} is not the master key that this backup was made under: take the one that was in use at its time, \
         which lade admin rotate-master-key may have changed since",
        file.display()
    )))
}

fn check(backup: &Path, manifest: &Manifest) -> Result<()> {
    for entry in &manifest.files {
        let file = backup.join(entry.place()?);
        compare(entry, hash_of(&file), &file)?;
    }
    Ok(())
}

fn compare(entry: &Entry, found: std::io::Result<(u64, blake3::Hash)>, file: &Path) -> Result<()> {
    let (size_bytes, hash) = match found {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::corrupt(format!("the backup lacks {}", file.display())));
        }
        found => found.unavailable(|| format!("restore {}", file.display()))?,
    };
    if size_bytes != entry.size_bytes || hash.to_hex().as_str() != entry.blake3 {
        return Err(Error::corrupt(format!(
            "{} is not the file that was backed up: its hash differs. Take another backup",
            file.display()
        )));
    }
    Ok(())
}
