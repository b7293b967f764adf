//! Deliveries: which events went to the webhook, and what came of sending them.

use catalog::{Delivery, JobEvent};
use model::{Arn, Error, ErrorKind, Result};
use serde::Serialize;

use super::event::{id, rfc3339};
use super::job;
use crate::call::Call;
use crate::data_deletion_job;
use crate::door::Api;
use crate::reply::{Answer, Failure};

/// How many are shown at once, and looked at for them.
const PAGE: u32 = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    deliveries: Vec<Shown>,
    /// What `before` is set to for the ones before these.
    next_before: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    number: i64,
    event_id: String,
    job_arn: Arn,
    status: &'static str,
    delivery: &'static str,
    attempts: u64,
    /// What came of the last attempt.
    answer: Option<String>,
    created_at: String,
    next_attempt_at: Option<String>,
    delivered_at: Option<String>,
}

/// Shows deliveries of jobs that the caller may describe, newest first.
pub async fn list(api: &Api, call: &Call) -> Answer<Listed> {
    let before = before(call.query.as_deref())?;
    let events = api.catalog.deliveries(before, PAGE).await?;
    let next_before =
        (events.len() == PAGE as usize).then(|| events.last().map(|event| event.number)).flatten();
    let mut deliveries = Vec::new();
    for event in &events {
        match job::authorize(api, call, &event.job_arn).await {
            Ok(()) => deliveries.extend(show(event)),
            Err(Failure::Error(cause)) if cause.kind == ErrorKind::Denied => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(Listed { deliveries, next_before })
}

fn before(query: Option<&str>) -> Result<i64> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(i64::MAX) };
    let number = query.strip_prefix("before=").and_then(|number| number.parse().ok());
    number.ok_or_else(|| Error::invalid("The only parameter is before, the number of a delivery."))
}

fn show(event: &JobEvent) -> Option<Shown> {
    let delivery = event.delivery?;
    let is_deletion = event.kind == catalog::JobKind::Deletion;
    let is_waiting = delivery == Delivery::Waiting && event.next_ms > 0;
    Some(Shown {
        number: event.number,
        event_id: id(event),
        job_arn: event.job_arn.clone(),
        status: if is_deletion { data_deletion_job::word(event.status) } else { event.status.as_str() },
        delivery: delivery.as_str(),
        attempts: event.attempts,
        answer: event.answer.clone(),
        created_at: rfc3339(event.created_ms),
        next_attempt_at: is_waiting.then(|| rfc3339(event.next_ms)),
        delivered_at: event.delivered_ms.map(rfc3339),
    })
}
