//! The webhook: tells another server of every change of a job's state, until it has taken it.
//!
//! An event is a row that the change's own transaction has written, so none is lost in a crash; one whose answer was
//! lost is sent again under the same id.

mod target;

use std::sync::Arc;
use std::time::Duration;

use api::lade::event;
use catalog::{Catalog, Delivery, JobEvent};
use hmac::{Hmac, KeyInit, Mac};
use model::error::Result;
use model::{Clock, Realm};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::measured;
pub use target::{Target, TargetUrl};

/// How often somebody looks whether there is something to send.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// For so long a node sends that was found to be the one.
const DUTY_MS: i64 = 5_000;
/// And for so long, which is long enough for one that is being sent, no other one begins.
const DUTY_LIFE_MS: i64 = 20_000;
const RETRY_MS_MAX: i64 = 300_000;
/// Until here an event is sent again and again.
const GIVE_UP_AFTER_MS: i64 = 24 * 3_600_000;

pub struct Webhook {
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
    pub realm: Realm,
    pub target: Target,
    pub secret: Vec<u8>,
}

impl Webhook {
    /// Sends what waits, one event after the other, until `stop`; jobs wait for none of it.
    pub async fn run(self, stop: CancellationToken) {
        let mut mine_until_ms = i64::MIN;
        while !stop.is_cancelled() {
            match self.is_mine(&mut mine_until_ms).await {
                Ok(true) => {}
                other => {
                    if let Err(cause) = other {
                        warn!(error = %cause.chain(), "the webhook is tried again later");
                    }
                    stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY * 4)).await;
                    continue;
                }
            }
            let sent = match self.catalog.due_delivery().await {
                Ok(Some(event)) => stop.run_until_cancelled(self.deliver(&event)).await,
                Ok(None) => None,
                Err(cause) => Some(Err(cause)),
            };
            match sent {
                Some(Ok(())) => {}
                Some(Err(cause)) => {
                    warn!(error = %cause.chain(), "the webhook is tried again later");
                    stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY * 4)).await;
                }
                None => drop(stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await),
            }
        }
    }

    // Whether it is this node that sends; asked anew long before another one could take over.
    async fn is_mine(&self, until_ms: &mut i64) -> Result<bool> {
        let now_ms = self.clock.now_ms();
        if (until_ms.saturating_sub(DUTY_MS)..*until_ms).contains(&now_ms) {
            return Ok(true);
        }
        let is_mine = self.catalog.take_duty("webhook", DUTY_LIFE_MS).await?;
        if is_mine {
            *until_ms = now_ms + DUTY_MS;
        }
        Ok(is_mine)
    }

    async fn deliver(&self, sent: &JobEvent) -> Result<()> {
        let body = event::body(&self.realm, sent).to_string();
        let timestamp = self.clock.now_ms().div_euclid(1000);
        let headers = [
            ("lade-event-id", event::id(sent)),
            ("lade-timestamp", timestamp.to_string()),
            ("lade-signature", signature(&self.secret, timestamp, &body)),
        ];
        let answered = tokio::time::timeout(ANSWER_MAX, self.target.post(&headers, body)).await;
        let now_ms = self.clock.now_ms();
        let (delivery, answer) = match answered {
            Ok(Ok(status)) if status.is_success() => (Delivery::Delivered, format!("{status}")),
            Ok(Ok(status)) if status.is_redirection() => {
                (Delivery::Waiting, format!("{status}: redirects are not followed"))
            }
            Ok(Ok(status)) => (Delivery::Waiting, format!("{status}")),
            Ok(Err(cause)) => (Delivery::Waiting, cause.message().to_owned()),
            Err(_) => (Delivery::Waiting, format!("no answer within {} s", ANSWER_MAX.as_secs())),
        };
        let is_old = now_ms - sent.created_ms > GIVE_UP_AFTER_MS;
        let delivery = if delivery == Delivery::Waiting && is_old { Delivery::GivenUp } else { delivery };
        let (number, attempts) = (sent.number, sent.attempts + 1);
        measured::delivered(delivery);
        if delivery == Delivery::Delivered {
            info!(job.arn = %sent.job_arn, attempts, "a webhook has taken an event");
        } else {
            warn!(job.arn = %sent.job_arn, attempts, answer, "a webhook has not taken an event");
        }
        let next_ms = now_ms + delay_ms(sent.attempts);
        self.catalog.note_delivery(number, delivery, &answer, next_ms).await
    }
}

// 1 s, 2 s, 4 s … up to five minutes.
fn delay_ms(attempts: u64) -> i64 {
    (1_000_i64 << attempts.min(20)).min(RETRY_MS_MAX)
}

/// `v1=` and the HMAC-SHA256 of time, a point and the body, in lower-case hex.
fn signature(secret: &[u8], timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any size");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_one_time_and_one_body() {
        // printf '5.{}' | openssl dgst -sha256 -hmac key
        let known = "v1=9be615aec64f0d044b5ad6854ab1d893ec88617fb728d2149dcd3a3428e8c45d";
        assert_eq!(signature(b"key", 5, "{}"), known);
        assert_ne!(signature(b"key", 5, "{}"), signature(b"key", 6, "{}"));
        assert_ne!(signature(b"key", 5, "{}"), signature(b"other", 5, "{}"));
    }

    #[test]
    fn attempts_grow_rare() {
        assert_eq!([0, 1, 2, 8, 9, 1000].map(delay_ms), [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
    }
}
