//! The master key at a start, and its change while no server runs.
//!
//! The catalog's mark says which key opens it, and a change moves the mark and all that the key sealed in one transaction. The
//! successor lies beside the key's file before, and takes its place behind: whatever breaks off, one of the two files
//! holds the key that the mark is of, and the next start takes that one. The file is put in its own place first: what can't be
//! replaced is found out before anything has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{KeyRing, SealingKey, master_key};
use catalog::{About, Catalog};
use model::Clock;
use model::clock::SystemClock;
use model::error::{Context, Error, ErrorKind, Result};
use tracing::{info, warn};

use super::compose;
use super::folder::{self, Folder, read_master_key};
use super::objects::FILE;
use crate::settings::Settings;

/// The key that the catalog is sealed under, and those before it; where it is all new, a new one.
///
/// # Errors
/// `Corrupt` when the key is lost, or another one; `Unavailable` when a file or the catalog can't be read.
pub async fn open(
    settings: &Settings,
    folder: &Folder,
    catalog: &Catalog,
    clock: &dyn Clock,
) -> Result<(SealingKey, KeyRing)> {
    let file = settle(file(settings, folder), catalog).await?;
    let master = match (&settings.master_key_file, file.exists()) {
        (None, false) => {
            master_key::refuse_lost(catalog, &file.display().to_string()).await?;
            folder.make_master_key(clock)?
        }
        _ => read_master_key(&file)?,
    };
    master_key::check(catalog, &master, clock).await?;
    let ring = KeyRing::open(catalog, &master).await?;
    Ok((master, ring))
}

// A file that is a link stays one: what it leads to is replaced.
fn file(settings: &Settings, folder: &Folder) -> PathBuf {
    let file = settings.master_key_file.clone().unwrap_or_else(|| folder.master_key_file());
    file.canonicalize().unwrap_or(file)
}

/// Ends a change that broke off, in the way that the catalog's mark tells. The file that holds the key.
async fn settle(file: PathBuf, catalog: &Catalog) -> Result<PathBuf> {
    let next = folder::successor_of(&file);
    if !next.exists() {
        return Ok(file);
    }
    let opens = read_master_key(&file);
    if opens.is_ok() && master_key::is_marked_by(catalog, &opens?).await? {
        drop_successor(&file);
        return Ok(file);
    }
    if !master_key::is_marked_by(catalog, &read_master_key(&next)?).await? {
        return Ok(file);
    }
    let (right, place) = (next.display(), file.display());
    match folder::take_successor(&file)? {
        Ok(()) => {
            info!("a change of the master key that had broken off is complete: {place} holds the new key");
            Ok(file)
        }
        Err(cause) => {
            warn!(
                "the master key was changed, and {place} can't be replaced by {right}, which is used instead: copy its 32 bytes \
                 into {place} while no server runs, and the next start removes {right}: {cause}"
            );
            Ok(next)
        }
    }
}

// What lies beside the right key is in nobody's way, should it have to stay.
fn drop_successor(file: &Path) {
    let (file_name, next) = (file.display(), folder::successor_of(file));
    match folder::drop_successor(file) {
        Ok(()) => info!(
            "{} is removed, left by a change of the master key that had broken off: {file_name} holds the right key",
            next.display()
        ),
        Err(cause) => warn!("{file_name} holds the right master key, and {}", cause.chain()),
    }
}

/// How the master key is to be changed.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Holds the new key; `None`: it is made.
    pub new_key_file: Option<PathBuf>,
    /// Where the old key is kept; `None`: nowhere.
    pub old_key_file: Option<PathBuf>,
}

/// What a change did.
#[derive(Clone, Debug)]
pub struct Done {
    pub file: PathBuf,
    pub changed: master_key::Changed,
    /// Why traces of the old key's work may be left in the database's free pages.
    pub left: Option<String>,
}

/// Changes the master key of a server that does not run.
///
/// # Errors
/// `InUse` while it, or another node on its catalog, runs; `Invalid` when there is no server, or the new key is the old one;
/// `Corrupt` when the old key is not the one that sealed the catalog; `Unavailable` when a disk or the catalog refuses.
pub async fn change(settings: &Settings, wanted: &Change) -> Result<Done> {
    let folder = Folder::open_existing(&settings.data_dir)?;
    settings.check_shared()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let catalog = compose::open_catalog(settings, &folder, &clock).await?;
    let done = change_in(settings, &folder, &catalog, &*clock, wanted).await;
    if let Err(cause) = catalog.end_session().await {
        warn!("the session of this command was not ended: {}", cause.chain());
    }
    catalog.close().await;
    done
}

async fn change_in(
    settings: &Settings,
    folder: &Folder,
    catalog: &Catalog,
    clock: &dyn Clock,
    wanted: &Change,
) -> Result<Done> {
    be_alone(catalog).await?;
    let (old, _) = open(settings, folder, catalog, clock).await?;
    let file = file(settings, folder);
    let new = match &wanted.new_key_file {
        Some(given) => read_master_key(given)?,
        None => SealingKey::random(clock),
    };
    if new.as_bytes() == old.as_bytes() {
        return Err(Error::invalid("the new master key is the old one: nothing was changed"));
    }
    folder::prove_replaceable(&file, &old)?;
    if let Some(kept) = &wanted.old_key_file {
        folder::keep_master_key(kept, &old)?;
    }
    folder::lay_successor(&file, &new)?;
    let changed = master_key::change(catalog, &old, &new, clock).await?;
    let taken =
        folder::take_successor(&file).and_then(|taken| taken.unavailable(|| "replace the file".to_owned()));
    taken.map_err(|cause| {
        let text = format!(
            "the master key was changed, but its file was not: the next start of the server takes the key from {}, and puts it \
             in its place if it can",
            folder::successor_of(&file).display()
        );
        Error::unavailable(text).caused_by(cause)
    })?;
    let left = catalog.forget_former_seals().await.err().map(|cause| cause.chain());
    Ok(Done { file, changed, left })
}

// Whoever keeps objects to itself has the catalog for itself: no node starts beside, and none is there.
async fn be_alone(catalog: &Catalog) -> Result<()> {
    let name = "lade admin rotate-master-key".to_owned();
    let (url, version) = (String::new(), env!("CARGO_PKG_VERSION").to_owned());
    let about = About { name, url, version, objects: FILE.to_owned() };
    catalog.introduce(about).await.map_err(|cause| match cause.kind {
        ErrorKind::InUse => {
            let text = "other nodes work on this catalog: stop all of them (and executors) before the master key is changed";
            Error::new(ErrorKind::InUse, text).caused_by(cause)
        }
        _ => cause,
    })
}
