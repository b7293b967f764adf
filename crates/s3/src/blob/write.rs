//! Writes a blob: hashed and written a MiB at a time on blocking threads, durable before anything names it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use access::SealingKey;
use bytes::Bytes;
use s3s::S3Result;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Blobs, sync_folder};
use crate::digest::{Digested, Digests};
use crate::error::Doing;
use seal::cipher::{CHUNK, Cipher};

const PIECE: usize = 1024 * 1024;
/// Bytes that come in so large a piece are written from where they lie; smaller ones are gathered, so that none keeps
/// a large buffer alive.
const LARGE: usize = 64 * 1024;
/// So much is hashed and then written while it is in the processor's cache.
const STEP: usize = 256 * 1024;

/// A blob in the making; dropped before its end, it leaves nothing behind.
///
/// Holds two pieces of 1 MiB at most, or larger ones that came as such, and no thread while it waits for the peer.
pub struct Writer {
    pieces: Pieces,
    draft: Option<Draft>,
    busy: Option<JoinHandle<std::io::Result<Draft>>>,
}

/// A durable blob that no row names yet; unless it is kept, it is removed when dropped.
pub struct Stored {
    pub id: String,
    pub digested: Digested,
    blobs: Blobs,
    kept: bool,
}

// What has come and is not yet being written.
#[derive(Default)]
struct Pieces {
    whole: Vec<Bytes>,
    gathered: Vec<u8>,
    size: usize,
}

// The unfinished file and its hashes, handed from one blocking step to the next.
struct Draft {
    blobs: Blobs,
    id: String,
    file: Option<File>,
    digests: Digests,
    cipher: Option<Sealer>,
    sealed: bool,
}

// Holds back what may be the last chunk, which is sealed as such.
struct Sealer {
    cipher: Cipher,
    number: u64,
    held: Vec<u8>,
}

impl Blobs {
    /// Begins a blob whose `digests` are computed on the way; with a key its file is encrypted.
    pub fn write(&self, digests: Digests, key: Option<&SealingKey>) -> Writer {
        let id = self.inner.clock.hex(32);
        let cipher = key.map(|key| Sealer { cipher: Cipher::new(key, &id), number: 0, held: Vec::new() });
        let draft = Draft { blobs: self.clone(), id, file: None, digests, cipher, sealed: false };
        Writer { pieces: Pieces::default(), draft: Some(draft), busy: None }
    }
}

impl Writer {
    /// Takes bytes; waits while a whole piece before them is still being written.
    ///
    /// # Errors
    /// `ServiceUnavailable` when the disk refuses.
    pub async fn push(&mut self, bytes: Bytes) -> S3Result<()> {
        self.pieces.push(bytes);
        if self.pieces.size >= PIECE {
            let mut draft = self.idle().await?;
            let pieces = std::mem::take(&mut self.pieces);
            self.busy = Some(spawn_blocking(move || {
                draft.absorb(pieces)?;
                Ok(draft)
            }));
        }
        Ok(())
    }

    /// Makes the blob durable under its final name.
    ///
    /// # Errors
    /// `ServiceUnavailable` when the disk refuses.
    pub async fn finish(mut self) -> S3Result<Stored> {
        let mut draft = self.idle().await?;
        let work = spawn_blocking(move || {
            draft.absorb(self.pieces)?;
            draft.seal()
        });
        work.await.map_err(std::io::Error::other).flatten().doing("write the object")
    }

    async fn idle(&mut self) -> S3Result<Draft> {
        let draft = match self.busy.take() {
            Some(task) => {
                Some(task.await.map_err(std::io::Error::other).flatten().doing("write the object")?)
            }
            None => self.draft.take(),
        };
        draft.ok_or("a failed step was followed by another").doing("write the object")
    }
}

impl Pieces {
    fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        if bytes.len() < LARGE {
            self.gathered.extend_from_slice(&bytes);
        } else {
            self.end_gathered();
            self.whole.push(bytes);
        }
    }

    fn end_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.whole.push(std::mem::take(&mut self.gathered).into());
        }
    }
}

impl Draft {
    fn absorb(&mut self, mut pieces: Pieces) -> std::io::Result<()> {
        pieces.end_gathered();
        let mut steps = pieces.whole.iter().flat_map(|piece| piece.chunks(STEP));
        steps.try_for_each(|step| self.take(step))
    }

    fn take(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.digests.update(piece);
        match &mut self.cipher {
            None => self.write(piece),
            Some(sealer) => {
                let sealed = sealer.take(piece);
                self.write(&sealed)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.temp();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?),
        };
        file.write_all(bytes)
    }

    fn seal(mut self) -> std::io::Result<Stored> {
        // Also where nothing is left: an empty blob is a file too.
        let rest = self.cipher.take().map(Sealer::finish).unwrap_or_default();
        self.write(&rest)?;
        let path = self.blobs.path(&self.id);
        if path.try_exists()? {
            return Err(std::io::Error::other("a random id came twice"));
        }
        fs::rename(self.temp(), &path)?;
        self.sealed = true;
        let digests = std::mem::replace(&mut self.digests, Digests::new(&[]));
        let (blobs, id) = (self.blobs.clone(), self.id.clone());
        let stored = Stored { id, digested: digests.finish(), blobs, kept: false };
        // The name comes first, so that the disk commits both at once. What a crash leaves has a name that no row knows,
        // and goes at the next start.
        if let Some(file) = self.file.take() {
            file.sync_all()?;
        }
        if let Some(folder) = path.parent() {
            sync_folder(folder)?;
        }
        Ok(stored)
    }

    fn temp(&self) -> PathBuf {
        self.blobs.inner.temp.join(&self.id)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.sealed {
            // There may be no file yet; what cannot be removed now goes at the next start.
            let _ = fs::remove_file(self.temp());
        }
    }
}

impl Sealer {
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut sealed = Vec::with_capacity(self.held.len() + 1024);
        let mut done = 0;
        while self.held.len() - done > CHUNK as usize {
            let chunk = &self.held[done..done + CHUNK as usize];
            self.cipher.seal(self.number, false, chunk, &mut sealed);
            self.number += 1;
            done += chunk.len();
        }
        self.held.drain(..done);
        sealed
    }

    fn finish(self) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(self.held.len() + 16);
        self.cipher.seal(self.number, true, &self.held, &mut sealed);
        sealed
    }
}

impl Stored {
    /// From here on the blob stays: a row names it, or may name it once its transaction ends.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if !self.kept {
            self.blobs.remove(std::slice::from_ref(&self.id));
        }
    }
}
