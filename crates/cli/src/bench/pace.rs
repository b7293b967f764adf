//! When calls are due: at once, or on a schedule that does not wait for the server.

use std::time::{Duration, Instant};

/// The schedule of a run.
pub struct Pace {
    start: Instant,
    end: Instant,
    /// `None`: each client calls as soon as it has its answer.
    calls_per_s: Option<f64>,
}

impl Pace {
    pub fn new(start: Instant, lasts: Duration, calls_per_s: Option<f64>) -> Pace {
        Pace { start, end: start + lasts, calls_per_s }
    }

    /// When the call of this number, counted from 0, is due; `None` when the run is over by then.
    ///
    /// A call on a schedule is due whether or not the server keeps up: what it waits for a free client counts.
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 calls")]
    pub fn due(&self, call: u64, now: Instant) -> Option<Instant> {
        let due = match self.calls_per_s {
            None => now,
            Some(rate) => self.start + Duration::from_secs_f64(call as f64 / rate),
        };
        (due < self.end).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_does_not_wait_for_the_server() {
        let start = Instant::now();
        let pace = Pace::new(start, Duration::from_secs(2), Some(100.0));
        let late = start + Duration::from_secs(10);
        assert_eq!(pace.due(0, late), Some(start));
        assert_eq!(pace.due(150, start), Some(start + Duration::from_millis(1500)));
        let due = (0..).map_while(|call| pace.due(call, late)).count();
        assert_eq!(due, 200);
    }

    #[test]
    fn without_a_schedule_calls_go_at_once_until_the_end() {
        let start = Instant::now();
        let pace = Pace::new(start, Duration::from_secs(2), None);
        let late = start + Duration::from_millis(1999);
        assert_eq!(pace.due(1_000_000, late), Some(late));
        assert_eq!(pace.due(0, start + Duration::from_secs(2)), None);
    }
}
