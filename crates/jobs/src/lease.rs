//! A lease kept alive while its job runs, and the job stopped when the lease is lost or the server stops.

use std::sync::Arc;
use std::time::Duration;

use catalog::Lease;
use engine::Progress;
use model::ErrorKind;
use tokio::sync::watch;
use tracing::warn;

use crate::Parts;

pub const LEASE_MS: i64 = 30_000;
const RENEW_EVERY: Duration = Duration::from_secs(1);

pub async fn keep(
    parts: Arc<Parts>,
    lease: Lease,
    progress: Arc<Progress>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|is_stopped| *is_stopped) => {
                progress.stop();
                return;
            }
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        let so_far =
            catalog::Progress { rows_done: progress.rows(), rows_total: 0, bytes_done: progress.bytes() };
        match parts.catalog.renew(&lease, LEASE_MS, so_far).await {
            Err(cause) if cause.kind == ErrorKind::InUse => {
                progress.stop();
                return;
            }
            Err(cause) => warn!(job.arn = %lease.arn, error = %cause.chain(), "a lease was not renewed"),
            Ok(()) => {}
        }
    }
}
