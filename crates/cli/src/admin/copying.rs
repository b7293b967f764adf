//! Files that are copied or linked into a new folder, with their hashes, durably.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use model::Error;
use model::error::{Context, Result};

use super::manifest::Entry;

const PIECE_BYTES: usize = 1 << 20;

/// A folder that files are brought into.
pub struct Target {
    folder: PathBuf,
    /// Whose the folder is, where it was there before.
    owner: Option<(u32, u32)>,
    /// Whether files that never change are linked where the file system lets them be.
    links: bool,
    /// Folders whose names are not durable yet.
    folders: BTreeSet<PathBuf>,
    pub files: Vec<Entry>,
    /// How many of them are linked.
    pub linked: u64,
}

impl Target {
    /// Takes a folder, which must be empty, or makes it; no other user of the machine reads it.
    ///
    /// # Errors
    /// `Invalid` when it is not empty; `Unavailable` when the disk refuses.
    pub fn begin(folder: &Path, links: bool) -> Result<Target> {
        let making = || format!("make the folder {}", folder.display());
        let folder = std::path::absolute(folder).unavailable(making)?;
        let is_used = match fs::read_dir(&folder) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            entries => entries.unavailable(making)?.next().is_some(),
        };
        if is_used {
            return Err(Error::invalid(format!(
                "the folder {} is not empty: name a new one, or delete what was left there unfinished",
                folder.display()
            )));
        }
        let owner = fs::metadata(&folder).ok().map(|found| (found.uid(), found.gid()));
        let mut target =
            Target { links, folders: BTreeSet::new(), files: Vec::new(), linked: 0, folder, owner };
        let path = target.folder.clone();
        target.make(&path).unavailable(making)?;
        // A link to a folder is left as it is: what is made, and taken away again, is behind it.
        target.folder = path.canonicalize().unavailable(making)?;
        target.folders = BTreeSet::from([target.folder.clone()]);
        // Also of a folder that was there: what others write into it later has no mode of ours.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unavailable(making)?;
        Ok(target)
    }

    /// Where a file of it belongs; the folders above are made.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn place(&mut self, path: &Path) -> Result<PathBuf> {
        let place = self.folder.join(path);
        if let Some(parent) = place.parent().map(Path::to_owned) {
            self.make(&parent).unavailable(|| format!("make the folder {}", parent.display()))?;
        }
        Ok(place)
    }

    /// Brings a file that never changes, of at least this size.
    ///
    /// # Errors
    /// `Corrupt` when it is missing or too short; `Unavailable` when a disk refuses.
    pub fn bring(&mut self, from: &Path, path: &Path, size_bytes_min: u64) -> Result<()> {
        let place = self.place(path)?;
        let bringing = || format!("copy {}", from.display());
        let missing = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => {
                Error::corrupt(format!("{} is missing", from.display())).caused_by(cause)
            }
            _ => Error::unavailable(bringing()).caused_by(cause),
        };
        let (size, hash) = if self.links && fs::hard_link(from, &place).is_ok() {
            self.linked += 1;
            // Another name of a file whose content is durable by now.
            hash_of(&place).unavailable(bringing)?
        } else {
            copy(from, &place).map_err(missing)?
        };
        if size < size_bytes_min {
            return Err(Error::corrupt(format!(
                "{} has {size} bytes and should have {size_bytes_min}",
                from.display()
            )));
        }
        self.note(path, size, &hash);
        Ok(())
    }

    /// Copies a file.
    ///
    /// # Errors
    /// `Unavailable` when it can't be read or written.
    pub fn copy(&mut self, from: &Path, path: &Path) -> Result<()> {
        let place = self.place(path)?;
        let (size, hash) = copy(from, &place).unavailable(|| format!("copy {}", from.display()))?;
        self.note(path, size, &hash);
        Ok(())
    }

    /// Writes a file.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        let written = || -> io::Result<()> {
            let mut file = private(&place)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        written().unavailable(|| format!("write {}", place.display()))?;
        self.note(path, bytes.len() as u64, &blake3::hash(bytes));
        Ok(())
    }

    /// Takes in a file that somebody wrote at its place.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn adopt(&mut self, path: &Path) -> Result<()> {
        let place = self.place(path)?;
        let adopted = || -> io::Result<(u64, blake3::Hash)> {
            File::open(&place)?.sync_all()?;
            hash_of(&place)
        };
        let (size, hash) = adopted().unavailable(|| format!("write {}", place.display()))?;
        self.note(path, size, &hash);
        Ok(())
    }

    /// Makes the names of all files durable.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn settle(&self) -> Result<()> {
        let settled = || -> io::Result<()> {
            // What lies deepest comes first.
            for folder in self.folders.iter().rev() {
                File::open(folder)?.sync_all()?;
            }
            let above = self.folder.parent();
            above.map_or(Ok(()), |above| File::open(above)?.sync_all())
        };
        settled().unavailable(|| format!("make {} durable", self.folder.display()))
    }

    /// Gives all that lies in the folder to whom it belonged before: root fills folders of others.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn give_to_owner(&self) -> Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        // What is linked belongs to its other name, too.
        if self.links { Ok(()) } else { give(&self.folder, user, group).unavailable(|| self.giving()) }
    }

    fn giving(&self) -> String {
        format!("give what lies in {} to its owner", self.folder.display())
    }

    /// Takes away what was brought, where something failed; a folder that was there before stays, empty.
    pub fn give_up(self) {
        let taken = if self.owner.is_some() { empty(&self.folder) } else { fs::remove_dir_all(&self.folder) };
        if let Err(cause) = taken {
            eprintln!("lade: {} stays behind, unfinished: {cause}", self.folder.display());
        }
    }

    /// The size of all files in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    fn note(&mut self, path: &Path, size_bytes: u64, hash: &blake3::Hash) {
        let path = path.to_string_lossy().into_owned();
        self.files.push(Entry { path, size_bytes, blake3: hash.to_hex().to_string() });
    }

    fn make(&mut self, folder: &Path) -> io::Result<()> {
        if self.folders.contains(folder) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Those that had to be made above it too.
        let mut made = Some(folder);
        while let Some(path) = made.filter(|path| path.starts_with(&self.folder)) {
            self.folders.insert(path.to_owned());
            made = path.parent();
        }
        Ok(())
    }
}

fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (user, group) {
        match lchown(path, Some(user), Some(group)) {
            // Only root gives files away.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {}
            given => given?,
        }
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A new file that no other user of the machine reads.
pub fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies a file durably; its size, and its hash as it was read.
pub fn copy(from: &Path, to: &Path) -> io::Result<(u64, blake3::Hash)> {
    let mut source = File::open(from)?;
    let mut target = private(to)?;
    let found = read_through(&mut source, |piece| target.write_all(piece))?;
    target.sync_all()?;
    Ok(found)
}

/// The size and hash of a file.
pub fn hash_of(file: &Path) -> io::Result<(u64, blake3::Hash)> {
    read_through(&mut File::open(file)?, |_| Ok(()))
}

fn read_through(
    source: &mut File,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, blake3::Hash)> {
    let (mut piece, mut size, mut hasher) = (vec![0; PIECE_BYTES], 0, blake3::Hasher::new());
    loop {
        let read = match source.read(&mut piece) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok((size, hasher.finalize()));
        }
        hasher.update(&piece[..read]);
        take(&piece[..read])?;
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_and_copied_files_have_the_same_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::write(&from, vec![7; 3 * PIECE_BYTES / 2]).unwrap();
        let (mut linked, mut copied) = (
            Target::begin(&folder.path().join("a/b"), true).unwrap(),
            Target::begin(&folder.path().join("c"), false).unwrap(),
        );
        for target in [&mut linked, &mut copied] {
            target.bring(&from, Path::new("x/y"), 1).unwrap();
            target.settle().unwrap();
            assert_eq!(
                target.bring(&from, Path::new("z"), u64::MAX).unwrap_err().kind,
                model::ErrorKind::Corrupt
            );
            let gone = target.bring(&folder.path().join("none"), Path::new("none"), 0).unwrap_err();
            assert_eq!(gone.kind, model::ErrorKind::Corrupt);
        }
        assert_eq!(linked.files, copied.files);
        assert_eq!((linked.linked, copied.linked), (2, 0));
        linked.give_up();
        assert!(!folder.path().join("a/b").exists() && from.exists());
    }

    #[test]
    fn a_folder_that_was_there_stays_and_so_does_a_link_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, link) = (folder.path().join("disk"), folder.path().join("link"));
        fs::create_dir(&disk).unwrap();
        std::os::unix::fs::symlink(&disk, &link).unwrap();
        let mut target = Target::begin(&link, false).unwrap();
        target.write(Path::new("x/y"), b"y").unwrap();
        target.write(Path::new("z"), b"z").unwrap();
        target.settle().unwrap();
        target.give_to_owner().unwrap();
        assert!(disk.join("x/y").exists());
        target.give_up();
        assert!(link.is_symlink() && fs::read_dir(&disk).unwrap().next().is_none());
    }

    #[test]
    fn a_folder_that_is_not_empty_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "").unwrap();
        assert_eq!(Target::begin(folder.path(), true).err().unwrap().kind, model::ErrorKind::Invalid);
    }
}
