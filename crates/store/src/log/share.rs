//! How much of the queue each dataset holds: whoever puts much is refused before whoever puts little.

use std::collections::HashMap;

/// The part of the queue up to which a dataset holds little.
const LITTLE: usize = 64;
/// The part that is set aside for such datasets.
const SET_ASIDE: usize = 4;

/// Bytes of calls without an answer, altogether and by dataset.
///
/// A dataset may hold as much as is left free when its call is in, so that those that flood the queue end up with equal
/// shares, and nobody has to know how many there are. A quarter is set aside for datasets that hold little.
pub(super) struct Shares {
    bytes_max: usize,
    bytes: usize,
    /// No entry is 0, so there are at most as many as calls.
    held: HashMap<u64, usize>,
}

impl Shares {
    pub(super) fn new(bytes_max: usize) -> Shares {
        Shares { bytes_max, bytes: 0, held: HashMap::new() }
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes room for a call; false when there is none for this dataset. An empty queue takes what fits at all.
    pub(super) fn take(&mut self, dataset_id: u64, size: usize) -> bool {
        let Some(free) = self.bytes_max.checked_sub(self.bytes + size) else { return false };
        let held = self.held.get(&dataset_id).copied().unwrap_or_default() + size;
        let is_little = held <= self.bytes_max / LITTLE;
        if !is_little && held > free.saturating_sub(self.bytes_max / SET_ASIDE) && self.bytes > 0 {
            return false;
        }
        self.bytes += size;
        self.held.insert(dataset_id, held);
        true
    }

    /// Gives the room of a call back.
    pub(super) fn give_back(&mut self, dataset_id: u64, size: usize) {
        self.bytes -= size;
        let held = self.held.get_mut(&dataset_id).expect("what is given back was taken");
        *held -= size;
        if *held == 0 {
            self.held.remove(&dataset_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes calls of one size until one is refused; how many were taken.
    fn flood(shares: &mut Shares, dataset_id: u64, size: usize) -> usize {
        (0..).take_while(|_| shares.take(dataset_id, size)).count()
    }

    #[test]
    fn one_dataset_alone_fills_half_of_what_is_not_set_aside() {
        assert_eq!(flood(&mut Shares::new(1000), 1, 5), 75);
    }

    #[test]
    fn floods_leave_room_for_whoever_puts_little() {
        let mut shares = Shares::new(100_000);
        for flooding in 1..=10 {
            flood(&mut shares, flooding, 100);
        }
        for quiet in 100..115 {
            assert!((0..10).all(|_| shares.take(quiet, 30)), "{quiet}");
        }
        assert!(!shares.take(1, 100));
    }

    #[test]
    fn floods_that_last_end_up_with_equal_shares() {
        let mut shares = Shares::new(4000);
        let mut held = [flood(&mut shares, 0, 10), 0];
        // Whoever was answered tries again at once, as does the other one.
        for round in 0..1000 {
            let of = round % 2;
            if held[of] > 0 {
                shares.give_back(of as u64, 10);
                held[of] -= 1;
            }
            for of in [of, 1 - of] {
                held[of] += flood(&mut shares, of as u64, 10);
            }
        }
        assert!(held.iter().all(|&calls| (95..=105).contains(&calls)), "{held:?}");
    }

    #[test]
    fn an_empty_queue_takes_what_fits_at_all() {
        let mut shares = Shares::new(1000);
        assert!(!shares.take(1, 1001));
        assert!(shares.take(1, 1000));
        assert!(!shares.take(2, 1));
        shares.give_back(1, 1000);
        assert!(shares.take(2, 1));
    }

    #[test]
    fn nothing_is_kept_of_a_dataset_without_calls() {
        let mut shares = Shares::new(1 << 20);
        for dataset_id in 0..1000 {
            assert!(shares.take(dataset_id, 5));
            shares.give_back(dataset_id, 5);
        }
        assert!(shares.held.is_empty() && shares.bytes == 0);
    }
}
