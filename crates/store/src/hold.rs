//! What keeps files where they are while a backup copies them: a lock that ends with the process that took it.
//!
//! Who deletes shares the lock, from before it looks what can go until all of it is gone. A backup has it alone, from
//! before it fixes its moment until all is copied: so nothing that the moment names is on its way out. A backup that is
//! killed leaves nothing behind, for the system lets its locks go.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::error::{Context, Error, Result};

use crate::owner;

const ASK_AGAIN: Duration = Duration::from_millis(10);

/// A lock on the files of a data folder.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    /// `None`: nobody copies these files.
    file: Option<PathBuf>,
}

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Guard {
    _file: Option<File>,
}

impl Hold {
    /// The lock behind a file, which is made where there is none.
    pub fn on(file: &Path) -> Hold {
        // Now, as a disk that is full later must not keep files from going. Where it fails, whoever locks says so.
        drop(open(file));
        Hold { file: Some(file.to_owned()) }
    }

    /// Of files that no backup copies from here.
    pub fn none() -> Hold {
        Hold::default()
    }

    /// Leave to delete files; `None` while a backup copies them: they can go later.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn clearing(&self) -> Result<Option<Guard>> {
        let Some(path) = &self.file else { return Ok(Some(Guard { _file: None })) };
        let file = open(path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Guard { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(cause).unavailable(|| locking(path)),
        }
    }

    /// Keeps all files that are there now; blocks until those who are deleting have done so.
    ///
    /// # Errors
    /// `InUse` when somebody else has it for longer than `patience`; `Unavailable` when the disk refuses.
    pub fn keep(&self, patience: Duration) -> Result<Guard> {
        let Some(path) = &self.file else { return Ok(Guard { _file: None }) };
        let (file, begun) = (open(path)?, Instant::now());
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Guard { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < patience => std::thread::sleep(ASK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(in_use(path)),
                Err(TryLockError::Error(cause)) => return Err(cause).unavailable(|| locking(path)),
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    match File::open(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let made = options.open(path).unavailable(|| locking(path))?;
            // A backup may be taken by the root of the machine, and the server that asks next be somebody else.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            owner::give(&made, folder.unwrap_or(Path::new("."))).unavailable(|| locking(path))?;
            Ok(made)
        }
        opened => opened.unavailable(|| locking(path)),
    }
}

fn locking(path: &Path) -> String {
    format!("lock {}", path.display())
}

fn in_use(path: &Path) -> Error {
    Error::new(model::ErrorKind::InUse, format!("another backup is under way: it holds {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown};

    use super::*;

    #[test]
    fn a_lock_belongs_to_whom_the_folder_belongs_to() {
        let folder = tempfile::tempdir().unwrap();
        // Only the root of the machine may give folders away; of everybody else's both are their own anyway.
        let is_root = chown(folder.path(), Some(65_534), Some(65_533)).is_ok();
        let path = folder.path().join("hold");
        drop(Hold::on(&path));
        let (about, own) = (fs::metadata(&path).unwrap(), fs::metadata(folder.path()).unwrap());
        assert_eq!((about.uid(), about.gid()), (own.uid(), own.gid()));
        assert_eq!((about.uid() == 65_534, about.mode() & 0o777), (is_root, 0o600));
    }

    #[test]
    fn nothing_goes_while_a_backup_copies_and_a_backup_waits_for_what_is_going() {
        let folder = tempfile::tempdir().unwrap();
        let hold = Hold::on(&folder.path().join("hold"));
        let going = (hold.clearing().unwrap().unwrap(), hold.clearing().unwrap().unwrap());
        assert_eq!(hold.keep(Duration::ZERO).unwrap_err().kind, model::ErrorKind::InUse);
        drop(going);
        let kept = hold.keep(Duration::ZERO).unwrap();
        assert!(hold.clearing().unwrap().is_none());
        drop(kept);
        assert!(hold.clearing().unwrap().is_some());
        assert!(Hold::none().clearing().unwrap().is_some());
    }
}
