//! How long jobs wait for a store: until they are to stop; and how often they ask again where it refuses.

use std::time::Duration;

use engine::Progress;
use model::error::{Error, ErrorKind, Result};
use tracing::warn;

/// How often somebody looks whether the work is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is being completed is given this time to end when the work is to stop.
const GRACE: Duration = Duration::from_secs(10);
/// After which a refusal is asked again, doubled each time,
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// up to this: about 8 seconds together.
const DELAY_MAX: Duration = Duration::from_secs(4);

/// Lets go of what waits for a store as soon as the work is to stop.
///
/// # Errors
/// Those of the work; `Unavailable` when it was stopped.
pub async fn unless_stopped<T>(progress: &Progress, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        stopped = stopped(progress) => Err(stopped),
    }
}

/// Asks until it is granted, for a while: what is visible of an export already is made whole by the rest alone.
///
/// # Errors
/// Those of the last time; `Unavailable` when the work was stopped.
pub async fn insist<T, F: Future<Output = Result<T>>>(
    progress: &Progress,
    mut ask: impl FnMut() -> F,
) -> Result<T> {
    let mut delay = FIRST_DELAY;
    loop {
        let done = tokio::select! {
            done = ask() => done,
            stopped = async { let cause = stopped(progress).await; tokio::time::sleep(GRACE).await; cause } => Err(stopped),
        };
        match done {
            Err(cause) if is_refusal(&cause) && delay <= DELAY_MAX => {
                warn!(error = %cause.chain(), delay_ms = delay.as_millis(), "a store is asked again");
                unless_stopped(progress, async {
                    tokio::time::sleep(delay).await;
                    Ok(())
                })
                .await?;
                delay *= 2;
            }
            done => return done,
        }
    }
}

// What passes by itself is tried again with the whole job.
fn is_refusal(cause: &Error) -> bool {
    matches!(cause.kind, ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::NotFound)
}

async fn stopped(progress: &Progress) -> Error {
    loop {
        if let Err(stopped) = progress.check() {
            return stopped;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_silent_store_keeps_nobody_who_is_to_stop() {
        let progress = Progress::default();
        progress.stop();
        let silence = std::future::pending::<Result<()>>();
        assert_eq!(unless_stopped(&progress, silence).await.unwrap_err().kind, ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_refusal_is_asked_again_and_a_fault_is_not() {
        let (progress, asked) = (Progress::default(), Cell::new(0));
        let ask = |kind| {
            let asked = &asked;
            move || {
                asked.set(asked.get() + 1);
                let n = asked.get();
                async move { if n < 2 { Err(Error::new(kind, "no")) } else { Ok(n) } }
            }
        };
        assert_eq!(insist(&progress, ask(ErrorKind::Denied)).await.unwrap(), 2);
        asked.set(0);
        assert_eq!(
            insist(&progress, ask(ErrorKind::Unavailable)).await.unwrap_err().kind,
            ErrorKind::Unavailable
        );
    }
}
