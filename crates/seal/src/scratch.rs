//! Scratch files, made unreadable: AES-256 in counter mode at any offset, under a key that is nowhere but in memory.
//!
//! Nothing is authenticated: the files have no names and are read by the process alone that wrote them.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use crate::SealingKey;

const BLOCK: u64 = 16;

/// Hides or shows the bytes of one file.
pub struct ScratchCipher {
    key: DecryptingKey,
    file: u64,
}

impl ScratchCipher {
    /// No other file may have this number under the key, and no place in it may be written twice.
    pub fn new(key: &SealingKey, file: u64) -> ScratchCipher {
        let key = UnboundCipherKey::new(&AES_256, key.as_bytes()).and_then(DecryptingKey::ctr);
        ScratchCipher { key: key.expect("a key has the size that AES-256 takes"), file }
    }

    /// Hides bytes that go to `offset`, or shows those that come from there.
    pub fn apply(&self, offset: u64, bytes: &mut [u8]) {
        let within = (offset % BLOCK) as usize;
        let (first, rest) = bytes.split_at_mut(((BLOCK as usize - within) % BLOCK as usize).min(bytes.len()));
        if !first.is_empty() {
            let mut block = [0; BLOCK as usize];
            let place = within..within + first.len();
            block[place.clone()].copy_from_slice(first);
            self.apply_blocks(offset / BLOCK, &mut block);
            first.copy_from_slice(&block[place]);
        }
        if !rest.is_empty() {
            self.apply_blocks(offset.div_ceil(BLOCK), rest);
        }
    }

    fn apply_blocks(&self, block: u64, bytes: &mut [u8]) {
        let mut start = [0; 16];
        start[..8].copy_from_slice(&self.file.to_be_bytes());
        start[8..].copy_from_slice(&block.to_be_bytes());
        let start = DecryptionContext::Iv128(FixedLength::from(&start));
        // Counter mode goes the same way to and fro.
        self.key.decrypt(bytes, start).expect("counter mode takes texts of any size");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_shown_however_the_whole_was_hidden() {
        let cipher = ScratchCipher::new(&SealingKey::new([7; 32]), 3);
        let text: Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
        let mut whole = text.clone();
        cipher.apply(0, &mut whole);
        let mut parts = text.clone();
        for (from, to) in [(0, 5), (5, 16), (16, 33), (33, 34), (34, 1000)] {
            cipher.apply(from as u64, &mut parts[from..to]);
        }
        assert_eq!(whole, parts);
        for from in 0..100 {
            for to in from..from + 40 {
                let mut piece = whole[from..to].to_vec();
                cipher.apply(from as u64, &mut piece);
                assert_eq!(piece, text[from..to], "{from}..{to}");
            }
        }
    }

    #[test]
    fn files_and_keys_have_nothing_in_common() {
        let hidden = |key: u8, file| {
            let mut bytes = [0; 64];
            ScratchCipher::new(&SealingKey::new([key; 32]), file).apply(0, &mut bytes);
            bytes
        };
        assert_ne!(hidden(1, 1), hidden(1, 2));
        assert_ne!(hidden(1, 1), hidden(2, 1));
        assert_ne!(hidden(1, 1), [0; 64]);
    }
}
