//! Folders for sorting, whose files nobody reads but the process that writes them: without a name, and sealed if wanted.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::error::{Context, Result};
use seal::{ScratchCipher, SealingKey};

/// How much is hidden and written at once.
const STEP_BYTES: usize = 256 << 10;

/// A folder for sorting, which is made when it is needed.
#[derive(Clone)]
pub struct ScratchFolder {
    path: PathBuf,
    sealing: Option<Arc<Sealing>>,
}

/// The key of all files below one folder, and how many there were: each has a number of its own.
struct Sealing {
    key: SealingKey,
    files: AtomicU64,
}

impl ScratchFolder {
    /// What is written here and below is hidden under a key that must be nowhere else.
    pub fn sealed(path: PathBuf, key: SealingKey) -> ScratchFolder {
        ScratchFolder { path, sealing: Some(Arc::new(Sealing { key, files: AtomicU64::new(0) })) }
    }

    /// The same folder, in which nothing is hidden from here on.
    #[must_use]
    pub fn plain(self) -> ScratchFolder {
        ScratchFolder { sealing: None, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder within this one.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> ScratchFolder {
        ScratchFolder { path: self.path.join(name), sealing: self.sealing.clone() }
    }
}

impl fmt::Debug for ScratchFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScratchFolder({})", self.path.display())
    }
}

impl From<PathBuf> for ScratchFolder {
    fn from(path: PathBuf) -> ScratchFolder {
        ScratchFolder { path, sealing: None }
    }
}

impl From<&PathBuf> for ScratchFolder {
    fn from(path: &PathBuf) -> ScratchFolder {
        path.clone().into()
    }
}

impl From<&Path> for ScratchFolder {
    fn from(path: &Path) -> ScratchFolder {
        path.to_owned().into()
    }
}

impl From<&ScratchFolder> for ScratchFolder {
    fn from(folder: &ScratchFolder) -> ScratchFolder {
        folder.clone()
    }
}

/// A folder of spills that goes when nobody needs it any more.
pub(super) struct Scratch {
    folder: ScratchFolder,
    files: AtomicU64,
}

impl Scratch {
    pub fn new(folder: ScratchFolder) -> Arc<Scratch> {
        Arc::new(Scratch { folder, files: AtomicU64::new(0) })
    }

    /// A file without a name: its space is free as soon as nobody has it open.
    pub fn create(&self) -> Result<ScratchFile> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let file = self.create_unnamed(number).unavailable(|| "create a file for sorting".to_owned())?;
        let cipher =
            self.folder.sealing.as_ref().map(|sealing| {
                ScratchCipher::new(&sealing.key, sealing.files.fetch_add(1, Ordering::Relaxed))
            });
        Ok(ScratchFile { file, cipher })
    }

    fn create_unnamed(&self, number: u64) -> io::Result<File> {
        fs::create_dir_all(&self.folder.path)?;
        let path = self.folder.path.join(format!("{number}.spill"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is cleared at the next start.
        let _ = fs::remove_dir_all(&self.folder.path);
    }
}

/// A file that is written once, from its start to its end, and read anywhere.
pub(super) struct ScratchFile {
    file: File,
    cipher: Option<ScratchCipher>,
}

impl ScratchFile {
    /// Reads as many bytes as `out` has; so many there must be.
    pub fn read_at(&self, from: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, from).unavailable(|| "read a file of the sort".to_owned())?;
        if let Some(cipher) = &self.cipher {
            cipher.apply(from, out);
        }
        Ok(())
    }

    /// Writes to the end, which is at `at`.
    pub fn append(&self, at: u64) -> Appending<'_> {
        Appending { file: self, at, hidden: Vec::new() }
    }
}

/// Writes to the end of a file; what is hidden comes out at `flush`.
pub(super) struct Appending<'a> {
    file: &'a ScratchFile,
    at: u64,
    /// What waits to be hidden.
    hidden: Vec<u8>,
}

impl Write for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.file.cipher.is_none() {
            return (&self.file.file).write_vectored(slices);
        }
        for slice in slices {
            self.hidden.extend_from_slice(slice);
        }
        if self.hidden.len() >= STEP_BYTES {
            self.flush()?;
        }
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(cipher) = &self.file.cipher {
            cipher.apply(self.at, &mut self.hidden);
            (&self.file.file).write_all(&self.hidden)?;
            self.at += self.hidden.len() as u64;
            self.hidden.clear();
        }
        Ok(())
    }
}
