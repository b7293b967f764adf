//! What a data folder has for backups: locks that keep files while they are copied, and a mark until one is restored.

use std::path::{Path, PathBuf};

use model::Error;
use model::error::Result;
use store::Hold;

/// There while a backup is being restored into the folder.
const RESTORING: &str = "restore_unfinished";

/// What keeps the files of a data folder while a backup copies them.
pub fn holds(folder: &Path) -> jobs::Holds {
    jobs::Holds { log: Hold::on(&folder.join("log.hold")), objects: Hold::on(&folder.join("objects.hold")) }
}

/// The file that marks a folder into which a backup is being restored.
pub fn restoring(folder: &Path) -> PathBuf {
    folder.join(RESTORING)
}

/// Refuses a folder into which a backup was not restored to its end.
///
/// # Errors
/// `Invalid` with what to do.
pub fn refuse_half_restored(folder: &Path) -> Result<()> {
    if !restoring(folder).exists() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a backup was not restored to its end into the data folder {}: delete the folder, and restore the backup again",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::serve::folder::Folder;

    #[test]
    fn a_folder_that_a_backup_was_not_restored_to_its_end_into_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(restoring(dir.path()), "").unwrap();
        let refused = Folder::open(dir.path()).err().unwrap();
        assert!(refused.chain().contains("restore the backup again"), "{}", refused.chain());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is written there");
    }
}
