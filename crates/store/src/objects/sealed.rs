//! A sealed object (docs/format.md): which key opens it, then its content in chunks that are read one by one.

use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use model::Clock;
use seal::cipher::{CHUNK, TAG, chunks, position};
use seal::{Cipher, DataKeys, KeyId, SealingKey};

use super::Content;

/// No Parquet file begins like this.
const MAGIC: &[u8; 8] = b"LADESEAL";
const VERSION: u32 = 1;
const SALT_BYTES: usize = 16;
/// Magic, version, a zero, key id, salt.
const HEADER: usize = 8 + 4 + 4 + 8 + SALT_BYTES;
const CHUNK_BYTES: usize = CHUNK as usize;
const SEALED_BYTES: usize = (CHUNK + TAG) as usize;
/// Whole chunks that are read with one call.
const CHUNKS_AT_ONCE: u64 = 8;
/// How often chunks are read that don't open.
const TRIES: usize = 3;

// A name may be taken more than once, by a second attempt; the salt keeps their keys apart.
fn cipher(key: &SealingKey, name: &str, salt: &[u8]) -> Cipher {
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    Cipher::new(key, &format!("{name} {salt}"))
}

/// What the key of a sealed object is called by, of whose file these are the first bytes; `None` where it is not sealed.
pub fn key_id_of(head: &[u8]) -> Option<KeyId> {
    let rest = head.strip_prefix(MAGIC)?;
    rest.get(8..16)?.try_into().ok()
}

/// Seals an object from its start to its end.
pub(super) struct Sealer {
    cipher: Cipher,
    header: Option<[u8; HEADER]>,
    number: u64,
    /// What may still be the last chunk.
    held: Vec<u8>,
    sealed: Vec<u8>,
}

impl Sealer {
    pub fn begin(name: &str, key: &SealingKey, clock: &dyn Clock) -> Sealer {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[16..24].copy_from_slice(&key.id());
        clock.fill(&mut header[24..]);
        Sealer {
            cipher: cipher(key, name, &header[24..]),
            header: Some(header),
            number: 0,
            held: Vec::with_capacity(CHUNK_BYTES),
            sealed: Vec::with_capacity(SEALED_BYTES),
        }
    }

    /// Takes a part of the bytes, at least one.
    pub fn write(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<usize> {
        if self.held.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.seal(false, out)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.held.len());
        self.held.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    pub fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.seal(true, out)
    }

    fn seal(&mut self, is_last: bool, out: &mut impl Write) -> io::Result<()> {
        if let Some(header) = self.header.take() {
            out.write_all(&header)?;
        }
        self.sealed.clear();
        self.cipher.seal(self.number, is_last, &self.held, &mut self.sealed);
        self.held.clear();
        self.number += 1;
        out.write_all(&self.sealed)
    }
}

/// A sealed object, open for reading by one reader at a time.
pub struct SealedFile {
    file: Content,
    cipher: Cipher,
    /// Of the content.
    size: u64,
    buffers: Mutex<Buffers>,
}

#[derive(Default)]
struct Buffers {
    sealed: Vec<u8>,
    /// The chunk that was read last, of which only a part was wanted.
    chunk: Vec<u8>,
    number: Option<u64>,
}

impl SealedFile {
    /// `None` when the file is no sealed one.
    ///
    /// # Errors
    /// `InvalidData` when it is of a later version, under a key that is not here, or cut off.
    pub(super) fn open(file: Content, name: &str, keys: &DataKeys) -> io::Result<Option<SealedFile>> {
        let mut header = [0; HEADER];
        let size = file.size()?;
        if size < HEADER as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let Some(rest) = header.strip_prefix(MAGIC) else { return Ok(None) };
        if rest[..4] != VERSION.to_le_bytes() {
            return Err(damaged("it is sealed in a way that this version does not know"));
        }
        let id: KeyId = rest[8..16].try_into().map_err(|_| damaged("it has no key id"))?;
        let key = keys.find(id).ok_or_else(|| damaged("it is sealed under another key"))?;
        let size = size_of(size - HEADER as u64).ok_or_else(|| damaged("it is cut off"))?;
        let buffers = Mutex::default();
        Ok(Some(SealedFile { file, cipher: cipher(key, name, &rest[16..]), size, buffers }))
    }

    pub(super) fn forget(&self) -> bool {
        self.file.forget()
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn read_exact_at(&self, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !out.is_empty() {
            match self.read_at(out, offset)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                n => {
                    out = &mut out[n..];
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }

    pub(super) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || out.is_empty() {
            return Ok(0);
        }
        let (number, within) = (offset / CHUNK, (offset % CHUNK) as usize);
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_held = buffers.number == Some(number);
        if within == 0 && out.len() >= self.length(number) && !is_held {
            return self.read_whole(number, out, &mut buffers.sealed);
        }
        if !is_held {
            buffers.number = None;
            let Buffers { sealed, chunk, .. } = &mut *buffers;
            chunk.resize(self.length(number), 0);
            self.read_whole(number, chunk, sealed)?;
            buffers.number = Some(number);
        }
        let held = &buffers.chunk[within..];
        let n = held.len().min(out.len());
        out[..n].copy_from_slice(&held[..n]);
        Ok(n)
    }

    // Reads as many whole chunks as fit into `out`, one at least.
    fn read_whole(&self, first: u64, out: &mut [u8], sealed: &mut Vec<u8>) -> io::Result<usize> {
        let left = (self.size - first * CHUNK).min(out.len() as u64);
        let is_to_the_end = first * CHUNK + left == self.size;
        let whole = if is_to_the_end { left.div_ceil(CHUNK) } else { left / CHUNK };
        let count = whole.min(CHUNKS_AT_ONCE);
        let plain: usize = (first..first + count).map(|number| self.length(number)).sum();
        sealed.resize(plain + count as usize * TAG as usize, 0);
        let mut tries = TRIES;
        loop {
            self.file.read_exact_at(sealed, HEADER as u64 + position(first))?;
            match self.open_chunks(first, sealed, &mut out[..plain]) {
                Ok(()) => return Ok(plain),
                Err(cause) => {
                    tries -= 1;
                    // What lies in a cache, or came over a network, may be damaged on its way.
                    if tries == 0 || !self.file.forget() {
                        return Err(cause);
                    }
                }
            }
        }
    }

    fn open_chunks(&self, first: u64, sealed: &mut [u8], out: &mut [u8]) -> io::Result<()> {
        let parts = sealed.chunks_mut(SEALED_BYTES).zip(out.chunks_mut(CHUNK_BYTES));
        for (number, (sealed, out)) in (first..).zip(parts) {
            self.cipher.open_into(number, number + 1 == chunks(self.size), sealed, out)?;
        }
        Ok(())
    }

    fn length(&self, number: u64) -> usize {
        // At most a chunk.
        (self.size - number * CHUNK).min(CHUNK) as usize
    }
}

// The size of the content of so many sealed bytes.
fn size_of(sealed: u64) -> Option<u64> {
    let count = sealed.div_ceil(CHUNK + TAG).max(1);
    let size = sealed.checked_sub(count * TAG)?;
    (chunks(size) == count).then_some(size)
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;
