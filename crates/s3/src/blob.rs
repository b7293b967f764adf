//! Object bytes at rest: files under random names, never a path made from a key.

mod pin;
mod read;
mod sweep;
mod write;

pub use read::Reader;
pub use write::Stored;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::Clock;
use model::error::{Context, Result};
use store::Hold;

/// The folder of blobs; a clone is the same folder.
///
/// A blob is written once under `temp`, renamed to `blobs/<first 2 digits>/<id>`, made durable, and never changed.
#[derive(Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: PathBuf,
    temp: PathBuf,
    clock: Arc<dyn Clock>,
    pins: pin::Pins,
    readers: read::Readers,
    hold: Hold,
    /// Blobs that nothing names, and that a backup may be copying.
    waiting: Mutex<Vec<String>>,
}

/// The file whose lock keeps blobs while a backup copies them.
pub(crate) const HOLD: &str = "hold";

/// A stretch of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub blob: String,
    pub start: u64,
    pub size: u64,
    /// The bytes of the whole blob.
    pub blob_size: u64,
}

impl Blobs {
    /// Makes the folders where they are missing, and empties the one for unfinished files.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Blobs> {
        let (blobs, temp) = (dir.join("blobs"), dir.join("temp"));
        prepare(&blobs, &temp).unavailable(|| "prepare the folder of objects".to_owned())?;
        Ok(Blobs {
            inner: Arc::new(Inner {
                blobs,
                temp,
                clock,
                pins: pin::Pins::default(),
                readers: Default::default(),
                hold: Hold::on(&dir.join(HOLD)),
                waiting: Mutex::default(),
            }),
        })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.inner.blobs.join(shelf_of(id)).join(id)
    }

    // Those that have to stay for now go when others do.
    fn remove(&self, ids: &[String]) {
        let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend_from_slice(ids);
        if waiting.is_empty() {
            return;
        }
        let going = match self.inner.hold.clearing() {
            Ok(Some(going)) => going,
            Ok(None) => return,
            Err(cause) => {
                tracing::warn!(cause = %cause.chain(), "blobs that nothing names stay for now");
                return;
            }
        };
        for id in waiting.drain(..) {
            if let Err(cause) = fs::remove_file(self.path(&id)) {
                // Nothing names the blob any more; the sweep at the next start removes it.
                tracing::warn!(cause = %cause, "a blob that nothing names stays until the next start");
            }
        }
        drop(going);
    }
}

/// Where a blob lies in the folder of the store.
pub(crate) fn place_of(id: &str) -> PathBuf {
    Path::new("blobs").join(shelf_of(id)).join(id)
}

fn shelf_of(id: &str) -> &str {
    id.get(..2).unwrap_or("00")
}

fn prepare(blobs: &Path, temp: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(temp)?;
    for n in 0..=255u8 {
        builder.create(blobs.join(format!("{n:02x}")))?;
    }
    sync_folder(blobs)?;
    if let Some(dir) = blobs.parent() {
        sync_folder(dir)?;
    }
    for entry in fs::read_dir(temp)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
