//! A series of small texts under one key of its own: AES-256-GCM whose nonces count, so that a text costs little more
//! than its bytes.
//!
//! A text is the id of the data key (8 bytes), the salt of the series (16), the text's number in it (8, little end first),
//! then the sealed bytes and their tag (16). The key of a series is derived from the data key and the salt, which is
//! random: a process that begins again, even with what an earlier one wrote cut off, begins another series.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use model::Clock;

use crate::key::KEY_ID_BYTES;
use crate::{DataKeys, SealingKey};

const SALT_BYTES: usize = 16;
const HEAD: usize = KEY_ID_BYTES + SALT_BYTES;
const NUMBER: usize = 8;
const TAG: usize = 16;
const PURPOSE: &[u8] = b"series";

/// What stands before the bytes of a sealed text.
pub const SERIES_HEAD_BYTES: usize = HEAD + NUMBER;
/// What sealing adds to a text.
pub const SERIES_BYTES: usize = SERIES_HEAD_BYTES + TAG;

/// Seals one text after the other.
pub struct Series {
    key: LessSafeKey,
    /// Key id and salt.
    head: [u8; HEAD],
    next: AtomicU64,
}

impl Series {
    /// Begins a series under a data key.
    pub fn begin(key: &SealingKey, clock: &dyn Clock) -> Series {
        let mut head = [0; HEAD];
        head[..KEY_ID_BYTES].copy_from_slice(&key.id());
        clock.fill(&mut head[KEY_ID_BYTES..]);
        Series { key: key_of(key, &head), head, next: AtomicU64::new(0) }
    }

    /// Appends a text to `out`, sealed together with `about`, which must be the same to open it.
    pub fn seal(&self, text: &[u8], about: &[u8], out: &mut Vec<u8>) {
        // No process lives to seal 2^64 texts.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        out.reserve(text.len() + SERIES_BYTES);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&number.to_le_bytes());
        let start = out.len();
        out.extend_from_slice(text);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(number), Aad::from(about), &mut out[start..])
            .expect("AES-GCM seals texts of this size");
        out.extend_from_slice(tag.as_ref());
    }
}

/// Opens texts of any series; most stand behind others of theirs.
pub struct Opener<'a> {
    keys: &'a DataKeys,
    last: Option<([u8; HEAD], LessSafeKey)>,
}

/// Why a text stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It was sealed under a key that is not here.
    OtherKey,
    /// It, or what it was sealed together with, is not what was sealed.
    Damaged,
}

impl<'a> Opener<'a> {
    pub fn new(keys: &'a DataKeys) -> Opener<'a> {
        Opener { keys, last: None }
    }

    /// Opens a sealed text in its place.
    ///
    /// # Errors
    /// `OtherKey`, `Damaged`.
    pub fn open<'t>(&mut self, sealed: &'t mut [u8], about: &[u8]) -> Result<&'t mut [u8], Closed> {
        let (head, rest) = sealed.split_first_chunk_mut::<HEAD>().ok_or(Closed::Damaged)?;
        let (number, text) = rest.split_first_chunk_mut::<NUMBER>().ok_or(Closed::Damaged)?;
        let nonce = nonce(u64::from_le_bytes(*number));
        let opened = self.key(head)?.open_in_place(nonce, Aad::from(about), text);
        opened.map_err(|_| Closed::Damaged)
    }

    fn key(&mut self, head: &[u8; HEAD]) -> Result<&LessSafeKey, Closed> {
        if self.last.as_ref().is_none_or(|(last, _)| last != head) {
            let (id, _) = head.split_first_chunk::<KEY_ID_BYTES>().ok_or(Closed::Damaged)?;
            let key = self.keys.find(*id).ok_or(Closed::OtherKey)?;
            self.last = Some((*head, key_of(key, head)));
        }
        self.last.as_ref().map(|(_, key)| key).ok_or(Closed::OtherKey)
    }
}

fn key_of(key: &SealingKey, head: &[u8; HEAD]) -> LessSafeKey {
    key.derive(&[PURPOSE, &head[KEY_ID_BYTES..]].concat()).cipher()
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - NUMBER..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::clock::SystemClock;

    use super::*;

    fn keys() -> DataKeys {
        DataKeys::sealing(SealingKey::random(&SystemClock), Arc::new(SystemClock))
    }

    fn sealed(keys: &DataKeys, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        keys.series().unwrap().seal(text, b"about", &mut out);
        out
    }

    #[test]
    fn texts_of_several_series_are_opened_by_the_key_of_each() {
        let (one, two) = (keys(), keys());
        let both = one.clone().and_opening(two.sealing_key().unwrap().0.clone());
        let mut opener = Opener::new(&both);
        for (keys, text) in [(&one, "a"), (&two, "b"), (&one, ""), (&one, "c")] {
            let mut bytes = sealed(keys, text.as_bytes());
            assert_eq!(bytes.len(), text.len() + SERIES_BYTES);
            assert_eq!(opener.open(&mut bytes, b"about").unwrap(), text.as_bytes());
        }
        let mut foreign = sealed(&two, b"text");
        assert_eq!(Opener::new(&one).open(&mut foreign, b"about"), Err(Closed::OtherKey));
    }

    #[test]
    fn equal_texts_are_sealed_differently() {
        let keys = keys();
        assert_ne!(sealed(&keys, b"text"), sealed(&keys, b"text"));
    }

    #[test]
    fn a_series_that_begins_again_has_another_key() {
        let key = SealingKey::random(&SystemClock);
        let first =
            |key: &SealingKey| sealed(&DataKeys::sealing(key.clone(), Arc::new(SystemClock)), b"text");
        assert_ne!(first(&key)[HEAD..], first(&key)[HEAD..]);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let keys = keys();
        let whole = sealed(&keys, b"text");
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Opener::new(&keys).open(&mut changed, b"about").is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            assert!(Opener::new(&keys).open(&mut cut, b"about").is_err(), "length {length}");
        }
        assert_eq!(Opener::new(&keys).open(&mut whole.clone(), b"other"), Err(Closed::Damaged));
    }
}
