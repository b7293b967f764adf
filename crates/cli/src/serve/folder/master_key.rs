//! Files that hold a master key: 32 bytes; while the key is being changed, its successor lies beside.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use access::SealingKey;
use model::error::{Context, Error, Result};

use super::write;

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
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Lays the successor beside a key.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn lay_successor(file: &Path, key: &SealingKey) -> Result<()> {
    let next = successor_of(file);
    let name = next.file_name().and_then(|name| name.to_str()).ok_or_else(|| nameless(file))?;
    write(folder_of(file), name, key.as_bytes())?;
    // Whoever changes the key may be the root of the machine, and the server somebody else.
    match fs::metadata(file) {
        Ok(about) => std::os::unix::fs::chown(&next, Some(about.uid()), Some(about.gid()))
            .unavailable(|| format!("give {} to the owner of {}", next.display(), file.display())),
        Err(_) => Ok(()),
    }
}

/// Puts the successor in the place of the key, at once and for good.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn take_successor(file: &Path) -> Result<()> {
    let taken = fs::rename(successor_of(file), file).and_then(|()| sync(folder_of(file)));
    taken.unavailable(|| format!("put {} in the place of {}", successor_of(file).display(), file.display()))
}

/// Throws a successor away that sealed nothing.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn drop_successor(file: &Path) -> Result<()> {
    let dropped = fs::remove_file(successor_of(file)).and_then(|()| sync(folder_of(file)));
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
            written.and_then(|()| sync(folder_of(file))).unavailable(keeping)
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
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

fn nameless(file: &Path) -> Error {
    Error::invalid(format!("the name of the master key's file is not UTF-8: {}", file.display()))
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
        take_successor(&file).unwrap();
        assert_eq!(read_master_key(&file).unwrap().as_bytes(), other.as_bytes());
        assert!(!successor_of(&file).exists());
        keep_master_key(&file, &other).unwrap();
        assert!(keep_master_key(&file, &one).unwrap_err().message().contains("is there already"));
    }
}
