//! Events of jobs: changes of their state and their progress, pushed to whoever may describe them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::{JobEvent, JobFilter, JobKind, JobRow, Page, Progress};
use futures_util::stream::unfold;
use model::{Arn, Error, ErrorKind, Realm, Result};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OwnedSemaphorePermit;

use super::Pieces;
use super::job;
use crate::call::Call;
use crate::data_deletion_job;
use crate::door::Api;
use crate::reply::Answer;

/// How often somebody looks for something new: reads of two indexed tables.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Something is sent at least this often, so that nobody in between thinks the connection dead.
const SIGN_OF_LIFE_LOOKS: u32 = 40;
/// Whoever watches for longer connects and signs again.
const STREAM: Duration = Duration::from_secs(600);
const EVENTS_AT_ONCE: u32 = 100;
/// How many may watch at a time.
pub const STREAMS_MAX: usize = 64;

/// A caller that watches.
struct Watcher {
    api: Arc<Api>,
    call: Call,
    /// The last event that was looked at.
    last: i64,
    until: tokio::time::Instant,
    quiet_looks: u32,
    /// What was last told of each job that runs.
    told: HashMap<Arn, Progress>,
    _place: OwnedSemaphorePermit,
}

/// The body of an event, as EventBridge would deliver it.
pub fn body(realm: &Realm, event: &JobEvent) -> Value {
    let is_deletion = event.kind == JobKind::Deletion;
    let ledger: Value =
        event.ledger.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let subject = if is_deletion { "datasetGroupArn" } else { "datasetArn" };
    json!({
        "version": "0",
        "id": id(event),
        "detail-type": detail_type(event.kind),
        "source": "aws.personalize",
        "account": realm.account,
        "time": rfc3339(event.created_ms),
        "region": realm.region,
        "resources": [event.job_arn],
        "detail": {
            "jobArn": event.job_arn,
            "jobName": event.name,
            subject: event.subject_arn,
            "status": if is_deletion { data_deletion_job::word(event.status) } else { event.status.as_str() },
            "rowsDone": event.rows_done,
            "bytesDone": event.bytes_done,
            "ledger": ledger,
            "failureReason": event.failure_reason,
        },
    })
}

/// An event's id: the same each time that it is sent, and no other event's.
pub fn id(event: &JobEvent) -> String {
    let text = format!("{} {} {}", event.job_arn, event.number, event.created_ms);
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    // A UUID of one's own making (version 8).
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn detail_type(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Import => "Personalize Dataset Import Job State Change",
        JobKind::Export => "Personalize Dataset Export Job State Change",
        JobKind::Deletion => "Personalize Data Deletion Job State Change",
        JobKind::Update => "Personalize Dataset State Change",
        JobKind::Analysis => "Personalize Data Analysis State Change",
    }
}

/// A time as texts have it.
pub(super) fn rfc3339(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Begins to watch: from behind the event that the caller had last, or from here on.
///
/// # Errors
/// `Invalid` for a last event that is no number; `Throttled` when too many are watching.
pub async fn watch(api: &Arc<Api>, call: &Call) -> Answer<Pieces> {
    let last = match last_id(call)? {
        Some(last) => last,
        None => api.catalog.last_event().await?,
    };
    let place = api.watchers.clone().try_acquire_owned();
    let full = |_| Error::new(ErrorKind::Throttled, format!("{STREAMS_MAX} callers are watching already."));
    let watcher = Watcher {
        api: api.clone(),
        call: Call { body: Bytes::new(), ..call.clone() },
        last,
        until: tokio::time::Instant::now() + STREAM,
        // Headers go out with the first bytes.
        quiet_looks: SIGN_OF_LIFE_LOOKS,
        told: HashMap::new(),
        _place: place.map_err(full)?,
    };
    Ok(Box::pin(unfold(watcher, next)))
}

fn last_id(call: &Call) -> Result<Option<i64>> {
    let of_query = call.query.as_deref().and_then(|query| query.strip_prefix("lastEventId="));
    let of_query = of_query.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
    let of_header =
        call.headers.get("last-event-id").and_then(|value| value.to_str().ok().map(str::to_owned));
    let Some(text) = of_header.or(of_query).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| Error::invalid(format!("There is no event with the id {text}.")))
}

