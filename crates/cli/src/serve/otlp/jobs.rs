//! Spans of jobs: one for each that has ended, from its creation on, read from the events that its changes have written.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, JobEvent, JobKind};
use model::Clock;
use model::error::Result;
use model::status::Status;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Otlp;
use super::span::{Kind, Span};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// One node tells; another one takes over when it has not for so long.
const DUTY_MS: i64 = 10_000;
const EVENTS_AT_ONCE: u32 = 100;

/// Watches jobs for those that end.
pub struct Watch {
    pub otlp: Arc<Otlp>,
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
    /// The last event that was looked at.
    pub last: i64,
}

impl Watch {
    /// Runs until `stop`; jobs that ended before it began, or while no node did this, have no span.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if let Err(cause) = self.look().await {
                warn!(error = %cause.chain(), "spans of jobs are looked for again later");
            }
        }
    }

    async fn look(&mut self) -> Result<()> {
        let events = self.catalog.events_after(self.last, EVENTS_AT_ONCE).await?;
        let Some(newest) = events.last().map(|event| event.number) else { return Ok(()) };
        if self.catalog.take_duty("otlp", DUTY_MS).await? {
            for event in events.iter().filter(|event| event.status.is_terminal()) {
                self.tell(event).await?;
                self.last = event.number;
            }
        }
        self.last = newest;
        Ok(())
    }

    async fn tell(&self, event: &JobEvent) -> Result<()> {
        // One that was removed meanwhile has none.
        let Some(job) = self.catalog.job(&event.job_arn).await? else { return Ok(()) };
        let mut span = Span::new(None, name(event.kind).to_owned(), Kind::Internal, &*self.clock);
        (span.start_ns, span.end_ns) = (nanos(job.created_ms), nanos(event.created_ms));
        span.attributes = vec![
            ("lade.job.arn", json!(event.job_arn.as_str())),
            ("lade.job.subject_arn", json!(event.subject_arn.as_str())),
            ("lade.job.status", json!(event.status.as_str())),
            ("lade.job.attempts", json!(job.attempts)),
            ("lade.job.rows_done", json!(event.rows_done)),
            ("lade.job.bytes_done", json!(event.bytes_done)),
        ];
        // The reason may quote a record, which is nothing for a collector.
        span.failure = (event.status != Status::Active).then(|| event.status.as_str().to_owned());
        self.otlp.send(span);
        Ok(())
    }
}

fn name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Import => "DatasetImportJob",
        JobKind::Export => "DatasetExportJob",
        JobKind::Deletion => "DataDeletionJob",
        JobKind::Update => "DatasetUpdate",
        JobKind::Analysis => "Analysis",
    }
}

fn nanos(ms: i64) -> i128 {
    i128::from(ms) * 1_000_000
}
