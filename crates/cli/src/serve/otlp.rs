//! Traces: spans of requests and jobs, sent to a collector by OTLP over HTTP, in JSON.
//!
//! Nothing waits for it: spans stand in a bounded queue, and one that finds it full is dropped and counted, as are those of a
//! batch that the collector does not take.

mod jobs;
mod span;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::trail::Trail;
use catalog::Catalog;
use http::Method;
use model::Clock;
use model::error::Result;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use self::span::Parent;
use self::span::{Kind, Span};
use super::webhook::{Target, TargetUrl};

/// A longer path is cut, so that what waits holds no more than some megabytes.
const PATH_CHARS_MAX: usize = 1_200;
/// Spans that wait at most.
const QUEUE: usize = 4_096;
/// Spans of one request at most.
const BATCH: usize = 512;
/// How long spans wait for others.
const EVERY: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What waits when the server stops is sent within this time, or dropped.
const LAST_MAX: Duration = Duration::from_secs(2);
/// How often the log tells of spans that were dropped.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Takes spans.
pub struct Otlp {
    queue: mpsc::Sender<Span>,
    dropped: AtomicU64,
    clock: Arc<dyn Clock>,
}

/// A request that was answered.
pub struct Served<'a> {
    pub request_id: &'a str,
    pub method: &'a Method,
    /// Without its query, which may hold a signature.
    pub path: &'a str,
    pub status: u16,
    pub error_code: Option<&'a str>,
    pub source: Option<IpAddr>,
    pub duration: Duration,
}

/// The work on traces; it goes on until `end`.
pub struct Telling {
    pub otlp: Arc<Otlp>,
    stop: CancellationToken,
    sending: JoinHandle<()>,
    watching: Option<JoinHandle<()>>,
}

impl Otlp {
    /// Begins to send to a collector; `catalog` is where jobs are watched, if they are.
    ///
    /// # Errors
    /// As `Target::open`; `Unavailable` when the catalog can't be read.
    pub async fn begin(
        url: TargetUrl,
        instance: String,
        clock: Arc<dyn Clock>,
        catalog: Option<Catalog>,
    ) -> Result<Telling> {
        let target = Target::open(url, None)?;
        // Before any job changes its state.
        let last = match catalog {
            Some(catalog) => {
                let last = catalog.last_event().await?;
                Some((catalog, last))
            }
            None => None,
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let otlp = Arc::new(Otlp { queue, dropped: AtomicU64::new(0), clock: clock.clone() });
        let stop = CancellationToken::new();
        let sender = Sender { otlp: otlp.clone(), target, instance, waiting, told: None };
        let sending = tokio::spawn(sender.run(stop.clone()));
        let watching = last.map(|(catalog, last)| {
            let watch = jobs::Watch { otlp: otlp.clone(), catalog, clock, last };
            tokio::spawn(watch.run(stop.clone()))
        });
        Ok(Telling { otlp, stop, sending, watching })
    }

    /// Takes the span of a request, unless its caller says that nobody keeps its trace.
    pub fn request(&self, parent: Option<&Parent>, trail: &Trail, served: &Served<'_>) {
        if parent.is_some_and(|parent| !parent.is_sampled) {
            return;
        }
        let name = match &trail.operation {
            Some(operation) => operation.to_string(),
            None => served.method.to_string(),
        };
        let mut span = Span::new(parent, name, Kind::Server, &*self.clock);
        span.end_ns = i128::from(self.clock.now_ms()) * 1_000_000;
        span.start_ns = span.end_ns - i128::try_from(served.duration.as_nanos()).unwrap_or_default();
        span.attributes = vec![
            ("http.request.method", json!(served.method.as_str())),
            ("url.path", json!(served.path.chars().take(PATH_CHARS_MAX).collect::<String>())),
            ("http.response.status_code", json!(served.status)),
            ("aws.request_id", json!(served.request_id)),
        ];
        let more = [
            ("rpc.service", trail.service.clone()),
            ("enduser.id", trail.caller.clone()),
            ("client.address", served.source.map(|address| address.to_string())),
            ("error.type", served.error_code.map(str::to_owned)),
        ];
        span.attributes.extend(more.into_iter().filter_map(|(name, text)| Some((name, json!(text?)))));
        // What the caller did wrong is no failure of the server.
        if served.status >= 500 {
            span.failure = Some(served.error_code.unwrap_or("server error").to_owned());
        }
        self.send(span);
    }

    fn send(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.drop_some(1);
        }
    }

    fn drop_some(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }
}

impl Telling {
    /// Sends what waits, and stops.
    pub async fn end(self) {
        self.stop.cancel();
        for task in self.watching.into_iter().chain([self.sending]) {
            if let Err(cause) = task.await {
                warn!("sending traces did not stop in good order: {cause}");
            }
        }
    }
}

/// Brings spans to the collector.
struct Sender {
    otlp: Arc<Otlp>,
    target: Target,
    instance: String,
    waiting: mpsc::Receiver<Span>,
    /// When the log was told last, and of how many.
    told: Option<(tokio::time::Instant, u64)>,
}

impl Sender {
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        while !stop.is_cancelled() {
            stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
            // A queue that is full is emptied at once, not batch by batch.
            while !stop.is_cancelled() && !self.waiting.is_empty() {
                self.waiting.recv_many(&mut batch, BATCH).await;
                if stop.run_until_cancelled(self.post(&mut batch, ANSWER_MAX)).await.is_none() {
                    self.otlp.drop_some(batch.len());
                    batch.clear();
                }
            }
            self.tell_dropped();
        }
        let last = async {
            while !self.waiting.is_empty() {
                self.waiting.recv_many(&mut batch, BATCH).await;
                self.post(&mut batch, LAST_MAX).await;
            }
        };
        drop(timeout(LAST_MAX, last).await);
    }

    async fn post(&self, batch: &mut Vec<Span>, within: Duration) {
        let posted = timeout(within, self.target.post(&[], span::body(batch, &self.instance))).await;
        if !matches!(posted, Ok(Ok(status)) if status.is_success()) {
            self.otlp.drop_some(batch.len());
        }
        batch.clear();
    }

    fn tell_dropped(&mut self) {
        let dropped = self.otlp.dropped.load(Ordering::Relaxed);
        let (at, told) = self.told.unzip();
        let is_time = at.is_none_or(|at: tokio::time::Instant| at.elapsed() >= TELL_EVERY);
        if dropped > told.unwrap_or(0) && is_time {
            warn!(spans = dropped, "{dropped} spans were dropped so far: the collector is away or too slow");
            self.told = Some((tokio::time::Instant::now(), dropped));
        }
    }
}
