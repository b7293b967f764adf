//! A lease kept alive while its job runs, and the job stopped when the lease is lost, the job cancelled or the server stops.

use std::sync::Arc;
use std::time::Duration;

use catalog::Lease;
use engine::Progress;
use model::ErrorKind;
use tokio::sync::watch;
use tracing::warn;

use crate::Parts;

pub const LEASE_MS: i64 = 30_000;
/// How often somebody looks whether the job was cancelled: a read of one row.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The lease is renewed, and the progress written down, every so many looks.
const RENEW_EVERY: u32 = 4;
/// What is done in a shorter time tells nothing of the rest.
const ETA_AFTER_MS: i64 = 1_000;

pub async fn keep(
    parts: Arc<Parts>,
    lease: Lease,
    progress: Arc<Progress>,
    mut stopped: watch::Receiver<bool>,
) {
    let began_ms = parts.clock.now_ms();
    for look in 1_u32.. {
        tokio::select! {
            _ = stopped.wait_for(|is_stopped| *is_stopped) => {
                progress.stop();
                return;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match parts.catalog.cancelled_by(&lease.arn).await {
            Ok(Some(_)) => progress.stop(),
            Ok(None) => {}
            Err(cause) => warn!(job.arn = %lease.arn, error = %cause.chain(), "a job's row was not read"),
        }
        if look.is_multiple_of(RENEW_EVERY) && !renew(&parts, &lease, &progress, began_ms).await {
            progress.stop();
            return;
        }
    }
}

// False: the lease was lost.
async fn renew(parts: &Parts, lease: &Lease, progress: &Progress, began_ms: i64) -> bool {
    let eta_s = eta_s(progress.share(), parts.clock.now_ms() - began_ms);
    match parts.catalog.renew(lease, LEASE_MS, so_far(progress, eta_s)).await {
        Err(cause) if cause.kind == ErrorKind::InUse => return false,
        Err(cause) => warn!(job.arn = %lease.arn, error = %cause.chain(), "a lease was not renewed"),
        Ok(()) => {}
    }
    true
}

/// How far the work is, as the job's row holds it.
pub fn so_far(progress: &Progress, eta_s: Option<u64>) -> catalog::Progress {
    catalog::Progress {
        rows_done: progress.rows(),
        rows_total: progress.rows_total(),
        bytes_done: progress.bytes(),
        bytes_total: progress.bytes_total(),
        eta_s,
    }
}

// The rest takes as long as what is done did, in proportion.
fn eta_s(share: Option<f64>, took_ms: i64) -> Option<u64> {
    let share = share.filter(|share| *share > 0.0 && took_ms >= ETA_AFTER_MS)?;
    let left_ms = took_ms as f64 * (1.0 - share.min(1.0)) / share;
    Some((left_ms / 1_000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::eta_s;

    #[test]
    fn the_rest_takes_as_long_in_proportion() {
        assert_eq!(eta_s(Some(0.25), 2_000), Some(6));
        assert_eq!(eta_s(Some(1.0), 2_000), Some(0));
    }

    #[test]
    fn what_just_began_tells_nothing() {
        assert_eq!(eta_s(None, 60_000), None);
        assert_eq!(eta_s(Some(0.0), 60_000), None);
        assert_eq!(eta_s(Some(0.5), 999), None);
    }
}
