//! Attempts to write objects: on record before their first byte, so that clean-up leaves alone what they write.

use std::sync::Arc;

use tracing::warn;

use crate::{POLL, Parts};

/// Ends an attempt: what it wrote and no row names is now rubbish.
///
/// A catalog that takes no changes, on a full disk, is told as soon as it does: until then the rubbish stays, and data
/// deletion jobs wait for the attempt.
pub async fn end(parts: &Arc<Parts>, id: &str) {
    let Err(cause) = parts.catalog.end_attempt(id).await else { return };
    warn!(error = %cause.chain(), "an attempt to write is ended later");
    let (catalog, id) = (parts.catalog.clone(), id.to_owned());
    tokio::spawn(access::about::along(async move {
        loop {
            tokio::time::sleep(POLL).await;
            if catalog.end_attempt(&id).await.is_ok() {
                return;
            }
        }
    }));
}
