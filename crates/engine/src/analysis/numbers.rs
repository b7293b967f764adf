//! The numbers of a column: their range, their quartiles, and how many lie far outside.

use std::cmp::Ordering;

/// Takes the numbers of a column: the range is exact; quartiles are those of all numbers while they fit, then those of
/// a sample of the rows.
#[derive(Clone, Debug)]
pub struct Numbers {
    count: u64,
    range: Option<(f64, f64)>,
    /// The range of whole numbers, which may have more digits than a fraction.
    whole_range: Option<(i64, i64)>,
    /// Numbers with the keys of their rows, of those rows whose key ends in `level` zero bits.
    sample: Vec<(u64, f64)>,
    level: u32,
    sample_max: usize,
    lowest: Extremes,
    highest: Extremes,
}

/// The quartiles of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quartiles {
    pub values: [f64; 3],
    pub is_estimate: bool,
}

/// The numbers beyond three times the distance of the quartiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outliers {
    pub count: u64,
    pub is_estimate: bool,
    /// Numbers below are outliers,
    pub low: f64,
    /// and numbers above.
    pub high: f64,
}

/// How many distances of the quartiles a number may lie beyond them. Source: Tukey's outer fences.
const FENCE: f64 = 3.0;

impl Numbers {
    pub fn new(sample_max: usize) -> Numbers {
        Numbers {
            count: 0,
            range: None,
            whole_range: None,
            sample: Vec::new(),
            level: 0,
            sample_max,
            lowest: Extremes::default(),
            highest: Extremes::default(),
        }
    }

    pub fn add_whole(&mut self, key: u64, number: i64) {
        let (low, high) = self.whole_range.unwrap_or((number, number));
        self.whole_range = Some((low.min(number), high.max(number)));
        self.add(key, number as f64);
    }

    /// Takes a number of the row that has this key; rows have keys of random bits.
    pub fn add(&mut self, key: u64, number: f64) {
        if !number.is_finite() {
            return;
        }
        let (low, high) = self.range.unwrap_or((number, number));
        self.range = Some((low.min(number), high.max(number)));
        self.count += 1;
        self.lowest.add(-number);
        self.highest.add(number);
        if key.trailing_zeros() >= self.level {
            self.sample.push((key, number));
            self.thin();
        }
    }

    pub fn merge(&mut self, other: &Numbers) {
        self.count += other.count;
        self.range = joined(self.range, other.range);
        self.whole_range = joined(self.whole_range, other.whole_range);
        self.lowest.merge(&other.lowest);
        self.highest.merge(&other.highest);
        if other.level > self.level {
            self.go_to(other.level);
        }
        let level = self.level;
        self.sample.extend(other.sample.iter().filter(|(key, _)| key.trailing_zeros() >= level));
        self.thin();
    }

    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// The range of a column of whole numbers.
    pub fn whole_range(&self) -> Option<(i64, i64)> {
        self.whole_range
    }

    /// The quartiles, between two numbers in proportion; `None` where there is no number.
    pub fn quartiles(&self) -> Option<Quartiles> {
        let sorted = self.sorted();
        let values = [at(&sorted, 0.25)?, at(&sorted, 0.5)?, at(&sorted, 0.75)?];
        Some(Quartiles { values, is_estimate: self.level > 0 })
    }

    /// How many numbers are outliers; none where the quartiles are one, and so tell nothing of the distance.
    pub fn outliers(&self) -> Option<Outliers> {
        let Quartiles { values: [first, _, third], is_estimate } = self.quartiles()?;
        let distance = third - first;
        if distance <= 0.0 {
            return None;
        }
        let (low, high) = (first - FENCE * distance, third + FENCE * distance);
        let beyond = |is_beyond: &dyn Fn(f64) -> bool, extremes: &Extremes, fence: f64| {
            let sampled = self.sample.iter().filter(|(_, number)| is_beyond(*number)).count() as u64;
            match extremes.beyond(fence) {
                _ if self.level == 0 => sampled,
                Some(counted) => counted,
                None => (sampled << self.level).min(self.count),
            }
        };
        let count = beyond(&|number| number < low, &self.lowest, -low)
            + beyond(&|number| number > high, &self.highest, high);
        Some(Outliers { count, is_estimate, low, high })
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.sample.iter().map(|(_, number)| *number).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }

    fn thin(&mut self) {
        while self.sample.len() > self.sample_max {
            self.go_to(self.level + 1);
        }
    }

    fn go_to(&mut self, level: u32) {
        self.level = level;
        self.sample.retain(|(key, _)| key.trailing_zeros() >= level);
    }
}

fn joined<T: PartialOrd + Copy>(a: Option<(T, T)>, b: Option<(T, T)>) -> Option<(T, T)> {
    let ((low_a, high_a), (low_b, high_b)) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.or(b),
    };
    let low = if low_a.partial_cmp(&low_b) == Some(Ordering::Greater) { low_b } else { low_a };
    let high = if high_a.partial_cmp(&high_b) == Some(Ordering::Less) { high_b } else { high_a };
    Some((low, high))
}