async fn next(mut watcher: Watcher) -> Option<(std::io::Result<Bytes>, Watcher)> {
    loop {
        if tokio::time::Instant::now() >= watcher.until || watcher.api.is_closing() {
            return None;
        }
        match watcher.look().await {
            Ok(text) if !text.is_empty() => {
                watcher.quiet_looks = 0;
                return Some((Ok(text.into()), watcher));
            }
            Ok(_) => watcher.quiet_looks += 1,
            // The client connects again, with the last event that it has seen.
            Err(cause) => {
                tracing::warn!(request.id = watcher.call.request_id, error = %cause.chain(), "somebody who watches jobs is sent away");
                return None;
            }
        }
        if watcher.quiet_looks >= SIGN_OF_LIFE_LOOKS {
            watcher.quiet_looks = 0;
            return Some((Ok(Bytes::from_static(b":\n\n")), watcher));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Watcher {
    async fn look(&mut self) -> Result<String> {
        let mut text = String::new();
        for event in self.api.catalog.events_after(self.last, EVENTS_AT_ONCE).await? {
            self.last = event.number;
            if event.status.is_terminal() {
                self.told.remove(&event.job_arn);
            }
            if self.may_see(&event.job_arn).await? {
                let body = body(&self.api.realm, &event);
                text.push_str(&format!("id: {}\nevent: state\ndata: {body}\n\n", event.number));
            }
        }
        let open = JobFilter { is_open: true, ..JobFilter::default() };
        for job in self.api.catalog.all_jobs(&open, &Page::first(EVENTS_AT_ONCE as usize)).await? {
            self.tell_progress(&job, &mut text).await?;
        }
        Ok(text)
    }

    async fn tell_progress(&mut self, job: &JobRow, text: &mut String) -> Result<()> {
        let before = self.told.insert(job.arn.clone(), job.progress).unwrap_or_default();
        if before != job.progress && self.may_see(&job.arn).await? {
            let status = job::word(job);
            let progress = job::so_far(job.progress);
            let told = json!({ "jobArn": job.arn, "status": status, "progress": progress });
            text.push_str(&format!("event: progress\ndata: {told}\n\n"));
        }
        Ok(())
    }

    // Asked each time: policies change.
    async fn may_see(&self, arn: &Arn) -> Result<bool> {
        match job::authorize(&self.api, &self.call, arn).await {
            Ok(()) => Ok(true),
            Err(crate::reply::Failure::Error(cause)) if cause.kind != ErrorKind::Denied => Err(cause),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::status::Status;

    use super::*;

    fn event(kind: JobKind, number: i64) -> JobEvent {
        let realm = realm();
        let (job_arn, subject_arn) = match kind {
            JobKind::Deletion => (realm.data_deletion_job("d"), realm.dataset_group("g")),
            _ => (realm.export_job("e"), realm.dataset("g", model::DatasetType::Items)),
        };
        JobEvent {
            number,
            job_arn,
            name: "e".into(),
            kind,
            subject_arn,
            status: Status::Active,
            failure_reason: None,
            rows_done: 3,
            bytes_done: 40,
            ledger: Some(r#"{"written":3}"#.into()),
            created_ms: 1_790_000_000_123,
            delivery: None,
            attempts: 0,
            next_ms: 0,
            answer: None,
            delivered_ms: None,
        }
    }

    fn realm() -> Realm {
        Realm { region: "us-east-1".into(), account: "000000000000".into() }
    }

    #[test]
    fn an_event_has_the_shape_of_eventbridge() {
        let body = body(&realm(), &event(JobKind::Export, 7));
        assert_eq!(body["version"], "0");
        assert_eq!(body["detail-type"], "Personalize Dataset Export Job State Change");
        assert_eq!((&body["source"], &body["account"]), (&json!("aws.personalize"), &json!("000000000000")));
        assert_eq!(body["time"], "2026-09-21T14:13:20.123Z");
        assert_eq!(
            body["resources"],
            json!(["arn:aws:personalize:us-east-1:000000000000:dataset-export-job/e"])
        );
        assert_eq!(
            (&body["detail"]["status"], &body["detail"]["ledger"]["written"]),
            (&json!("ACTIVE"), &json!(3))
        );
    }

    #[test]
    fn a_data_deletion_job_has_words_of_its_own() {
        let body = body(&realm(), &event(JobKind::Deletion, 7));
        assert_eq!(body["detail"]["status"], "COMPLETED");
        assert!(body["detail"]["datasetGroupArn"].is_string());
    }

    #[test]
    fn an_event_keeps_its_id_and_shares_it_with_none() {
        let of = |number| id(&event(JobKind::Export, number));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(1).len() == 36 && &of(1)[14..15] == "8", "{}", of(1));
    }
}
