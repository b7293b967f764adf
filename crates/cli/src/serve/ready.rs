//! Whether this server can do what it is asked: for balancers, which ask without a signature.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::Catalog;
use model::Clock;
use store::objects::bucket::OwnBucket;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::objects;

/// An answer holds for so long, so that nobody can keep the catalog busy by asking.
const KEPT_MS: i64 = 500;
/// The bucket's answer holds for longer: each costs a request.
const STORE_KEPT_MS: i64 = 5_000;
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub struct Ready {
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
    /// Cancelled as soon as the server begins to stop.
    pub stopping: CancellationToken,
    /// Where data lies, if that is a bucket.
    pub bucket: Option<OwnBucket>,
    last: Mutex<Option<(i64, Option<&'static str>)>>,
    /// When the bucket was last asked, and whether it answered.
    store: Mutex<Option<(i64, bool)>>,
}

impl Ready {
    pub fn new(
        catalog: Catalog,
        clock: Arc<dyn Clock>,
        stopping: CancellationToken,
        bucket: Option<OwnBucket>,
    ) -> Ready {
        Ready { catalog, clock, stopping, bucket, last: Mutex::default(), store: Mutex::default() }
    }

    /// The one word that says why it can't; `None` when it can.
    pub async fn reason(&self) -> Option<&'static str> {
        if self.stopping.is_cancelled() {
            return Some("stopping");
        }
        let now_ms = self.clock.now_ms();
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at_ms, reason)) = last
            && (now_ms - at_ms).abs() < KEPT_MS
        {
            return reason;
        }
        let reason = self.look().await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now_ms, reason));
        reason
    }

    async fn look(&self) -> Option<&'static str> {
        match timeout(ANSWER_MAX, self.catalog.is_alive()).await {
            Ok(Ok(true)) => (!self.store_answers().await).then_some("objects"),
            Ok(Ok(false)) => Some("session"),
            Ok(Err(_)) | Err(_) => Some("catalog"),
        }
    }

    async fn store_answers(&self) -> bool {
        let Some(bucket) = &self.bucket else { return true };
        let now_ms = self.clock.now_ms();
        let last = *self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at_ms, true)) = last
            && (now_ms - at_ms).abs() < STORE_KEPT_MS
        {
            return true;
        }
        let answers = timeout(ANSWER_MAX, objects::answers(bucket)).await.unwrap_or(false);
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some((now_ms, answers));
        answers
    }
}
