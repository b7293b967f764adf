//! The audit log: a line of JSON for each call, with who did what to what, and never what was in it.
//!
//! Calls hand their lines to a thread and go on; it writes them within a tenth of a second. A disk that takes no more
//! costs lines, which are counted, and no call.

mod file;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use access::trail::Trail;
use model::error::{Context, Result};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use super::measured;
use file::AuditFile;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// How often lost lines are told of.
const TELL: Duration = Duration::from_secs(10);
/// The most bytes of lines that wait to be written.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Where lines go, and when a file is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    pub path: PathBuf,
    pub size_bytes_max: u64,
}

/// A call that was answered.
pub struct Called<'a> {
    pub time_ms: i64,
    pub request_id: &'a str,
    pub source: Option<IpAddr>,
    pub trail: &'a Trail,
    pub status: u16,
    pub error_code: Option<&'a str>,
}

/// Names are those of CloudTrail, where it has them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    event_time: Option<String>,
    #[serde(rename = "requestID")]
    request_id: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source: Option<IpAddr>,
    event_source: Option<&'a str>,
    event_name: Option<&'a str>,
    user_identity: Identity<'a>,
    resources: &'a [String],
    status: u16,
    error_code: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    arn: Option<&'a str>,
    access_key_id: Option<&'a str>,
}

/// The log of one server.
pub struct Audit {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    reopen: bool,
    ended: bool,
}

impl Audit {
    /// # Errors
    /// `Unavailable` when the file can't be made or the system gives no thread.
    pub fn open(settings: &AuditSettings) -> Result<Audit> {
        let opened = AuditFile::open(&settings.path, settings.size_bytes_max);
        let file = opened.unavailable(|| format!("open the audit log {}", settings.path.display()))?;
        let shared = Arc::<Shared>::default();
        let writer = Writer { shared: shared.clone(), file, lost: 0, told: None };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run());
        let thread = thread.unavailable(|| "start the audit log's thread".to_owned())?;
        Ok(Audit { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a call's line; it waits for no disk.
    pub fn record(&self, called: &Called<'_>) {
        let line = line(called);
        let mut waiting = self.shared.lock();
        if waiting.lines.len() + line.len() > WAITING_BYTES_MAX {
            waiting.dropped += 1;
            return;
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(&line);
        drop(waiting);
        if is_first {
            self.shared.arrived.notify_one();
        }
    }

    /// Goes on in a new file where somebody has moved the old one away.
    pub fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.arrived.notify_one();
    }

    /// Writes what waits, and ends; blocking.
    pub fn close(&self) {
        self.shared.lock().ended = true;
        self.shared.arrived.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            warn!("the audit log was not closed in good order");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to do, and a little longer, so that there is more of it.
    fn take(&self) -> Waiting {
        let idle = |w: &mut Waiting| w.lines.is_empty() && !w.reopen && !w.ended;
        let waiting = self.arrived.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let gathered = self.arrived.wait_timeout_while(waiting, GATHER, |w| !w.ended);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        let ended = waiting.ended;
        Waiting { ended, ..std::mem::take(&mut *waiting) }
    }
}

struct Writer {
    shared: Arc<Shared>,
    file: AuditFile,
    /// Lines that were lost and not yet told of.
    lost: u64,
    told: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let taken = self.shared.take();
            self.lost += taken.dropped;
            if taken.reopen {
                self.file.forget();
            }
            if let Err(cause) = self.file.append(&taken.lines) {
                self.lost += taken.lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.tell(&cause.to_string());
            } else if self.lost > 0 {
                self.tell("they came too fast, or the disk took none");
            }
            if taken.ended {
                self.told = None;
                return self.tell("the server ends");
            }
        }
    }

    fn tell(&mut self, cause: &str) {
        if self.lost > 0 && self.told.is_none_or(|told| told.elapsed() > TELL) {
            let lines = std::mem::take(&mut self.lost);
            measured::AUDIT_LOST.add(lines);
            warn!(lines, cause, "{lines} lines of the audit log are lost");
            self.told = Some(Instant::now());
        }
    }
}

fn line(called: &Called<'_>) -> Vec<u8> {
    let trail = called.trail;
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(called.time_ms) * 1_000_000);
    let line = Line {
        event_time: time.ok().and_then(|time| time.format(&Rfc3339).ok()),
        request_id: called.request_id,
        source: called.source,
        event_source: trail.service.as_deref(),
        event_name: trail.operation.as_deref(),
        user_identity: Identity {
            arn: trail.caller.as_deref(),
            access_key_id: trail.access_key_id.as_deref(),
        },
        resources: &trail.resources,
        status: called.status,
        error_code: called.error_code,
    };
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, &line).expect("texts and numbers are JSON");
    bytes.push(b'\n');
    bytes
}
