//! Trying again what a service refuses for the moment only.

use std::future::Future;
use std::time::Duration;

use model::error::{Error, ErrorKind, Result};
use tokio::time::{sleep, timeout};

/// How often a call is made that is throttled, and one that is not answered.
const THROTTLED_TRIES: u32 = 40;
const SILENT_TRIES: u32 = 7;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(120);
/// A service that has no room for a job is asked for so long: exports of an account may stand in a queue.
const ROOM: Duration = Duration::from_secs(24 * 3600);

/// Pauses that grow: 100 ms at first, 15 s in the end.
pub struct Pauses(Duration);

impl Pauses {
    pub fn new() -> Pauses {
        Pauses(PAUSE_FIRST)
    }

    pub async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(PAUSE_LONGEST);
    }
}

/// Makes a call until it is answered, or refused for good.
///
/// # Errors
/// The last refusal.
pub async fn patiently<T, F: Future<Output = Result<T>>>(mut call: impl FnMut() -> F) -> Result<T> {
    let mut pauses = Pauses::new();
    let mut tries = 1;
    loop {
        let silent = |_| Err(Error::unavailable("no answer came within two minutes"));
        match timeout(ANSWER, call()).await.unwrap_or_else(silent) {
            Err(cause) if tries < tries_max(cause.kind) => pauses.pause().await,
            answer => return answer,
        }
        tries += 1;
    }
}

fn tries_max(kind: ErrorKind) -> u32 {
    match kind {
        ErrorKind::Throttled => THROTTLED_TRIES,
        ErrorKind::Unavailable => SILENT_TRIES,
        _ => 1,
    }
}

/// As `patiently`, and waits for room where a quota is used up or the resource is busy.
///
/// # Errors
/// The last refusal; that there is no room after a day.
pub async fn when_there_is_room<T, F: Future<Output = Result<T>>>(
    mut call: impl FnMut() -> F,
    waiting: impl Fn(&Error),
) -> Result<T> {
    let mut pauses = Pauses::new();
    let begun = tokio::time::Instant::now();
    let mut is_told = false;
    loop {
        match patiently(&mut call).await {
            Err(cause)
                if matches!(cause.kind, ErrorKind::LimitExceeded | ErrorKind::InUse)
                    && begun.elapsed() < ROOM =>
            {
                if !std::mem::replace(&mut is_told, true) {
                    waiting(&cause);
                }
                pauses.pause().await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn calls_until(refusals: u32, kind: ErrorKind) -> (bool, u32) {
        let calls = AtomicU32::new(0);
        let answer = when_there_is_room(
            || async {
                match calls.fetch_add(1, Ordering::Relaxed) {
                    made if made < refusals => Err(Error::new(kind, "not now")),
                    _ => Ok(()),
                }
            },
            |_| {},
        );
        (answer.await.is_ok(), calls.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_passes_is_waited_for_and_nothing_else() {
        assert_eq!(calls_until(2, ErrorKind::Throttled).await, (true, 3));
        assert_eq!(calls_until(2, ErrorKind::LimitExceeded).await, (true, 3));
        assert_eq!(calls_until(100, ErrorKind::Unavailable).await, (false, SILENT_TRIES));
        assert_eq!(calls_until(1, ErrorKind::Denied).await, (false, 1));
    }
}
