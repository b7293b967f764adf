//! Reads blobs as a stream, a piece ahead of the peer; the more read at once, the smaller their pieces.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin as Pinned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use access::SealingKey;
use access::about::{self, About};
use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::{JoinHandle, spawn_blocking};

use super::pin::Pin;
use super::{Blobs, Slice};
use seal::cipher::{self, CHUNK, Cipher};

/// The most that a piece holds that goes to the peer, and the least that it may.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;
const PIECE_BYTES_MIN: u64 = CHUNK;
/// What the pieces of all readers hold, about. Peers that take nothing keep theirs for long, and there may be many.
const PIECES_BYTES: u64 = 64 * 1024 * 1024;
/// With more readers than these, none reads ahead of its peer.
const READERS_AHEAD: u64 = 64;

/// A stream of the bytes of slices, in their order; two pieces are in memory at most.
pub struct Reader {
    next: Next,
    remaining: u64,
    /// Read when nobody remembers any more who asked.
    about: About,
}

enum Next {
    /// Read when it is asked for.
    Asleep(Source),
    Reading(JoinHandle<io::Result<(Source, Bytes)>>),
    Nothing,
}

/// How many read at once.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<AtomicU64>);

/// One of them, until this is dropped.
struct Counted(Readers);

struct Source {
    blobs: Blobs,
    slices: VecDeque<Slice>,
    open: Option<Opened>,
    key: Option<SealingKey>,
    spare: Spare,
    counted: Counted,
    // Held until the last byte is read.
    _pin: Pin,
}

// Buffers that the peer is done with: a new one would have to be cleared, and its pages found, each time.
#[derive(Clone, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

// A piece on its way to the peer; its buffer comes back.
struct Piece {
    bytes: Vec<u8>,
    spare: Spare,
}

// The file of the first slice, and what opens it where it is encrypted.
struct Opened {
    file: File,
    cipher: Option<Cipher>,
}

impl Reader {
    /// Starts to read; `pin` holds at least the blobs of `slices`, `key` is the one that they were written with.
    pub fn new(blobs: &Blobs, slices: Vec<Slice>, pin: Pin, key: Option<SealingKey>) -> Reader {
        let slices: VecDeque<Slice> = slices.into_iter().filter(|slice| slice.size > 0).collect();
        let remaining = slices.iter().map(|slice| slice.size).sum();
        let counted = blobs.inner.readers.enter();
        let (blobs, spare) = (blobs.clone(), Spare::default());
        let source = Source { blobs, slices, open: None, key, spare, counted, _pin: pin };
        let next = if remaining > 0 { source.next() } else { Next::Nothing };
        Reader { next, remaining, about: about::current() }
    }
}

impl Readers {
    fn enter(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whole chunks, so that none is opened twice.
    fn piece_bytes(&self) -> u64 {
        let share = PIECES_BYTES / (2 * self.count().max(1));
        (share - share % CHUNK).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Source {
    fn next(self) -> Next {
        let is_alone = self.counted.0.count() <= READERS_AHEAD;
        if is_alone { Next::Reading(self.begin()) } else { Next::Asleep(self) }
    }

    fn begin(self) -> JoinHandle<io::Result<(Source, Bytes)>> {
        spawn_blocking(|| self.read())
    }

    fn read(mut self) -> io::Result<(Source, Bytes)> {
        let Some(slice) = self.slices.front_mut() else { return Ok((self, Bytes::new())) };
        let opened = match self.open.take() {
            Some(opened) => opened,
            None => Opened {
                file: File::open(self.blobs.path(&slice.blob))?,
                cipher: self.key.as_ref().map(|key| Cipher::new(key, &slice.blob)),
            },
        };
        // Up to a border of chunks.
        let size = slice.size.min(self.counted.0.piece_bytes() - slice.start % CHUNK);
        let mut bytes = self.spare.take();
        opened.read(slice.start, size, slice.blob_size, &mut bytes)?;
        slice.start += size;
        slice.size -= size;
        if slice.size == 0 {
            self.slices.pop_front();
        } else {
            self.open = Some(opened);
        }
        let piece = Piece { bytes, spare: self.spare.clone() };
        Ok((self, Bytes::from_owner(piece)))
    }
}

impl Opened {
    fn read(&self, start: u64, size: u64, blob_size: u64, piece: &mut Vec<u8>) -> io::Result<()> {
        let Some(cipher) = &self.cipher else { return self.bytes(start, start + size, piece) };
        let (first, end) = (start / CHUNK, (start + size).div_ceil(CHUNK));
        let last = cipher::chunks(blob_size) - 1;
        let file_end = cipher::position(end).min(cipher::sealed_size(blob_size));
        let mut sealed = Vec::new();
        self.bytes(cipher::position(first), file_end, &mut sealed)?;
        piece.clear();
        for (number, chunk) in (first..).zip(sealed.chunks_mut(cipher::position(1) as usize)) {
            piece.extend_from_slice(cipher.open(number, number == last, chunk)?);
        }
        let skipped = (start - first * CHUNK) as usize;
        piece.truncate(skipped + size as usize);
        piece.drain(..skipped);
        Ok(())
    }

    fn bytes(&self, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(usize::try_from(end - start).map_err(io::Error::other)?, 0);
        self.file.read_exact_at(bytes, start)
    }
}

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.spare.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut task = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => return Poll::Ready(None),
            Next::Asleep(source) => source.begin(),
            Next::Reading(task) => task,
        };
        let Poll::Ready(read) = Pinned::new(&mut task).poll(cx) else {
            self.next = Next::Reading(task);
            return Poll::Pending;
        };
        match read.map_err(io::Error::other).flatten() {
            Ok((source, piece)) => {
                self.remaining -= piece.len() as u64;
                if self.remaining > 0 {
                    self.next = source.next();
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Err(cause) => {
                let about = std::mem::take(&mut self.about);
                about.within(|| tracing::error!(cause = %cause, "an object's bytes could not be read"));
                Poll::Ready(Some(Err("the object store could not read the object".into())))
            }
        }
    }
}

impl ByteStream for Reader {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
