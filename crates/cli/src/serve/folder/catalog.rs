//! Which catalog the records of a data folder belong to: a server deletes what its catalog does not name, so that another
//! catalog, or a new one, must never come to them.

use std::fs;
use std::path::Path;

use catalog::Catalog;
use model::Error;
use model::error::{Context, Result};
use store::log::copy::Survey;

use super::{Folder, making, write};

/// Is there while the catalog of the folder is in PostgreSQL: what `catalog.db` may hold is out of date then.
const ELSEWHERE: &str = "catalog.elsewhere";
/// Holds the hash of the mark of the catalog that the records belong to.
const OWNER: &str = "catalog.owner";

/// Whether the catalog of a data folder was in PostgreSQL at its last start.
pub fn has_catalog_elsewhere(folder: &Path) -> bool {
    folder.join(ELSEWHERE).exists()
}

/// Whether records are, or were, in a data folder; one that can't be read counts as one that has some.
pub fn holds_records(folder: &Path) -> bool {
    let holds_runs = fs::read_dir(folder.join("runs")).is_ok_and(|mut runs| runs.next().is_some());
    holds_runs || Survey::begin(&folder.join("log")).map_or(true, |survey| !survey.is_new())
}

/// Whether the records of a data folder are those of this catalog, as far as is known.
///
/// # Errors
/// `Unavailable` when a file or the catalog can't be read.
pub async fn is_owner(folder: &Path, catalog: &Catalog) -> Result<bool> {
    let file = folder.join(OWNER);
    match fs::read_to_string(&file) {
        Ok(owner) => Ok(!holds_records(folder) || owner == mark(catalog).await?),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            // An earlier release left no such file.
            let knows_none =
                catalog.all_datasets().await?.is_empty() && catalog.named_objects().await?.is_empty();
            Ok(!(knows_none && holds_records(folder)))
        }
        Err(cause) => Err(cause).unavailable(|| format!("read {}", file.display())),
    }
}

impl Folder {
    /// Refuses what can't be the catalog of the records here before it is made.
    ///
    /// # Errors
    /// `Invalid` with what to do.
    pub fn refuse_new_catalog(&self) -> Result<()> {
        if self.path.join("catalog.db").exists() || !holds_records(&self.path) {
            return Ok(());
        }
        Err(Error::invalid(match has_catalog_elsewhere(&self.path) {
            true => format!(
                "the catalog of the records in the data folder {} is in PostgreSQL: name it in the setting catalog, as at \
                 the last start, or start with another data folder",
                self.path.display()
            ),
            false => format!(
                "the catalog of the records in the data folder {} is gone: name the PostgreSQL that holds it in the setting \
                 catalog; where that was its own file catalog.db, keep the folder as it is, and restore the last backup \
                 into a new one",
                self.path.display()
            ),
        }))
    }

    /// Makes the records here this catalog's, and notes whether it `is_here`, for those who look at the folder without the
    /// server's settings.
    ///
    /// # Errors
    /// `Invalid` when they are another's; `Unavailable` when the disk or the catalog refuses.
    pub async fn own(&self, catalog: &Catalog, is_here: bool) -> Result<()> {
        if !is_owner(&self.path, catalog).await? {
            return Err(Error::invalid(format!(
                "the data folder {} holds the records of a server with another catalog: start with the catalog that belongs \
                 to them (setting catalog, or the file catalog.db that was there), or with another data folder",
                self.path.display()
            )));
        }
        let mark = mark(catalog).await?;
        if fs::read_to_string(self.path.join(OWNER)).ok().as_ref() != Some(&mark) {
            write(&self.path, OWNER, mark.as_bytes())?;
        }
        self.note_place(is_here)
    }

    fn note_place(&self, is_here: bool) -> Result<()> {
        let file = self.path.join(ELSEWHERE);
        match (is_here, file.exists()) {
            (true, false) | (false, true) => Ok(()),
            (true, true) => fs::remove_file(&file).unavailable(|| making(&self.path)),
            (false, false) => write(&self.path, ELSEWHERE, b""),
        }
    }
}

/// By which a place of records knows its catalog: it stays when the master key is changed.
///
/// # Errors
/// `Unavailable` when the catalog can't be read.
pub async fn mark(catalog: &Catalog) -> Result<String> {
    let mark = catalog.owner_mark().await?.ok_or_else(|| Error::internal("the catalog has no mark"))?;
    Ok(blake3::hash(&mark).to_hex().to_string())
}
