//! The form in which records wait to be sorted: a head with length and arrivals, then the record's bytes.
//!
//! Nearly all records are short and arrived once: one word is their head. Others have four words.

use std::ops::Range;

use model::error::{Error, Result};

use crate::Arrivals;

const WORD: usize = size_of::<u64>();
const LENGTH_BITS: u32 = 16;
/// Stands for the length where the head has four words.
const FOUR_WORDS: u64 = (1 << LENGTH_BITS) - 1;

/// A head, and the hash that records begin with.
pub(super) const RECORD_BYTES_MIN: usize = 2 * WORD;

/// The head of a record that is short and arrived once.
#[inline]
pub(super) fn short_head(record: &[u8], arrivals: Arrivals) -> Option<[u8; WORD]> {
    let (length, sequence) = (record.len() as u64, arrivals.sequence_min);
    let fits = length < FOUR_WORDS && sequence >> (u64::BITS - LENGTH_BITS) == 0;
    let is_short = fits && arrivals == Arrivals::once(sequence);
    is_short.then(|| ((sequence << LENGTH_BITS) | length).to_le_bytes())
}

/// The head of any other.
pub(super) fn long_head(record: &[u8], arrivals: Arrivals) -> [u8; 4 * WORD] {
    // A length has 47 bits at most: no address space holds more.
    let first = ((record.len() as u64) << LENGTH_BITS) | FOUR_WORDS;
    let words = [first, arrivals.sequence_min, arrivals.sequence_max, arrivals.copies];
    let mut bytes = [0; 4 * WORD];
    for (place, word) in bytes.chunks_exact_mut(WORD).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Appends a record in its stored form.
pub(super) fn write(record: &[u8], arrivals: Arrivals, out: &mut Vec<u8>) {
    match short_head(record, arrivals) {
        Some(head) => out.extend_from_slice(&head),
        None => out.extend_from_slice(&long_head(record, arrivals)),
    }
    out.extend_from_slice(record);
}

/// Where the record is whose head begins at `at`; `None` where `bytes` end before it does.
#[inline]
pub(super) fn place(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let word = word(bytes, at)?;
    let (head, length) = match word & FOUR_WORDS {
        FOUR_WORDS => (4 * WORD, word >> LENGTH_BITS),
        length => (WORD, length),
    };
    let start = at + head;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

/// The record whose head begins at `at`, where `place` has found one.
#[inline]
pub(super) fn record(bytes: &[u8], at: usize) -> &[u8] {
    place(bytes, at).map_or(&[], |place| &bytes[place])
}

/// The arrivals of the record whose head begins at `at`, where `place` has found one.
#[inline]
pub(super) fn arrivals(bytes: &[u8], at: usize) -> Arrivals {
    let nth = |n: usize| word(bytes, at + n * WORD).unwrap_or(0);
    let first = nth(0);
    if first & FOUR_WORDS == FOUR_WORDS {
        Arrivals { sequence_min: nth(1), sequence_max: nth(2), copies: nth(3) }
    } else {
        Arrivals::once(first >> LENGTH_BITS)
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// What was read back is not what was written.
pub(super) fn damaged() -> Error {
    Error::unavailable("a file of the sort is damaged")
}

/// The end of a stretch of whole records must be the end of a record.
pub(super) fn ends_at(end: usize, length: usize) -> Result<()> {
    if end == length { Ok(()) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_whatever_their_length_and_arrivals() {
        let many = Arrivals { sequence_min: 3, sequence_max: u64::MAX, copies: 5 };
        let arrivals_of = [Arrivals::once(0), Arrivals::once((1 << 48) - 1), Arrivals::once(1 << 48), many];
        let lengths = [0, 1, 65534, 65535, 65536, 200_000];
        let mut bytes = Vec::new();
        let mut ats = Vec::new();
        for (length, given) in lengths.into_iter().flat_map(|l| arrivals_of.map(|a| (l, a))) {
            let record = vec![7; length];
            ats.push((bytes.len(), length, given));
            write(&record, given, &mut bytes);
        }
        let mut end = 0;
        for (at, length, given) in ats {
            assert_eq!(at, end);
            let range = place(&bytes, at).unwrap();
            assert_eq!(place(&bytes[..range.end - 1], at), None);
            end = range.end;
            assert_eq!((record(&bytes, at).len(), arrivals(&bytes, at)), (length, given));
        }
        assert_eq!(end, bytes.len());
    }
}
