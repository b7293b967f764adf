//! Hashes of values, with how often each came: all of them while they fit, then a sample that tells the rest.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The hashes that came and how often: all, or those that end in `level` zero bits, which is one of 2^`level`.
///
/// What a sample holds depends on what was added alone, whatever the order and however many threads shared the work.
#[derive(Clone, Debug)]
pub struct Sample {
    counts: HashMap<u64, u64, BuildHasherDefault<Folding>>,
    level: u32,
    entries_max: usize,
}

/// How much of one sample another one lacks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lack {
    /// Of the values, a share from 0 to 1.
    pub of_values: f64,
    /// Of the records that have them, a share from 0 to 1.
    pub of_records: f64,
    pub is_estimate: bool,
}

impl Sample {
    pub fn new(entries_max: usize) -> Sample {
        Sample { counts: HashMap::default(), level: 0, entries_max }
    }

    #[inline]
    pub fn add(&mut self, hash: u64, count: u64) {
        if hash.trailing_zeros() < self.level {
            return;
        }
        *self.counts.entry(hash).or_insert(0) += count;
        if self.counts.len() > self.entries_max {
            self.thin();
        }
    }

    pub fn merge(&mut self, other: &Sample) {
        if other.level > self.level {
            self.go_to(other.level);
        }
        for (hash, count) in &other.counts {
            self.add(*hash, *count);
        }
    }

    /// Whether it holds everything, so that what it tells is exact (but for equal hashes of 64 bits).
    pub fn is_exact(&self) -> bool {
        self.level == 0
    }

    /// How many different values came.
    pub fn distinct(&self) -> u64 {
        (self.counts.len() as u64) << self.level
    }

    /// What of this sample is not in `other`; nothing of an empty one.
    pub fn lack(&self, other: &Sample) -> Lack {
        let level = self.level.max(other.level);
        let (mut values, mut records, mut values_lacking, mut records_lacking) = (0_u64, 0_u64, 0_u64, 0_u64);
        for (hash, count) in self.counts.iter().filter(|(hash, _)| hash.trailing_zeros() >= level) {
            (values, records) = (values + 1, records + count);
            if !other.counts.contains_key(hash) {
                (values_lacking, records_lacking) = (values_lacking + 1, records_lacking + count);
            }
        }
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Lack {
            of_values: share(values_lacking, values),
            of_records: share(records_lacking, records),
            is_estimate: level > 0,
        }
    }

    fn thin(&mut self) {
        while self.counts.len() > self.entries_max {
            self.go_to(self.level + 1);
        }
    }

    fn go_to(&mut self, level: u32) {
        self.level = level;
        self.counts.retain(|hash, _| hash.trailing_zeros() >= level);
    }
}

/// Spreads the bits of what is a hash already, but whose first bits may be those of a range and whose last ones zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = fold(hash);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = fold(self.0 ^ u64::from(*byte)));
    }
}

/// A number whose bits all depend on all bits of another one.
#[inline]
pub fn fold(number: u64) -> u64 {
    let product = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    let once = (product as u64) ^ ((product >> 64) as u64);
    let product = u128::from(once) * 0xa076_1d64_78bd_642f;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(entries_max: usize, numbers: impl Iterator<Item = u64>) -> Sample {
        let mut sample = Sample::new(entries_max);
        numbers.for_each(|n| sample.add(fold(n), 1));
        sample
    }

    #[test]
    fn what_fits_is_exact() {
        let small = sample(100, (0..100).chain(0..50));
        assert!(small.is_exact());
        assert_eq!(small.distinct(), 100);
        assert_eq!(small.counts.values().sum::<u64>(), 150);
    }

    #[test]
    fn what_does_not_fit_is_told_to_a_few_percent() {
        for n in [10_000_u64, 300_000] {
            let large = sample(4096, 0..n);
            assert!(!large.is_exact() && large.counts.len() <= 4096);
            let off = large.distinct().abs_diff(n) as f64 / n as f64;
            assert!(off < 0.08, "{n}: {}", large.distinct());
        }
    }

    #[test]
    fn parts_come_to_the_same_as_the_whole() {
        for n in [50_u64, 5_000] {
            let whole = sample(300, 0..n);
            let mut merged = sample(300, (0..n).filter(|k| k % 3 == 0));
            merged.merge(&sample(300, (0..n).filter(|k| k % 3 == 1)));
            merged.merge(&sample(300, (0..n).filter(|k| k % 3 == 2)));
            assert_eq!((merged.level, &merged.counts), (whole.level, &whole.counts));
        }
    }

    #[test]
    fn what_is_lacking_is_told_in_values_and_in_records() {
        let mut asked = sample(100, 0..10);
        asked.add(fold(9), 10);
        let lack = asked.lack(&sample(100, 0..8));
        assert_eq!(lack, Lack { of_values: 0.2, of_records: 0.6, is_estimate: false });
        let nothing = Sample::new(10);
        assert_eq!(nothing.lack(&asked).of_values, 0.0);
        assert_eq!(asked.lack(&nothing).of_values, 1.0);
    }

    #[test]
    fn what_is_lacking_of_many_is_estimated() {
        let lack = sample(4096, 0..100_000).lack(&sample(2048, 30_000..200_000));
        assert!(lack.is_estimate && (lack.of_values - 0.3).abs() < 0.05, "{lack:?}");
    }
}
