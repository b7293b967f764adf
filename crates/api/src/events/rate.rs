//! How many put calls a dataset takes in a second, where quotas say so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{Error, ErrorKind, Result};

/// The calls of the running second, by dataset; a dataset takes puts of one kind only.
#[derive(Default)]
pub struct Rates {
    seconds: Mutex<HashMap<i64, Second>>,
}

struct Second {
    number: i64,
    calls: u32,
}

/// When so many datasets have been seen, those that are quiet are forgotten.
const KNOWN_MAX: usize = 1024;

impl Rates {
    /// Counts a call; without a quota nothing is counted.
    ///
    /// # Errors
    /// `Throttled` when the second has had as many calls as the quota lets be; clients try again by themselves.
    pub fn take(&self, dataset_id: i64, calls_per_s: Option<u32>, now_ms: i64) -> Result<()> {
        let Some(most) = calls_per_s else { return Ok(()) };
        let number = now_ms.div_euclid(1000);
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.len() >= KNOWN_MAX {
            seconds.retain(|_, second| second.number == number);
        }
        let second = seconds.entry(dataset_id).or_insert(Second { number, calls: 0 });
        if second.number != number {
            *second = Second { number, calls: 0 };
        }
        if second.calls >= most {
            return Err(Error::new(ErrorKind::Throttled, format!("Rate exceeded: {most} calls a second.")));
        }
        second.calls += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_as_many_calls_as_the_quota_says() {
        let rates = Rates::default();
        for _ in 0..3 {
            rates.take(1, Some(3), 5_100).unwrap();
        }
        assert_eq!(rates.take(1, Some(3), 5_999).unwrap_err().kind, ErrorKind::Throttled);
        rates.take(2, Some(3), 5_999).unwrap();
        rates.take(1, Some(3), 6_000).unwrap();
        rates.take(1, None, 6_000).unwrap();
    }
}
