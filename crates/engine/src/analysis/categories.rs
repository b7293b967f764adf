//! The values that come most often in a column of categories.

use std::collections::HashMap;

/// Counts values within a bound of memory: beyond it the rare ones are let go, and with them a little of each count.
#[derive(Clone, Debug)]
pub struct Categories {
    counts: HashMap<Box<str>, u64>,
    bytes: usize,
    bytes_max: usize,
    /// What each count may be too low by.
    error: u64,
}

/// What a value takes beside its text.
const ENTRY_BYTES: usize = 64;

impl Categories {
    pub fn new(bytes_max: usize) -> Categories {
        Categories { counts: HashMap::new(), bytes: 0, bytes_max, error: 0 }
    }

    pub fn add(&mut self, value: &str, count: u64) {
        match self.counts.get_mut(value) {
            Some(known) => *known += count,
            None => {
                self.bytes += value.len() + ENTRY_BYTES;
                self.counts.insert(value.into(), count);
                if self.bytes > self.bytes_max {
                    self.let_go();
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Categories) {
        self.error += other.error;
        for (value, count) in &other.counts {
            self.add(value, *count);
        }
    }

    pub fn is_exact(&self) -> bool {
        self.error == 0
    }

    /// The `most` values that came most often and how often, the first of them first.
    pub fn top(&self, most: usize) -> Vec<(String, u64)> {
        let mut all: Vec<(&str, u64)> = self.counts.iter().map(|(value, count)| (&**value, *count)).collect();
        all.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        all.into_iter().take(most).map(|(value, count)| (value.to_owned(), count)).collect()
    }

    // Takes the middle count off each: half of the values or more are then gone.
    fn let_go(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, &mut off, _) = counts.select_nth_unstable(middle);
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(off);
            *count > 0
        });
        self.error += off;
        self.bytes = self.counts.keys().map(|value| value.len() + ENTRY_BYTES).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_that_come_most_often_come_first_and_equals_by_their_text() {
        let mut categories = Categories::new(1 << 20);
        for value in ["b", "a", "c", "c", "a", "b", "c", "d"] {
            categories.add(value, 1);
        }
        let top = categories.top(3);
        assert_eq!(top, [("c".into(), 3), ("a".into(), 2), ("b".into(), 2)]);
        assert!(categories.is_exact());
    }

    #[test]
    fn frequent_values_stay_when_memory_is_short_and_counts_are_low_by_no_more_than_is_said() {
        let (mut parts, mut whole) = (Vec::new(), Categories::new(40 * 70));
        for part in 0..4 {
            let mut one = Categories::new(40 * 70);
            for n in 0..1_000 {
                one.add("often", 1);
                one.add(&format!("{part}-{n}"), 1);
            }
            parts.push(one);
        }
        parts.iter().for_each(|part| whole.merge(part));
        let (value, count) = &whole.top(1)[0];
        assert!(!whole.is_exact());
        assert_eq!(value, "often");
        assert!(*count <= 4_000 && count + whole.error >= 4_000, "{count} + {}", whole.error);
        assert!(whole.bytes <= 40 * 70);
    }
}
