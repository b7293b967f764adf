//! What a segment needs until it counts: its object put, and its place given; each is tried for as long as calls may wait.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::ErrorKind;
use model::error::{Error, Result};
use model::segment::{NewSegment, Place, Segment};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::object::Parsed;
use super::{Inner, Later};
use crate::log::queue::lock;
use crate::measured;

/// Between two attempts: at first, and at most.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What may not answer.
pub(super) struct Outages {
    store: Outage,
    register: Outage,
}

impl Outages {
    pub(super) fn new(patience: Duration) -> Outages {
        let of = |what, step| Outage { what, step, patience, since: Mutex::default() };
        Outages { store: of("the log's store", measured::PUT), register: of("the catalog", measured::PLACE) }
    }
}

/// Since when one of them does not answer: whoever comes later waits no longer than whoever was first.
struct Outage {
    what: &'static str,
    /// What is asked of it.
    step: usize,
    patience: Duration,
    since: Mutex<Option<Instant>>,
}

impl Outage {
    fn is_over(&self) {
        if let Some(since) = lock(&self.since).take()
            && since.elapsed() > self.patience
        {
            measured::REFUSING.set(0);
            info!(duration_ms = since.elapsed().as_millis(), "{} answers again", self.what);
        }
    }

    /// Whether another attempt is worth it.
    fn goes_on(&self, cause: &Error) -> bool {
        let mut since = lock(&self.since);
        let is_new = since.is_none();
        let since = *since.get_or_insert_with(Instant::now);
        if is_new {
            warn!(error = %cause.chain(), "records wait for {}", self.what);
        }
        let goes_on = since.elapsed() < self.patience;
        if !goes_on {
            measured::REFUSING.set(1);
        }
        goes_on
    }
}

impl Inner {
    /// Puts a segment and has it placed; when this returns, it counts, or never will, or nobody knows yet.
    pub(super) async fn write(self: &Arc<Self>, number: u64, new: NewSegment, bytes: Bytes) -> Result<Place> {
        let put =
            self.patiently(&self.outages.store, || self.store.put_new(&new.object, bytes.clone())).await;
        let placed = match put {
            Ok(()) => self.place(number, &new).await,
            Err(cause) => {
                self.settle(number);
                Err(refused("the store of the log takes no records; try again").caused_by(cause))
            }
        };
        match placed {
            Ok(place) => self.count(new, place, bytes),
            Err(_) if !lock(&self.numbers).open.contains(&number) => self.discard(new.object),
            Err(_) => {}
        }
        placed
    }

    // What fails here is left for whoever looks for orphans.
    fn discard(&self, object: String) {
        let (store, patience) = (self.store.clone(), self.settings.patience);
        self.runtime.spawn(async move {
            let _ = timeout(patience, store.delete(&[object])).await;
        });
    }

    async fn place(&self, number: u64, new: &NewSegment) -> Result<Place> {
        let added = self.patiently(&self.outages.register, || self.register.add(new)).await;
        let cause = match added {
            Ok(Some(place)) => {
                self.settle(number);
                return Ok(place);
            }
            Ok(None) => {
                self.settle(number);
                return Err(refused("this node was taken for dead and begins anew; try again"));
            }
            // What the catalog refuses for good, it has not done.
            Err(cause) if !may_pass(&cause) => {
                self.settle(number);
                return Err(cause);
            }
            Err(cause) => cause,
        };
        // The last attempt may have succeeded all the same.
        let unanswered = || refused("the catalog does not answer; try again").caused_by(cause);
        match timeout(PAUSE_MAX, self.register.withdraw(&new.object)).await {
            Ok(Ok(placed)) => {
                self.settle(number);
                placed.ok_or_else(unanswered)
            }
            _ => {
                lock(&self.numbers).left.push((number, new.object.clone()));
                Err(unanswered())
            }
        }
    }

    pub(super) fn settle(&self, number: u64) {
        lock(&self.numbers).open.remove(&number);
    }

    // Known before it is answered: whoever has an answer finds the records.
    fn count(&self, new: NewSegment, place: Place, bytes: Bytes) {
        let is_again = new.again_from.is_some();
        let NewSegment { object, size_bytes, holds, .. } = new;
        measured::WRITTEN.add(size_bytes);
        let segment = Segment { object, place, size_bytes, is_again, holds };
        if let Ok(parsed) = Parsed::read(&segment, bytes) {
            lock(&self.cache).keep(&segment.object, Arc::new(parsed));
        }
        lock(&self.known).add(segment);
    }

    async fn patiently<'a, T>(&self, outage: &Outage, attempt: impl Fn() -> Later<'a, T>) -> Result<T> {
        let mut pause = PAUSE;
        loop {
            let silent = |_| Err(Error::unavailable("there was no answer in time"));
            let began = Instant::now();
            let cause = match timeout(self.settings.patience, attempt()).await.unwrap_or_else(silent) {
                Ok(done) => {
                    measured::OBJECT.observe(outage.step, began.elapsed());
                    outage.is_over();
                    return Ok(done);
                }
                Err(cause) if !may_pass(&cause) => return Err(cause),
                Err(cause) => cause,
            };
            if !outage.goes_on(&cause) {
                return Err(cause);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

fn may_pass(cause: &Error) -> bool {
    matches!(cause.kind, ErrorKind::Unavailable | ErrorKind::Throttled)
}

fn refused(text: &str) -> Error {
    Error::unavailable(text)
}
