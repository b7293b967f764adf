//! Objects in the bucket: found once, fetched piece by piece into the cache, deleted.

mod file;

pub use file::RemoteFile;

use std::collections::HashMap;
use std::io::{self, ErrorKind as IoKind};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Unfinished;
use super::bucket::{ObjectHead, OwnBucket};
use super::cache::{Cache, Found, Landing, Place};

/// Objects are fetched in pieces of this size, which begin at its multiples.
const EXTENT: u64 = 4 << 20;
/// What is read at least where the cache has no room.
const WINDOW: u64 = 256 << 10;
/// So many pieces are fetched at once for those who wait for them, and so many ahead of who reads on.
const FETCHES: usize = 8;
const AHEAD: usize = 6;
/// Of so many objects it is known how large they are.
const HEADS_MAX: usize = 10_000;
/// Below this folder lie the objects of all runs.
const FOLDER: &str = "runs/";

/// The objects of all runs in a bucket.
pub(super) struct Remote {
    pub bucket: OwnBucket,
    pub runtime: Handle,
    cache: Arc<Cache>,
    heads: Mutex<HashMap<String, ObjectHead>>,
    fetching: Semaphore,
    ahead: Arc<Semaphore>,
}

pub(super) fn key(name: &str) -> String {
    format!("{FOLDER}{name}")
}

impl Remote {
    pub fn open(bucket: OwnBucket, folder: &Path, bytes_max: u64, runtime: Handle) -> Result<Remote> {
        let cache = Arc::new(Cache::open(folder, bytes_max)?);
        // A small cache must not lose what is read now to what is read next.
        let pieces = usize::try_from(cache.bytes_max() / EXTENT).unwrap_or(usize::MAX);
        Ok(Remote {
            bucket,
            runtime,
            cache,
            heads: Mutex::default(),
            fetching: Semaphore::new(FETCHES),
            ahead: Arc::new(Semaphore::new(AHEAD.min(pieces / 8))),
        })
    }

    /// Waits for a call of the bucket. Whatever the store has against it, no caller's request is wrong.
    pub fn wait<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(call).map_err(|error| match error.kind {
            ErrorKind::Corrupt => error,
            _ => Error::unavailable(error.message().to_owned()).caused_by(error),
        })
    }

    pub fn names(&self) -> Result<Vec<String>> {
        let keys = self.wait(self.bucket.list(FOLDER, None))?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix(FOLDER)).map(str::to_owned).collect())
    }

    pub fn delete(&self, names: &[String]) -> Result<()> {
        let keys: Vec<String> = names.iter().map(|name| key(name)).collect();
        self.wait(self.bucket.delete(&keys))?;
        names.iter().for_each(|name| self.forget(name));
        Ok(())
    }

    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let uploads = self.wait(self.bucket.open_uploads(FOLDER))?;
        let named = uploads.into_iter().filter_map(|upload| {
            Some(Unfinished { name: upload.key.strip_prefix(FOLDER)?.to_owned(), upload })
        });
        Ok(named.collect())
    }

    pub fn give_up(&self, unfinished: &Unfinished) -> Result<()> {
        self.wait(self.bucket.abort(&unfinished.upload))
    }

    /// Drops what is known of an object, and what is kept of it here.
    pub fn forget(&self, name: &str) {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.cache.forget(name);
    }

    /// Opens an object. What has to be fetched to see that it is there stays in the cache.
    pub fn open_file(self: &Arc<Remote>, name: &str) -> io::Result<RemoteFile> {
        let head = match self.known(name) {
            Some(head) => head,
            None => self.find(name)?,
        };
        Ok(RemoteFile::new(self, name, head))
    }

    fn known(&self, name: &str) -> Option<ObjectHead> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn know(&self, name: &str, head: &ObjectHead) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() >= HEADS_MAX {
            heads.clear();
        }
        heads.insert(name.to_owned(), head.clone());
    }

    fn find(&self, name: &str) -> io::Result<ObjectHead> {
        let (end, landing) = match self.cache.find(&(name.into(), 0), EXTENT) {
            Found::Awaited(landing) => (EXTENT, Some(landing)),
            Found::Coming(mut coming) => {
                // Somebody else has been asking; should that have failed, it is asked again.
                drop(self.runtime.block_on(coming.wait_for(Option::is_some)));
                match self.known(name) {
                    Some(head) => return Ok(head),
                    None => (WINDOW, None),
                }
            }
            Found::Here(_) | Found::NoRoom => (WINDOW, None),
        };
        let fetched = self.runtime.block_on(self.bucket.get_part(&key(name), 0..end, None));
        let (head, bytes) = match fetched {
            // It ends before it begins.
            Err(error) if error.kind == ErrorKind::Invalid => {
                let size =
                    self.runtime.block_on(self.bucket.size_of(&key(name))).map_err(|e| io_error(&e))?;
                return match size {
                    0 => Ok(ObjectHead { size, etag: String::new() }),
                    _ => Err(io_error(&error)),
                };
            }
            fetched => fetched.map_err(|error| io_error(&error))?,
        };
        self.know(name, &head);
        if let Some(landing) = landing {
            landing.land(Ok(bytes));
        }
        Ok(head)
    }

    async fn fetch(&self, name: &str, head: &ObjectHead, range: Range<u64>) -> io::Result<Bytes> {
        let _turn = self.fetching.acquire().await.map_err(io::Error::other)?;
        let length = range.end - range.start;
        let fetched = self.bucket.get_part(&key(name), range, Some(&head.etag)).await;
        let (_, bytes) = fetched.map_err(|error| io_error(&error))?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(io::Error::new(IoKind::InvalidData, "it has another size than before")),
        }
    }

    /// Fetches a piece on a thread of its own where it blocks; who wants it waits for the landing.
    fn begin(self: &Arc<Remote>, landing: Landing, place: Place, head: ObjectHead) {
        let remote = self.clone();
        self.runtime.spawn(async move {
            let fetched = remote.fetch(&place.0, &head, range(place.1, head.size)).await;
            let fetched = fetched.map_err(|cause| (cause.kind(), cause.to_string()));
            // To write it may take the disk a while.
            tokio::task::spawn_blocking(move || drop(landing.land(fetched)));
        });
    }
}

/// The bytes of a piece.
fn range(number: u64, size: u64) -> Range<u64> {
    number * EXTENT..((number + 1) * EXTENT).min(size)
}

/// What a failure means to whoever reads: `TimedOut` may pass, anything else says that the object is gone or another one.
fn io_error(error: &Error) -> io::Error {
    let kind = match error.kind {
        ErrorKind::Unavailable | ErrorKind::Denied => IoKind::TimedOut,
        ErrorKind::NotFound => IoKind::NotFound,
        _ => IoKind::InvalidData,
    };
    io::Error::new(kind, error.chain())
}

#[cfg(test)]
mod tests;
