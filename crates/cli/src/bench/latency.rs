//! How long calls took: counts in buckets that are at most 1.6 % wide, whatever the number of calls.

use std::time::Duration;

/// Each doubling of the time is cut into so many buckets.
const STEPS: u64 = 64;
const DOUBLINGS: u64 = 32;

/// Times of calls, to the microsecond below 64 µs and to 1.6 % above.
pub struct Latencies {
    buckets: Vec<u64>,
    calls: u64,
    max_us: u64,
}

impl Latencies {
    pub fn new() -> Latencies {
        let buckets = vec![0; usize::try_from(STEPS * DOUBLINGS).expect("a few thousand")];
        Latencies { buckets, calls: 0, max_us: 0 }
    }

    pub fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let last = self.buckets.len() - 1;
        self.buckets[bucket(us).min(last)] += 1;
        self.calls += 1;
        self.max_us = self.max_us.max(us);
    }

    /// The time in milliseconds that `per_mille` of 1,000 calls did not exceed; 0 without calls.
    pub fn per_mille_ms(&self, per_mille: u64) -> f64 {
        let rank = (self.calls * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        ms(found.map_or(0, upper_us).min(self.max_us))
    }

    pub fn max_ms(&self) -> f64 {
        ms(self.max_us)
    }
}

fn bucket(us: u64) -> usize {
    let doubling = (us / STEPS).checked_ilog2().map_or(0, |log| u64::from(log) + 1);
    let index = match doubling {
        0 => us,
        n => n * STEPS + (us >> (n - 1)) - STEPS,
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

// The largest time that falls into a bucket.
fn upper_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket / STEPS {
        0 => bucket,
        n => ((bucket % STEPS + STEPS + 1) << (n - 1)) - 1,
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds to show")]
fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for us in (0..100_000).chain([1 << 30, (1 << 31) + 12345]) {
            let n = bucket(us);
            assert!(us <= upper_us(n), "{us}");
            assert!(n == 0 || upper_us(n - 1) < us, "{us}");
            assert!(upper_us(n) - us <= us / 64, "{us}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|n| latencies.add(Duration::from_micros(n * 100)));
        for (per_mille, ms) in [(500, 50.0), (990, 99.0), (999, 99.9), (1000, 100.0), (1, 0.1)] {
            let found = latencies.per_mille_ms(per_mille);
            assert!(found >= ms && found <= ms * 1.017, "{per_mille}: {found}");
        }
        assert!((latencies.max_ms() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn without_calls_nothing_took_long() {
        assert!(Latencies::new().per_mille_ms(990).abs() < 1e-9);
    }

    #[test]
    fn a_call_of_days_breaks_nothing() {
        let mut latencies = Latencies::new();
        latencies.add(Duration::from_secs(1 << 40));
        assert!(latencies.per_mille_ms(500) > 1e6);
    }
}
