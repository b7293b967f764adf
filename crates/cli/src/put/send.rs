//! Calls sent over several connections, each one after the other, and again where the server asks for it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use model::error::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::failures::Failures;
use super::feed::Feed;
use super::gather::{Call, Gather};
use super::patience::{Patience, Wait};
use super::{Work, tell};
use crate::client::Client;

/// Calls that wait for a connection.
const WAITING: usize = 4;
const TICK: Duration = Duration::from_millis(200);

/// What was done; numbers count while it goes on.
#[derive(Default)]
pub struct Counts {
    /// Records that were read,
    pub read: AtomicU64,
    /// those whose call was answered,
    pub acknowledged: AtomicU64,
    pub calls: AtomicU64,
    /// calls that were sent again,
    pub repeated: AtomicU64,
    /// and interactions that had no type.
    pub filled: AtomicU64,
}

/// What came of it.
pub struct Done {
    pub counts: Arc<Counts>,
    pub lasted: Duration,
    /// Why it ended before the last record.
    pub failure: Option<Error>,
}

/// What all connections share.
struct Shared {
    client: Client,
    path: &'static str,
    counts: Arc<Counts>,
    patience: Patience,
    failures: Failures,
    /// Set when the server has refused a record: what stands before it is still sent,
    refused: CancellationToken,
    /// and when all is to end at once.
    stop: CancellationToken,
}

/// Reads all inputs and sends what is in them. All records before the first one that is wrong are sent.
pub async fn send(client: Client, work: Work, bar: ProgressBar) -> Done {
    let begun = Instant::now();
    let counts = Arc::new(Counts::default());
    let shared = Arc::new(Shared {
        client,
        path: work.mapping.path(),
        counts: counts.clone(),
        patience: Patience::new(begun),
        failures: Failures::new(),
        refused: CancellationToken::new(),
        stop: CancellationToken::new(),
    });
    let (mut lanes, mut connections) = (Vec::new(), JoinSet::new());
    for _ in 0..work.connections {
        let (lane, calls) = mpsc::channel(WAITING);
        lanes.push(lane);
        connections.spawn(shared.clone().run(calls));
    }
    let feed = Arc::new(Feed::new(Gather::new(lanes.len(), work.mapping.list()), lanes));
    let (told, reading) = oneshot::channel();
    let (counted, shown, fed) = (counts.clone(), bar.clone(), feed.clone());
    // A thread of its own, for which nobody waits when it waits for standard input.
    std::thread::spawn(move || told.send(read(&work, &fed, &counted, &shown)));
    tokio::select! {
        () = watch(&bar, &counts, begun) => {}
        () = close_when_refused(&shared, feed) => {}
        () = async { while connections.join_next().await.is_some() {} } => {}
        _ = tokio::signal::ctrl_c() => shared.end(Error::invalid("ended by Ctrl-C: what was not answered may be there or not")),
    }
    while connections.join_next().await.is_some() {}
    bar.finish_and_clear();
    let failure = match shared.failures.take() {
        Some(failure) => Some(failure),
        // All lanes have ended, so the reader has let go of them.
        None => reading.await.unwrap_or_else(|cause| Err(Error::internal("read").caused_by(cause))).err(),
    };
    Done { counts, lasted: begun.elapsed(), failure }
}

// Does not wait for the reader, which may wait for standard input. Never ends by itself.
async fn close_when_refused(shared: &Shared, feed: Arc<Feed>) {
    shared.refused.cancelled().await;
    // What can go wrong is told by the connections.
    drop(spawn_blocking(move || feed.close()).await);
    pending().await
}

// Never ends by itself.
async fn watch(bar: &ProgressBar, counts: &Counts, begun: Instant) {
    loop {
        bar.set_message(tell::so_far(counts, begun.elapsed()));
        tokio::time::sleep(TICK).await;
    }
}

fn read(work: &Work, feed: &Feed, counts: &Counts, bar: &ProgressBar) -> Result<()> {
    let mut take = |row: &super::source::Row<'_>| {
        let record = work.mapping.carry(row)?;
        counts.read.fetch_add(1, Ordering::Relaxed);
        counts.filled.fetch_add(u64::from(record.is_filled), Ordering::Relaxed);
        feed.add(record, row.place.clone())
    };
    let seen = |bytes| bar.inc(bytes);
    let all =
        work.inputs.iter().try_for_each(|input| input.read(&work.fields, work.dialect, &seen, &mut take));
    let rest = feed.close();
    all.and(rest)
}

impl Shared {
    async fn run(self: Arc<Shared>, mut calls: mpsc::Receiver<Call>) {
        let sending = async {
            while let Some(call) = calls.recv().await {
                if let Err(cause) = self.put(call).await {
                    return self.end(cause);
                }
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = sending => {}
        }
    }

    // Sending again is safe: an event that is there twice is one event, and of items and users the newest counts.
    async fn put(&self, mut call: Call) -> Result<()> {
        let (begun, mut wait) = (Instant::now(), Wait::new());
        while call.keep_before(self.failures.limit()) {
            let Err(cause) = self.client.put_body(self.path, call.body.clone()).await else {
                self.patience.acknowledged(Instant::now());
                self.counts.acknowledged.fetch_add(call.records.len() as u64, Ordering::Relaxed);
                self.counts.calls.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            };
            if cause.kind == ErrorKind::Invalid {
                // Nothing of the call was taken; it goes again with what stands before the record.
                self.failures.refuse(&call, &cause);
                self.refused.cancel();
                continue;
            }
            if !self.patience.lasts(cause.kind, begun, Instant::now()) {
                return Err(cause);
            }
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait.time()).await;
        }
        Ok(())
    }

    fn end(&self, cause: Error) {
        self.failures.end(cause);
        self.stop.cancel();
    }
}
