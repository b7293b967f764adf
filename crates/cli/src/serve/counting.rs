//! Writes down now and then how many records were put, and once more in the end.

use std::sync::Arc;
use std::time::Duration;

use api::Api;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A crash loses the counts of this long, at most.
const EVERY: Duration = Duration::from_secs(10);

pub async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut is_failing = false;
    loop {
        let is_last = tokio::select! {
            () = stop.cancelled() => true,
            () = sleep(EVERY) => false,
        };
        let written = api.write_put_counts().await;
        // A disk that stays full is told of once.
        match &written {
            Ok(()) if is_failing => info!("the counts of puts are written again"),
            Err(cause) if !is_failing || is_last => {
                warn!(error = %cause.chain(), "the counts of puts are written later");
            }
            _ => {}
        }
        is_failing = written.is_err();
        if is_last {
            return;
        }
    }
}
