//! Long texts, sealed: AES-256-GCM in chunks of 64 KiB, so that a range is read without the rest.
//!
//! Each text has a key of its own, derived from the data key and the text's name; the nonce is the chunk's number. With
//! each chunk the name, the number and whether it is the last are authenticated: a chunk that was changed, moved, taken
//! from another text or cut off is found.

use std::io;

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::error::Unspecified;

use crate::SealingKey;

/// Bytes of a text in one chunk.
pub const CHUNK: u64 = 64 * 1024;
/// What sealing adds to a chunk.
pub const TAG: u64 = 16;

/// Seals or opens the chunks of one text.
pub struct Cipher {
    key: LessSafeKey,
    id: String,
}

impl Cipher {
    /// No other text may have this name under this data key.
    pub fn new(data_key: &SealingKey, name: &str) -> Cipher {
        Cipher { key: data_key.derive(name.as_bytes()).cipher(), id: name.to_owned() }
    }

    /// Appends a sealed chunk to `out`.
    pub fn seal(&self, number: u64, is_last: bool, chunk: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(chunk);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(number), self.about(number, is_last), &mut out[start..])
            .expect("AES-GCM seals chunks of this size");
        out.extend_from_slice(tag.as_ref());
    }

    /// Opens a chunk in its place and gives its bytes.
    ///
    /// # Errors
    /// `InvalidData` when it is not the chunk that was written there.
    pub fn open<'c>(&self, number: u64, is_last: bool, chunk: &'c mut [u8]) -> io::Result<&'c [u8]> {
        let opened = self.key.open_in_place(nonce(number), self.about(number, is_last), chunk);
        opened.map(|bytes| &*bytes).map_err(|_| damaged(number))
    }

    /// Opens a chunk into `out`, which has the size of its bytes.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_into(&self, number: u64, is_last: bool, sealed: &[u8], out: &mut [u8]) -> io::Result<()> {
        let about = self.about(number, is_last);
        let opened = sealed
            .split_at_checked(out.len())
            .ok_or(Unspecified)
            .and_then(|(text, tag)| self.key.open_separate_gather(nonce(number), about, text, tag, out));
        opened.map_err(|_| damaged(number))
    }

    fn about(&self, number: u64, is_last: bool) -> Aad<Vec<u8>> {
        let mut bytes = self.id.as_bytes().to_vec();
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.push(u8::from(is_last));
        Aad::from(bytes)
    }
}

/// The number of chunks of a text of `size` bytes: one also where there are none.
pub fn chunks(size: u64) -> u64 {
    size.div_ceil(CHUNK).max(1)
}

/// Where a chunk lies in the file.
pub fn position(number: u64) -> u64 {
    number * (CHUNK + TAG)
}

/// The size of the file of a text of `size` bytes.
pub fn sealed_size(size: u64) -> u64 {
    size + chunks(size) * TAG
}

fn damaged(number: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("chunk {number} is damaged"))
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
