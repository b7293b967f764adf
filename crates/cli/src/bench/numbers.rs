//! Sets of numbers that count up from 0, a bit for each.

#[derive(Clone, Default)]
pub struct Numbers {
    words: Vec<u64>,
    count: u64,
}

impl Numbers {
    /// Adds a number; false when it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    pub fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

fn place(number: u64) -> (usize, u64) {
    (usize::try_from(number / 64).unwrap_or(usize::MAX), 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_counted_once() {
        let mut numbers = Numbers::default();
        assert!(numbers.insert(0) && numbers.insert(63) && numbers.insert(64) && numbers.insert(1000));
        assert!(!numbers.insert(63));
        assert_eq!(numbers.count(), 4);
        assert!(numbers.contains(64) && !numbers.contains(65) && !numbers.contains(u64::MAX / 128));
    }
}
