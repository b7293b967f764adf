//! Calls sent over several connections, each one after the other, and again where the server asks for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use model::error::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::gather::{Call, Gather};
use super::source::Place;
use super::{Work, tell};
use crate::client::Client;

/// Calls that wait for a connection.
const WAITING: usize = 4;
/// Waiting before a call is sent again begins with this, and doubles.
const WAIT: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// For how long a call is sent again that the server asks to send again,
const THROTTLED: Duration = Duration::from_secs(60);
/// and one that it does not answer.
const SILENCE: Duration = Duration::from_secs(30);
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
    /// The first failure, which ends all.
    failure: Mutex<Option<Error>>,
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
        failure: Mutex::default(),
        stop: CancellationToken::new(),
    });
    let (mut lanes, mut connections) = (Vec::new(), JoinSet::new());
    for _ in 0..work.connections {
        let (lane, calls) = mpsc::channel(WAITING);
        lanes.push(lane);
        connections.spawn(shared.clone().run(calls));
    }
    let (told, reading) = oneshot::channel();
    let (counted, shown) = (counts.clone(), bar.clone());
    // A thread of its own, for which nobody waits when it waits for standard input.
    std::thread::spawn(move || told.send(read(&work, &lanes, &counted, &shown)));
    tokio::select! {
        () = watch(&bar, &counts, begun) => {}
        () = async { while connections.join_next().await.is_some() {} } => {}
        _ = tokio::signal::ctrl_c() => shared.fail(Error::invalid("ended by Ctrl-C: what was not answered may be there or not")),
    }
    while connections.join_next().await.is_some() {}
    bar.finish_and_clear();
    let failure = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    let failure = match failure {
        Some(failure) => Some(failure),
        // All lanes have ended, so the reader has let go of them.
        None => reading.await.unwrap_or_else(|cause| Err(Error::internal("read").caused_by(cause))).err(),
    };
    Done { counts, lasted: begun.elapsed(), failure }
}

// Never ends by itself.
async fn watch(bar: &ProgressBar, counts: &Counts, begun: Instant) {
    loop {
        bar.set_message(tell::so_far(counts, begun.elapsed()));
        tokio::time::sleep(TICK).await;
    }
}

fn read(work: &Work, lanes: &[mpsc::Sender<Call>], counts: &Counts, bar: &ProgressBar) -> Result<()> {
    let mut gather = Gather::new(lanes.len(), work.mapping.list());
    // A lane that is gone has failed, which its connection has told.
    let mut send = |lane: usize, call: Call| {
        lanes[lane].blocking_send(call).map_err(|_| Error::unavailable("a connection has ended"))
    };
    let mut take = |row: &super::source::Row<'_>| {
        let record = work.mapping.carry(row)?;
        counts.read.fetch_add(1, Ordering::Relaxed);
        counts.filled.fetch_add(u64::from(record.is_filled), Ordering::Relaxed);
        gather.add(record, row.place.clone(), &mut send)
    };
    let seen = |bytes| bar.inc(bytes);
    let all =
        work.inputs.iter().try_for_each(|input| input.read(&work.fields, work.dialect, &seen, &mut take));
    let rest = gather.finish(&mut send);
    all.and(rest)
}

impl Shared {
    async fn run(self: Arc<Shared>, mut calls: mpsc::Receiver<Call>) {
        loop {
            let call = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                call = calls.recv() => call,
            };
            let Some(call) = call else { return };
            let put = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                put = self.put(&call) => put,
            };
            if let Err(cause) = put {
                return self.fail(cause);
            }
        }
    }

    // Sending again is safe: an event that is there twice is one event, and of items and users the newest counts.
    async fn put(&self, call: &Call) -> Result<()> {
        let (begun, mut wait) = (Instant::now(), WAIT);
        loop {
            let Err(cause) = self.client.put_body(self.path, call.body.clone()).await else {
                self.counts.acknowledged.fetch_add(call.places.len() as u64, Ordering::Relaxed);
                self.counts.calls.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            };
            let patience = match cause.kind {
                ErrorKind::Throttled => THROTTLED,
                ErrorKind::Unavailable => SILENCE,
                _ => return Err(placed(cause, &call.places)),
            };
            if begun.elapsed() >= patience {
                return Err(cause);
            }
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    fn fail(&self, cause: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
        self.stop.cancel();
    }
}

// The server names the record by its number in the call.
fn placed(cause: Error, places: &[Place]) -> Error {
    let number = cause.message().split('.').zip(cause.message().split('.').skip(1));
    let number =
        number.filter(|(_, next)| next.starts_with("member")).find_map(|(n, _)| n.parse::<usize>().ok());
    match number.and_then(|number| places.get(number.checked_sub(1)?)) {
        Some(place) => Error::new(cause.kind, format!("{place}: {}", cause.message())),
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_the_place_of_its_record() {
        let places: Vec<Place> = (7..10).map(|line| Place { file: "a.csv".into(), line }).collect();
        let told = |text: &str| placed(Error::invalid(text), &places).message().to_owned();
        let text = "An event needs an itemId. (at eventList.2.member) (InvalidInputException)";
        assert_eq!(told(text), format!("a.csv, line 8: {text}"));
        let text = "Value at 'items.3.member.itemId' failed";
        assert_eq!(told(text), format!("a.csv, line 9: {text}"));
        for text in ["No such tracker.", "at items.4.member", "at items.0.member", "3.5 is no member"] {
            assert_eq!(told(text), text);
        }
    }
}
