//! Work that one node at a time should do.

use model::error::Result;
use tracing::warn;

use crate::Parts;

/// So long a node has a duty at most that it took for one piece of work; it ends with the node if that dies.
const LIFE_MS: i64 = 600_000;

/// Does what one node at a time should do; `None` when another one is at it.
pub async fn alone<T>(parts: &Parts, duty: &str, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    if !parts.catalog.take_duty(duty, LIFE_MS).await? {
        return Ok(None);
    }
    let done = work.await;
    if let Err(cause) = parts.catalog.leave_duty(duty).await {
        warn!(duty, error = %cause.chain(), "a duty was not given up");
    }
    done.map(Some)
}
