//! What goes wrong again and again: said when it begins or changes, then once a minute, and when it is over.

use std::collections::HashMap;
use std::hash::Hash;

/// How long the same trouble is not mentioned again.
const AGAIN_AFTER_MS: i64 = 60_000;

/// What was said of the trouble of each, and when.
pub struct Complaints<K>(HashMap<K, Said>);

struct Said {
    text: String,
    at_ms: i64,
}

impl<K: Eq + Hash> Complaints<K> {
    /// Whether this trouble of one is to be said now.
    pub fn is_due(&mut self, of: K, text: &str, now_ms: i64) -> bool {
        // A clock that was set back keeps nothing from being said.
        let is_fresh = |said: &Said| (said.at_ms..said.at_ms + AGAIN_AFTER_MS).contains(&now_ms);
        if self.0.get(&of).is_some_and(|said| said.text == text && is_fresh(said)) {
            return false;
        }
        self.0.insert(of, Said { text: text.to_owned(), at_ms: now_ms });
        true
    }

    /// Whether it was in trouble; it is no longer.
    pub fn ends(&mut self, of: &K) -> bool {
        self.0.remove(of).is_some()
    }

    /// Forgets those that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&K) -> bool) {
        self.0.retain(|of, _| is_there(of));
    }
}

impl<K> Default for Complaints<K> {
    fn default() -> Complaints<K> {
        Complaints(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_said_once_a_minute() {
        let mut complaints = Complaints::default();
        let said: Vec<i64> =
            (0..180).filter(|s| complaints.is_due((), "blocked", 1_000_000 + s * 1000)).collect();
        assert_eq!(said, [0, 60, 120]);
    }

    #[test]
    fn other_trouble_of_others_or_after_an_end_is_said_at_once() {
        let mut complaints = Complaints::default();
        assert!(complaints.is_due(1, "blocked", 0));
        assert!(complaints.is_due(2, "blocked", 1));
        assert!(complaints.is_due(1, "full", 2));
        assert!(!complaints.is_due(1, "full", 3));
        assert!(complaints.ends(&1) && !complaints.ends(&1));
        assert!(complaints.is_due(1, "full", 4));
        assert!(complaints.is_due(1, "full", -1), "the clock was set back");
        complaints.retain(|id| *id == 2);
        assert!(complaints.is_due(1, "full", 0) && !complaints.is_due(2, "blocked", 5));
    }
}
