//! Objects in the bucket: found once, and read through the cache piece by piece.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind as IoKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Unfinished;
use super::bucket::{ObjectHead, OwnBucket};
use super::cache::{Cache, Extent, Found, Landed, Landing, Place};

/// Objects are fetched in pieces of this size, which begin at its multiples.
const EXTENT: u64 = 4 << 20;
/// What is read at least where the cache has no room.
const WINDOW: u64 = 256 << 10;
/// What one reader holds at once: columns lie one behind the other, and are read side by side.
const HELD: usize = 4;
/// So many pieces are fetched at once for those who wait for them, and so many ahead of who reads on.
const FETCHES: usize = 8;
const AHEAD: usize = 6;
/// How many pieces are fetched ahead of one reader.
const AHEAD_OF_ONE: u64 = 2;
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

    pub fn names(&self) -> Result<Vec<String>> {
        let keys = self.runtime.block_on(self.bucket.list(FOLDER, None))?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix(FOLDER)).map(str::to_owned).collect())
    }

    pub fn delete(&self, names: &[String]) -> Result<()> {
        let keys: Vec<String> = names.iter().map(|name| key(name)).collect();
        self.runtime.block_on(self.bucket.delete(&keys))?;
        names.iter().for_each(|name| self.forget(name));
        Ok(())
    }

    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let uploads = self.runtime.block_on(self.bucket.open_uploads(FOLDER))?;
        let named = uploads.into_iter().filter_map(|upload| {
            Some(Unfinished { name: upload.key.strip_prefix(FOLDER)?.to_owned(), upload })
        });
        Ok(named.collect())
    }

    pub fn give_up(&self, unfinished: &Unfinished) -> Result<()> {
        self.runtime.block_on(self.bucket.abort(&unfinished.upload))
    }

    /// Drops what is known of an object, and what is kept of it here.
    pub fn forget(&self, name: &str) {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.cache.forget(name);
    }

    /// Opens an object. What has to be fetched to see that it is there stays in the cache.
    pub fn open_file(self: &Arc<Remote>, name: &str) -> io::Result<RemoteFile> {
        let known = self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let head = match known {
            Some(head) => head,
            None => {
                let head = self.find(name)?;
                self.know(name, &head);
                head
            }
        };
        Ok(RemoteFile { remote: self.clone(), name: name.into(), head, reading: Mutex::default() })
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
            _ => (WINDOW, None),
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

/// An object of the bucket that is open for reading.
pub struct RemoteFile {
    remote: Arc<Remote>,
    name: Arc<str>,
    head: ObjectHead,
    reading: Mutex<Reading>,
}

/// How far a reader has come.
#[derive(Default)]
struct Reading {
    /// What was read last comes last.
    held: Vec<Held>,
    /// The piece furthest on that was read.
    furthest: Option<u64>,
}

/// A part of the object that is at hand.
enum Held {
    Piece { number: u64, file: File, _extent: Arc<Extent> },
    Window { start: u64, bytes: Bytes },
}

impl RemoteFile {
    pub(super) fn size(&self) -> u64 {
        self.head.size
    }

    /// Drops what is kept of the object: it is fetched again.
    pub(super) fn forget(&self) {
        self.reading().held.clear();
        self.remote.forget(&self.name);
    }

    pub(super) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.head.size || out.is_empty() {
            return Ok(0);
        }
        let number = offset / EXTENT;
        let end = range(number, self.head.size).end.min(offset + out.len() as u64);
        let out = &mut out[..usize::try_from(end - offset).map_err(io::Error::other)?];
        let mut reading = self.reading();
        self.read_ahead(&mut reading, number);
        if !reading.take_up(number, offset) {
            // What is let go first makes room in the cache.
            reading.let_go();
            let held = self.hold(number, offset)?;
            reading.held.push(held);
        }
        match reading.read(out, offset) {
            Ok(read) => Ok(read),
            // The folder of the cache may have been emptied; the store has it still.
            Err(cause) => {
                tracing::debug!(%cause, "a piece in the cache can't be read");
                reading.held.pop();
                reading.held.push(self.window(offset)?);
                reading.read(out, offset)
            }
        }
    }

    pub(super) fn read_exact_at(&self, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !out.is_empty() {
            match self.read_at(out, offset)? {
                0 => return Err(IoKind::UnexpectedEof.into()),
                read => {
                    out = &mut out[read..];
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }

    fn place(&self, number: u64) -> Place {
        (self.name.clone(), number)
    }

    fn find(&self, number: u64) -> Found {
        let range = range(number, self.head.size);
        self.remote.cache.find(&self.place(number), range.end - range.start)
    }

    /// Waits until a piece is here, or as much of it as is wanted now.
    fn hold(&self, number: u64, offset: u64) -> io::Result<Held> {
        let mut coming = match self.find(number) {
            Found::Here(extent) => return self.held(number, extent, offset),
            Found::NoRoom => return self.window(offset),
            Found::Coming(coming) => coming,
            Found::Awaited(landing) => {
                let coming = landing.coming();
                self.remote.begin(landing, self.place(number), self.head.clone());
                coming
            }
        };
        let waiting = async { coming.wait_for(Option::is_some).await.map(|landed| landed.clone()) };
        match self.remote.runtime.block_on(waiting).map_err(io::Error::other)? {
            Some(Landed::Here(extent)) => self.held(number, extent, offset),
            Some(Landed::Uncached(bytes)) => Ok(Held::Window { start: number * EXTENT, bytes }),
            Some(Landed::Failed(kind, text)) => Err(io::Error::new(kind, text)),
            None => self.window(offset),
        }
    }

    fn held(&self, number: u64, extent: Arc<Extent>, offset: u64) -> io::Result<Held> {
        match extent.open() {
            Ok(file) => Ok(Held::Piece { number, file, _extent: extent }),
            Err(_) => self.window(offset),
        }
    }

    fn window(&self, start: u64) -> io::Result<Held> {
        let end = (start + WINDOW).min(self.head.size);
        let fetched = self.remote.fetch(&self.name, &self.head, start..end);
        Ok(Held::Window { start, bytes: self.remote.runtime.block_on(fetched)? })
    }

    /// Fetches what comes next, for whoever reads on from piece to piece.
    fn read_ahead(&self, reading: &mut Reading, number: u64) {
        if reading.furthest.is_some_and(|furthest| furthest >= number) {
            return;
        }
        let goes_on = reading.furthest == number.checked_sub(1);
        reading.furthest = Some(number);
        let last = (self.head.size - 1) / EXTENT;
        for next in (number + 1..=last).take(if goes_on { AHEAD_OF_ONE as usize } else { 0 }) {
            let Ok(turn) = self.remote.ahead.clone().try_acquire_owned() else { return };
            let Found::Awaited(landing) = self.find(next) else { continue };
            let mut landed = landing.coming();
            self.remote.begin(landing, self.place(next), self.head.clone());
            self.remote.runtime.spawn(async move {
                let _ = landed.wait_for(Option::is_some).await;
                drop(turn);
            });
        }
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn covers(&self, piece: u64, offset: u64) -> bool {
        match self {
            Held::Piece { number, .. } => *number == piece,
            Held::Window { start, bytes } => (*start..*start + bytes.len() as u64).contains(&offset),
        }
    }

    fn read(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Held::Piece { number, file, .. } => {
                file.read_exact_at(out, offset - number * EXTENT).map(|()| out.len())
            }
            Held::Window { start, bytes } => {
                let from = usize::try_from(offset - start).map_err(io::Error::other)?;
                let read = out.len().min(bytes.len() - from);
                out[..read].copy_from_slice(&bytes[from..from + read]);
                Ok(read)
            }
        }
    }
}

impl Reading {
    /// Puts what has this offset last; whether there is something.
    fn take_up(&mut self, piece: u64, offset: u64) -> bool {
        let Some(place) = self.held.iter().position(|held| held.covers(piece, offset)) else { return false };
        let held = self.held.remove(place);
        self.held.push(held);
        true
    }

    fn let_go(&mut self) {
        if self.held.len() >= HELD {
            self.held.remove(0);
        }
    }

    fn read(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.held.last().map_or(Ok(0), |held| held.read(out, offset))
    }
}
