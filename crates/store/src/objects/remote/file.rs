//! An object of the bucket as a reader sees it: bytes at offsets, from pieces that are here or waited for.

use std::fs::File;
use std::io::{self, ErrorKind as IoKind};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::super::bucket::ObjectHead;
use super::super::cache::{Extent, Found, Landed, Place};
use super::{EXTENT, Remote, WINDOW, range};

/// An object of the bucket that is open for reading.
pub struct RemoteFile {
    remote: Arc<Remote>,
    name: Arc<str>,
    head: ObjectHead,
    reading: Mutex<Reading>,
}

/// What one reader holds at once: columns lie one behind the other, and are read side by side.
const HELD: usize = 4;
/// How many pieces are fetched ahead of one reader.
const AHEAD_OF_ONE: usize = 2;

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
    pub(super) fn new(remote: &Arc<Remote>, name: &str, head: ObjectHead) -> RemoteFile {
        RemoteFile { remote: remote.clone(), name: name.into(), head, reading: Mutex::default() }
    }

    pub(in crate::objects) fn size(&self) -> u64 {
        self.head.size
    }

    /// Drops what is kept of the object: it is fetched again.
    pub(in crate::objects) fn forget(&self) {
        self.reading().held.clear();
        self.remote.forget(&self.name);
    }

    pub(in crate::objects) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
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

    pub(in crate::objects) fn read_exact_at(&self, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
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
        for next in (number + 1..=last).take(if goes_on { AHEAD_OF_ONE } else { 0 }) {
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

    fn reading(&self) -> MutexGuard<'_, Reading> {
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
