//! The values of a dictionary as CSV, so that writing one is a copy of fixed length.

use std::sync::Arc;

use store::rows::Dictionary;

/// A value in quotes where it needs them and the separator behind it; the last byte is the length of these.
pub type Slot<const N: usize> = [u8; N];

/// What the last byte of a slot says when its value does not fit.
pub const TOO_LONG: u8 = u8::MAX;

/// Slots of one size, one for each value of a dictionary.
#[derive(Clone)]
pub enum Slots {
    Small(Arc<[Slot<16>]>),
    Medium(Arc<[Slot<32>]>),
    Large(Arc<[Slot<64>]>),
}

impl Slots {
    /// None when they would take more than `size_bytes_max`.
    pub fn new(dictionary: &Dictionary, separator: u8, size_bytes_max: usize) -> Option<Slots> {
        let count = dictionary.len();
        // Seven in eight fit: a few long values don't make all slots long.
        let fit = |size: usize| {
            let fitting = (0..count).filter(|&code| dictionary.value(code).len() + 1 < size).count();
            fitting >= count - count / 8 && count * size <= size_bytes_max
        };
        let mut text = Vec::new();
        if fit(16) {
            Some(Slots::Small(fill(dictionary, separator, &mut text)))
        } else if fit(32) {
            Some(Slots::Medium(fill(dictionary, separator, &mut text)))
        } else if fit(64) {
            Some(Slots::Large(fill(dictionary, separator, &mut text)))
        } else {
            None
        }
    }

    pub fn size_bytes(&self) -> usize {
        match self {
            Slots::Small(slots) => 16 * slots.len(),
            Slots::Medium(slots) => 32 * slots.len(),
            Slots::Large(slots) => 64 * slots.len(),
        }
    }
}

fn fill<const N: usize>(dictionary: &Dictionary, separator: u8, text: &mut Vec<u8>) -> Arc<[Slot<N>]> {
    let mut slot_of = |code| {
        text.clear();
        csv::write::write_string(dictionary.value(code), text);
        text.push(separator);
        let mut slot = [TOO_LONG; N];
        if text.len() < N {
            slot[..text.len()].copy_from_slice(text);
            slot[N - 1] = text.len() as u8;
        }
        slot
    };
    (0..dictionary.len()).map(&mut slot_of).collect()
}
