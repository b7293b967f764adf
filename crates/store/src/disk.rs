//! The few file operations that the log and the runs stand on, and the real folder that performs them.

pub mod simulated;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A flat folder of files. `simulated` holds a second one, which fails on demand and loses power.
pub trait Disk: Send + Sync {
    /// The names of all files, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// An empty file; one of this name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Replaces what bears the name `to`. Durable after `sync`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removing what is not there is no error. Durable after `sync`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable: creations, renames, removals.
    fn sync(&self) -> io::Result<()>;
}

/// An open file, read and written at offsets in bytes.
pub trait DiskFile: Send + Sync {
    fn size(&self) -> io::Result<u64>;
    /// Reads at most `bytes.len()` bytes; 0 at the file's end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at most `bytes.len()` bytes, possibly fewer.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Takes disk space for the first `len` bytes; new ones are zeros. On failure nothing new is taken.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Makes content and size durable.
    fn sync(&self) -> io::Result<()>;
}

impl dyn DiskFile + '_ {
    /// Fills `bytes`; the file's end before that is `UnexpectedEof`.
    pub fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.read_at(bytes, offset) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    bytes = &mut bytes[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`; after an error any part of them may be in the file.
    pub fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Whether an error says that the disk, or the share of it that we may use, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// How much a disk has left for us, and how much it has in all, in bytes.
///
/// # Errors
/// Those of the system.
pub fn space_bytes(folder: &Path) -> io::Result<(u64, u64)> {
    Ok((fs4::available_space(folder)?, fs4::total_space(folder)?))
}

/// A folder of the operating system.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder where it does not exist, durably.
    pub fn open(path: &Path) -> io::Result<Folder> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Folder { path: path.to_owned() })
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let before = self.size()?;
        match fs4::fs_std::FileExt::allocate(self, len) {
            // Some file systems can't reserve; the space is then taken write by write.
            Err(e) if e.kind() == ErrorKind::Unsupported => File::set_len(self, before.max(len)),
            Err(e) => {
                // A reservation that failed half way keeps its blocks until the file is cut.
                File::set_len(self, before)?;
                Err(e)
            }
            Ok(()) => Ok(()),
        }
    }

    // fdatasync also writes the size and the extents that are needed to read the content back.
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
