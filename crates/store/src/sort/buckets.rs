//! Buckets of equal ranges of the hash: records are kept, counted and read by them.

use std::ops::Range;

use crate::Arrivals;

const BITS: u32 = 12;

pub const COUNT: usize = 1 << BITS;

/// The bucket that a hash falls into.
pub fn of(hash: u64) -> usize {
    (hash >> (64 - BITS)) as usize
}

/// How many records arrived in each bucket and the size they have, equal ones counted as often as they came: it does
/// not depend on which of them met before they were merged.
#[derive(Clone)]
pub(super) struct Histogram(Vec<Count>);

#[derive(Clone, Copy, Default)]
struct Count {
    records: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl Histogram {
    pub(super) fn new() -> Histogram {
        Histogram(vec![Count::default(); COUNT])
    }

    pub(super) fn push(&mut self, bucket: usize, length: usize, arrivals: Arrivals) {
        let bytes = length as u64 * arrivals.copies;
        self.0[bucket].add(Count { records: arrivals.copies, bytes });
    }

    pub(super) fn records(&self, bucket: usize) -> u64 {
        self.0[bucket].records
    }

    pub(super) fn add(&mut self, other: &Histogram) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            count.add(*more);
        }
    }

    /// Cuts all buckets into ranges of at most as many records and bytes, or of one bucket.
    pub(super) fn ranges(&self, records_max: u64, bytes_max: u64) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let (mut start, mut sum) = (0, Count::default());
        for (bucket, count) in self.0.iter().enumerate() {
            let is_full = sum.records + count.records > records_max || sum.bytes + count.bytes > bytes_max;
            if is_full && bucket > start {
                ranges.push(start..bucket);
                (start, sum) = (bucket, Count::default());
            }
            sum.add(*count);
        }
        ranges.push(start..COUNT);
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_buckets_and_keep_the_limits() {
        let mut histogram = Histogram::new();
        for bucket in [0, 0, 5, 7, 7, 7, 9] {
            histogram.push(bucket, 8, Arrivals::once(0));
        }
        assert_eq!(histogram.ranges(3, 1000), [0..7, 7..9, 9..COUNT]);
        assert_eq!(histogram.ranges(1, 1000), [0..1, 1..7, 7..8, 8..COUNT]);
        assert_eq!(histogram.ranges(1000, 24), [0..7, 7..9, 9..COUNT]);
        assert_eq!(histogram.ranges(1000, 1000).len(), 1);
    }
}