// The number at a part of the way from the first to the last.
fn at(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// The largest of many numbers.
#[derive(Clone, Debug, Default)]
struct Extremes {
    kept: Vec<f64>,
    /// Numbers up to here were let go; nothing before one was.
    let_go: Option<f64>,
}

const EXTREMES: usize = 256;

impl Extremes {
    #[inline]
    fn add(&mut self, number: f64) {
        if self.let_go.is_some_and(|most| number <= most) {
            return;
        }
        self.kept.push(number);
        if self.kept.len() == 2 * EXTREMES {
            self.halve();
        }
    }

    fn merge(&mut self, other: &Extremes) {
        for number in &other.kept {
            self.add(*number);
        }
        if let Some(most) = other.let_go {
            self.let_go = Some(self.let_go.map_or(most, |known| known.max(most)));
        }
    }

    /// How many numbers are larger than a fence; `None` where some of them may have been let go.
    fn beyond(&self, fence: f64) -> Option<u64> {
        let is_known = self.let_go.is_none_or(|most| most <= fence);
        is_known.then(|| self.kept.iter().filter(|number| **number > fence).count() as u64)
    }

    fn halve(&mut self) {
        let (_, most, _) = self.kept.select_nth_unstable_by(EXTREMES, |a, b| b.total_cmp(a));
        self.let_go = Some(*most);
        self.kept.truncate(EXTREMES);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::fold;
    use super::*;

    fn numbers(sample_max: usize, values: impl Iterator<Item = f64>) -> Numbers {
        let mut numbers = Numbers::new(sample_max);
        values.enumerate().for_each(|(n, value)| numbers.add(fold(n as u64), value));
        numbers
    }

    #[test]
    fn quartiles_of_what_fits_are_exact() {
        let few = numbers(100, [4.0, 1.0, 3.0, 2.0].into_iter());
        assert_eq!(few.quartiles(), Some(Quartiles { values: [1.75, 2.5, 3.25], is_estimate: false }));
        assert_eq!(few.range(), Some((1.0, 4.0)));
        assert_eq!(numbers(100, std::iter::empty()).quartiles(), None);
        assert_eq!(numbers(1, [7.0].into_iter()).quartiles().unwrap().values, [7.0; 3]);
    }

    #[test]
    fn quartiles_of_many_are_told_to_a_few_percent() {
        let many = numbers(4_096, (0..100_000).map(f64::from));
        let quartiles = many.quartiles().unwrap();
        assert!(quartiles.is_estimate && many.sample.len() <= 4_096);
        for (value, right) in quartiles.values.into_iter().zip([25e3, 50e3, 75e3]) {
            assert!((value - right).abs() < 4e3, "{value} for {right}");
        }
    }

    #[test]
    fn whole_numbers_keep_their_digits() {
        let mut numbers = Numbers::new(10);
        numbers.add_whole(1, i64::MAX);
        numbers.add_whole(2, i64::MAX - 1);
        assert_eq!(numbers.whole_range(), Some((i64::MAX - 1, i64::MAX)));
    }

    #[test]
    fn a_number_is_an_outlier_beyond_three_distances_of_the_quartiles() {
        // 1 … 9: quartiles 3 and 7 and so fences -9 and 19.
        let with = |more: &[f64]| numbers(100, (1..=9).map(f64::from).chain(more.iter().copied())).outliers();
        assert_eq!(with(&[]).unwrap(), Outliers { count: 0, is_estimate: false, low: -9.0, high: 19.0 });
        assert_eq!(with(&[-100.0, 100.0]).unwrap().count, 2);
        assert_eq!(numbers(100, [5.0, 5.0, 5.0, 5.0, 5.0, 99.0].into_iter()).outliers(), None);
    }

    #[test]
    fn few_outliers_of_many_numbers_are_counted_and_many_are_estimated() {
        let base = || (0..100_000).map(|n| f64::from(n % 1_000));
        let few = numbers(1_000, base().chain([1e6, 2e6, -1e6])).outliers().unwrap();
        assert_eq!((few.count, few.is_estimate), (3, true));
        let many = numbers(1_000, base().chain((0..20_000).map(|_| 1e6))).outliers().unwrap();
        assert!((15_000..25_000).contains(&many.count), "{many:?}");
    }

    #[test]
    fn parts_come_to_the_same_as_the_whole() {
        for many in [50_u64, 5_000] {
            let part = |k: u64| {
                let mut part = Numbers::new(200);
                (0..many).filter(|n| n % 3 == k).for_each(|n| part.add_whole(fold(n), n as i64));
                part
            };
            let mut merged = part(0);
            merged.merge(&part(1));
            merged.merge(&part(2));
            let mut whole = Numbers::new(200);
            (0..many).for_each(|n| whole.add_whole(fold(n), n as i64));
            assert_eq!(merged.quartiles(), whole.quartiles());
            assert_eq!(merged.outliers(), whole.outliers());
            assert_eq!((merged.range(), merged.whole_range()), (whole.range(), whole.whole_range()));
        }
    }
}
