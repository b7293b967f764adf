//! The arena: records side by side in memory, and the order they have.

use std::ops::Range;

use model::record::hash_of;

use super::buckets;
use crate::Arrivals;

#[derive(Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Places are of 32 bits, which an arena never outgrows: it moves four bytes less for each of them.
struct Entry {
    hash: u64,
    start: u32,
    length: u32,
    arrivals: Arrivals,
}

/// The most that an arena holds before it is spilled, so that its places stay within 32 bits.
pub(super) const ARENA_BYTES_MAX: usize = 1 << 30;

impl Arena {
    /// Records are of at most 4 GiB less than an arena.
    pub(super) fn push(&mut self, record: &[u8], arrivals: Arrivals) {
        let (start, length) = (self.bytes.len() as u32, record.len() as u32);
        self.bytes.extend_from_slice(record);
        self.entries.push(Entry { hash: hash_of(record), start, length, arrivals });
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        let order =
            |a: &Entry, b: &Entry| a.hash.cmp(&b.hash).then_with(|| a.record(bytes).cmp(b.record(bytes)));
        self.entries.sort_unstable_by(order);
    }

    /// Where the records of some buckets are, once sorted.
    pub(super) fn places(&self, buckets: &Range<usize>) -> Range<usize> {
        let place = |bucket: usize| self.entries.partition_point(|e| buckets::of(e.hash) < bucket);
        place(buckets.start)..place(buckets.end)
    }

    pub(super) fn get(&self, n: usize) -> (&[u8], Arrivals) {
        let entry = &self.entries[n];
        (entry.record(&self.bytes), entry.arrivals)
    }
}

impl Entry {
    fn record<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.start as usize + self.length as usize]
    }
}
