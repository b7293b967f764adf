//! Sealing of small texts: AES-256-GCM, each under a key of its own that is derived from the sealing key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use model::Clock;

/// The size of keys in bytes.
pub const KEY_BYTES: usize = 32;
/// The size of what a key is called by.
pub const KEY_ID_BYTES: usize = 8;
const SALT_BYTES: usize = 16;

/// What a key is called by beside what it sealed; says nothing of the key.
pub type KeyId = [u8; KEY_ID_BYTES];

/// A key that seals; what it holds is never shown.
#[derive(Clone)]
pub struct SealingKey([u8; KEY_BYTES]);

impl SealingKey {
    pub fn new(bytes: [u8; KEY_BYTES]) -> SealingKey {
        SealingKey(bytes)
    }

    pub fn from_slice(bytes: &[u8]) -> Option<SealingKey> {
        bytes.try_into().ok().map(SealingKey)
    }

    /// A new key.
    pub fn random(clock: &dyn Clock) -> SealingKey {
        let mut bytes = [0; KEY_BYTES];
        clock.fill(&mut bytes);
        SealingKey(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key for one purpose: whoever has it learns nothing of this one, nor of those for other purposes.
    pub fn derive(&self, purpose: &[u8]) -> SealingKey {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), purpose);
        SealingKey::from_slice(tag.as_ref()).expect("HMAC-SHA256 has as many bytes as a key")
    }

    /// What the key is called by.
    pub fn id(&self) -> KeyId {
        let name = self.derive(b"key id").0;
        *name.first_chunk().expect("a key has more bytes than its id")
    }

    /// Seals a text together with `about`, which is not in the result but must be the same to open it.
    ///
    /// A random salt makes a key of its own for each text, so that no number of texts wears the sealing key out.
    pub fn seal(&self, clock: &dyn Clock, text: &[u8], about: &[u8]) -> Vec<u8> {
        let mut head = [0; SALT_BYTES + NONCE_LEN];
        clock.fill(&mut head);
        let (salt, nonce) = head.split_at(SALT_BYTES);
        let mut sealed = text.to_vec();
        self.derive(salt)
            .cipher()
            .seal_in_place_append_tag(nonce_of(nonce), Aad::from(about), &mut sealed)
            .expect("AES-GCM seals texts of this size");
        [&head[..], &sealed].concat()
    }

    /// Opens what `seal` made; `None` when a bit of it, of `about` or of the key is another.
    pub fn open(&self, sealed: &[u8], about: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = sealed.split_at_checked(SALT_BYTES)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let opened = self.derive(salt).cipher().open_in_place(nonce_of(nonce), Aad::from(about), &mut text);
        let length = opened.ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// The key as AES-256-GCM takes it; no nonce may come twice under it.
    pub fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &self.0).expect("a key has the size that AES-256 takes"),
        )
    }
}

fn nonce_of(bytes: &[u8]) -> Nonce {
    Nonce::try_assume_unique_for_key(bytes).expect("a nonce of AES-GCM has twelve bytes")
}

#[cfg(test)]
mod tests {
    use model::clock::SystemClock;

    use super::*;

    #[test]
    fn only_the_same_key_and_the_same_context_open_it() {
        let (key, other) = (SealingKey::random(&SystemClock), SealingKey::random(&SystemClock));
        let sealed = key.seal(&SystemClock, b"a secret", b"context");
        assert_eq!(key.open(&sealed, b"context").unwrap(), b"a secret");
        assert_eq!(key.open(&sealed, b"Context"), None);
        assert_eq!(other.open(&sealed, b"context"), None);
        assert_ne!(key.seal(&SystemClock, b"a secret", b"context"), sealed);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let key = SealingKey::random(&SystemClock);
        let sealed = key.seal(&SystemClock, b"text", b"");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&changed, b""), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(&sealed[..length], b""), None, "length {length}");
        }
    }
}
