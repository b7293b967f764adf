//! For how long calls are sent again: as long as the server acknowledges calls at all.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::Clock;
use model::clock::SystemClock;
use model::error::ErrorKind;

/// For how long nothing may be acknowledged when the server asks to send again,
const THROTTLED: Duration = Duration::from_secs(60);
/// and when it does not answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Waiting before a call is sent again begins with this, and doubles.
const WAIT: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What all connections know of the server's progress.
pub struct Patience {
    /// When any call was acknowledged last.
    last: Mutex<Instant>,
}

/// How long a call waits before it is sent again.
pub struct Wait(Duration);

impl Patience {
    pub fn new(now: Instant) -> Patience {
        Patience { last: Mutex::new(now) }
    }

    pub fn acknowledged(&self, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Whether a call that was first sent at `begun` and has just failed for a reason of this kind is sent again. Under
    /// quotas others may be served before it for long; it is given up when nobody is.
    pub fn lasts(&self, kind: ErrorKind, begun: Instant, now: Instant) -> bool {
        let limit = match kind {
            ErrorKind::Throttled => THROTTLED,
            ErrorKind::Unavailable => SILENCE,
            _ => return false,
        };
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(begun.max(last)) < limit
    }
}

impl Wait {
    pub fn new() -> Wait {
        Wait(WAIT)
    }

    /// The time to wait now: between half and all of it by chance, so that connections do not come back all at once.
    pub fn time(&mut self) -> Duration {
        let mut chance = [0];
        SystemClock.fill(&mut chance);
        let time = self.0 / 2 + self.0 * u32::from(chance[0]) / 510;
        self.0 = (self.0 * 2).min(WAIT_MAX);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_sent_again_while_any_other_is_acknowledged() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let patience = Patience::new(begun);
        let throttled = |first, now| patience.lasts(ErrorKind::Throttled, at(first), at(now));
        assert!(throttled(0, 59) && !throttled(0, 60));
        // One that has waited for minutes goes on when another one was served just now.
        patience.acknowledged(at(590));
        assert!(throttled(0, 600) && throttled(0, 649) && !throttled(0, 650));
        // It counts from its own beginning when nothing was to be acknowledged before.
        assert!(throttled(1_000, 1_059) && !throttled(1_000, 1_060));
        assert!(patience.lasts(ErrorKind::Unavailable, at(0), at(619)));
        assert!(!patience.lasts(ErrorKind::Unavailable, at(0), at(620)));
        assert!(!patience.lasts(ErrorKind::Denied, at(0), at(590)));
    }

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let (mut one, mut other) = (Wait::new(), Wait::new());
        let waits: Vec<_> = (0..40).map(|_| (one.time(), other.time())).collect();
        assert!(waits[0].0 >= WAIT / 2 && waits[0].0 <= WAIT);
        assert!(waits[10..].iter().all(|(wait, _)| *wait >= WAIT_MAX / 2 && *wait <= WAIT_MAX));
        assert!(waits.iter().any(|(one, other)| one != other));
    }
}
