//! Files that hold a master key: 32 bytes; while the key is being changed, its successor lies beside.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use access::SealingKey;
use model::error::{Context, Error, Result};
use store::owner;

use super::private;

/// Reads a master key that lies anywhere.
///
/// # Errors
/// `Unavailable` when the file can't be read; `Corrupt` when it has another size.
pub fn read_master_key(file: &Path) -> Result<SealingKey> {
    let bytes = fs::read(file).unavailable(|| format!("read {}", file.display()))?;
    let damaged = || Error::corrupt(format!("{} does not hold a key of 32 bytes", file.display()));
    SealingKey::from_slice(&bytes).ok_or_else(damaged)
}

/// The place of the successor.
pub fn successor_of(file: &Path) -> PathBuf {
    beside(file, ".next")
}

/// Puts a key in its own place, as its successor is to be put there later: whatever stands in the way is met while nothing
/// has changed.
///
/// # Errors
/// `Unavailable` with what is in the way; the file is as it was.
pub fn prove_replaceable(file: &Path, key: &SealingKey) -> Result<()> {
    let put = || -> io::Result<()> { put(file, key, fs::metadata(file)?.permissions(), file) };
    put().unavailable(|| {
        format!(
            "the master key was not changed, and its file is as it was: {} can't be replaced where it lies; a file that is \
             mounted by itself has to come in with its folder, and the folder must be writable",
            file.display()
        )
    })
}

/// Lays the successor beside a key.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn lay_successor(file: &Path, key: &SealingKey) -> Result<()> {
    let next = successor_of(file);
    put(&next, key, Permissions::from_mode(0o600), file).unavailable(|| format!("write {}", next.display()))
}

/// Puts the successor in the place of the key, at once and for good; where a file can't be replaced there, which no
/// repetition mends, the inner error says why.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn take_successor(file: &Path) -> Result<io::Result<()>> {
    match fs::rename(successor_of(file), file) {
        Err(cause) if is_lasting(&cause) => Ok(Err(cause)),
        taken => taken.and_then(|()| sync(folder_of(file))).map(Ok).unavailable(|| {
            format!("put {} in the place of {}", successor_of(file).display(), file.display())
        }),
    }
}

/// Throws away what lies beside a key that is the right one.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn drop_successor(file: &Path) -> Result<()> {
    // The key may have been put there by hand a moment ago.
    let kept = File::open(file).and_then(|file| file.sync_all());
    let dropped =
        kept.and_then(|()| fs::remove_file(successor_of(file))).and_then(|()| sync(folder_of(file)));
    dropped.unavailable(|| format!("remove {}", successor_of(file).display()))
}

/// Keeps a key in a file of its own, which is not there yet, or holds this key.
///
/// # Errors
/// `Invalid` when the file holds something else; `Unavailable` when the disk refuses.
pub fn keep_master_key(file: &Path, key: &SealingKey) -> Result<()> {
    let keeping = || format!("write {}", file.display());
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match made {
        Ok(mut made) => {
            let written = made.write_all(key.as_bytes()).and_then(|()| made.sync_all());
            let kept = written.and_then(|()| sync(folder_of(file)));
            if kept.is_err() {
                // Half a key would be in the way of the same command when there is room again.
                let _ = fs::remove_file(file);
            }
            kept.unavailable(keeping)
        }
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            match read_master_key(file).is_ok_and(|there| there.as_bytes() == key.as_bytes()) {
                true => Ok(()),
                false => Err(Error::invalid(format!(
                    "{} is there already and is not the old key: name another file",
                    file.display()
                ))),
            }
        }
        Err(cause) => Err(cause).unavailable(keeping),
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(what);
    name.into()
}

// A key under a name, whole or not at all. Whoever puts it there may be the root of the machine, and the server somebody
// else: from the start it belongs to the owner of the key that is in use.
fn put(at: &Path, key: &SealingKey, permissions: Permissions, like: &Path) -> io::Result<()> {
    let draft = beside(at, ".draft");
    let put = || -> io::Result<()> {
        let mut file = private().truncate(true).open(&draft)?;
        if like.exists() {
            owner::give(&file, like)?;
        }
        file.set_permissions(permissions)?;
        file.write_all(key.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, at)
    };
    put().inspect_err(|_| drop(fs::remove_file(&draft))).and_then(|()| sync(folder_of(at)))
}

// A mount of its own, another file system, one that is only read, a folder of others.
fn is_lasting(cause: &io::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(cause.kind(), ResourceBusy | CrossesDevices | ReadOnlyFilesystem | PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_lies_beside_until_it_takes_the_place_or_goes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let (one, other) = (SealingKey::new([1; 32]), SealingKey::new([2; 32]));
        keep_master_key(&file, &one).unwrap();
        lay_successor(&file, &other).unwrap();
        assert_eq!(read_master_key(&file).unwrap().as_bytes(), one.as_bytes());
        drop_successor(&file).unwrap();
        assert!(!successor_of(&file).exists());
        lay_successor(&file, &other).unwrap();
        take_successor(&file).unwrap().unwrap();
        assert_eq!(read_master_key(&file).unwrap().as_bytes(), other.as_bytes());
        assert!(!successor_of(&file).exists());
        keep_master_key(&file, &other).unwrap();
        assert!(keep_master_key(&file, &one).unwrap_err().message().contains("is there already"));
    }

    #[test]
    fn a_key_that_is_put_in_its_own_place_stays_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (file, key) = (dir.path().join("key"), SealingKey::new([1; 32]));
        keep_master_key(&file, &key).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        prove_replaceable(&file, &key).unwrap();
        assert_eq!(read_master_key(&file).unwrap().as_bytes(), key.as_bytes());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        // A folder is never replaced by a file.
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(prove_replaceable(&taken, &key).unwrap_err().message().contains("was not changed"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "a draft was left");
    }
}
