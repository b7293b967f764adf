//! The log that nodes share: segments are objects, and a register that all nodes ask gives each its place in one order.
//!
//! A node gathers calls into an object, puts it, has it placed, and answers the calls then. What is placed never changes,
//! so what a node knows of the log is only ever too little, and grows with each look at the register.

mod flight;
mod known;
mod object;
mod orphans;
mod reader;
mod trip;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::Durable;
use model::error::{Context, Error, Result};
use model::segment::{NewSegment, Place, Segment, Segments};
use tokio::runtime::Handle;

use super::frame::{Batch, Frame};
use super::index::{FrameRef, Pending};
use super::queue::{Queue, lock};
use super::{Appended, Order};
use flight::Slots;
use known::Known;
use reader::Cache;
use trip::Outages;

/// What an answer that takes a while is told by.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Where segments lie, by name.
pub trait SegmentStore: Send + Sync {
    /// Puts an object whole, under a name that is only ever given to these bytes; safe to repeat.
    fn put_new<'a>(&'a self, name: &'a str, bytes: Bytes) -> Later<'a, ()>;
    /// Reads a whole object; `NotFound` when it is not there.
    fn get<'a>(&'a self, name: &'a str) -> Later<'a, Bytes>;
    /// Deletes objects; those that are not there are no error.
    fn delete<'a>(&'a self, names: &'a [String]) -> Later<'a, ()>;
    /// The names of all segments.
    fn list(&self) -> Later<'_, Vec<String>>;
}

/// Who decides the order of segments, for all nodes.
pub trait Register: Send + Sync {
    /// The session of this node.
    fn node(&self) -> String;
    /// Gives a segment its place at the end; safe to repeat: a segment has one place. `None` when the session of its node
    /// has ended, or it was withdrawn.
    fn add<'a>(&'a self, new: &'a NewSegment) -> Later<'a, Option<Place>>;
    /// Sees to it that a segment without a place never gets one; gives the place of one that has it.
    fn withdraw<'a>(&'a self, object: &'a str) -> Later<'a, Option<Place>>;
    /// Whether a segment is part of the log.
    fn is_placed<'a>(&'a self, object: &'a str) -> Later<'a, bool>;
    /// The segments that start at a position or behind it.
    fn list(&self, from: u64) -> Later<'_, Segments>;
    /// Takes the segments that end at or before a position out of the log; gives the objects that are to be deleted, also
    /// those that were left over.
    fn forget(&self, position: u64) -> Later<'_, Vec<String>>;
    /// Notes that the objects of forgotten segments are deleted.
    fn note_deleted<'a>(&'a self, objects: &'a [String]) -> Later<'a, ()>;
    /// Of these objects, those that have no place and never get one: of sessions that have ended, and of this node's own,
    /// which has to know that they are none it is about to add.
    fn unplaced<'a>(&'a self, objects: &'a [String]) -> Later<'a, Vec<String>>;
}

/// How a node takes part in a shared log.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// For so long calls are gathered; the first one after a quiet time does not wait.
    pub group: Duration,
    /// How many bytes of calls may wait for their answer; also the size of the largest call. No dataset alone
    /// fills more than three eighths of it.
    pub queue_bytes_max: usize,
    /// For so long calls wait for a store or a catalog that does not answer.
    pub patience: Duration,
    /// Memory for segments that were read.
    pub cache_bytes: usize,
}

impl Default for SharedSettings {
    fn default() -> SharedSettings {
        SharedSettings {
            group: Duration::from_millis(100),
            queue_bytes_max: 32 << 20,
            patience: Duration::from_secs(10),
            cache_bytes: 32 << 20,
        }
    }
}

/// A node's part of a shared log.
pub(super) struct SharedLog {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    settings: SharedSettings,
    store: Arc<dyn SegmentStore>,
    register: Arc<dyn Register>,
    runtime: Handle,
    queue: Queue,
    known: Mutex<Known>,
    cache: Mutex<Cache>,
    slots: Slots,
    outages: Outages,
    numbers: Mutex<Numbers>,
}

/// The numbers of the objects that this process writes.
#[derive(Default)]
struct Numbers {
    next: u64,
    /// Whether these are placed is not settled.
    open: BTreeSet<u64>,
    /// Of these, those that nobody works on any more, because the register did not answer.
    left: Vec<(u64, String)>,
}

impl SharedLog {
    pub(super) async fn open(
        settings: SharedSettings,
        store: Arc<dyn SegmentStore>,
        register: Arc<dyn Register>,
    ) -> Result<SharedLog> {
        let inner = Arc::new(Inner {
            queue: Queue::new(settings.queue_bytes_max),
            cache: Mutex::new(Cache::new(settings.cache_bytes)),
            outages: Outages::new(settings.patience),
            settings,
            store,
            register,
            runtime: Handle::current(),
            known: Mutex::default(),
            slots: Slots::default(),
            numbers: Mutex::default(),
        });
        inner.refresh().await?;
        let departing = inner.clone();
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || depart(&departing));
        let thread = thread.unavailable(|| "start the log's thread".to_owned())?;
        Ok(SharedLog { inner, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn append(&self, batch: Batch) -> Result<Appended> {
        let ended = || Error::unavailable("the server is shutting down");
        self.inner.queue.push(batch)?.await.unwrap_or_else(|_| Err(ended()))
    }

    pub(super) async fn refresh(&self) -> Result<()> {
        self.inner.settle_left().await?;
        self.inner.refresh().await
    }

    pub(super) fn start(&self) -> u64 {
        lock(&self.inner.known).start()
    }

    pub(super) fn durable(&self) -> u64 {
        lock(&self.inner.known).end()
    }

    pub(super) fn segments(&self) -> usize {
        lock(&self.inner.known).segments()
    }

    pub(super) fn settled(&self) -> Durable {
        let known = lock(&self.inner.known);
        Durable { position: known.end(), sequence: known.sequence() }
    }

    pub(super) fn pending(&self, dataset_id: u64, since: u64) -> Pending {
        lock(&self.inner.known).pending(dataset_id, since)
    }

    pub(super) fn datasets(&self) -> Vec<u64> {
        lock(&self.inner.known).datasets()
    }

    pub(super) fn forget_dataset(&self, dataset_id: u64) {
        lock(&self.inner.known).forget_dataset(dataset_id);
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.inner.queue.held_bytes()
    }

    pub(super) async fn holds(&self, dataset_id: u64, from: u64, to: u64) -> Result<bool> {
        self.inner.refresh_up_to(to).await?;
        Ok(!lock(&self.inner.known).segments_of(dataset_id, (from, to)).is_empty())
    }

    pub(super) fn frames(&self, dataset_id: u64, from: u64, to: u64) -> Result<Vec<FrameRef>> {
        self.inner.runtime.block_on(self.inner.frames(dataset_id, (from, to), |_| true))
    }

    /// May give others too.
    pub(super) fn older_frames(
        &self,
        dataset_id: u64,
        range: (u64, u64),
        sequence: u64,
    ) -> Result<Vec<FrameRef>> {
        let may_hold = |segment: &Segment| segment.is_again || segment.place.sequence_base < sequence;
        self.inner.runtime.block_on(self.inner.frames(dataset_id, range, may_hold))
    }

    pub(super) fn read(&self, frame: &FrameRef) -> Result<Frame> {
        self.inner.runtime.block_on(self.inner.read(frame))
    }

    /// `None` where frames that were written again have to be told from their first copies.
    pub(super) fn scan(
        &self,
        dataset_id: u64,
        range: (u64, u64),
        order: Order,
        take: &mut dyn FnMut(Frame) -> Result<bool>,
    ) -> Option<Result<()>> {
        self.inner.scan(dataset_id, range, order, take)
    }

    pub(super) async fn write_again(&self, frames: Vec<FrameRef>) -> Result<()> {
        self.inner.write_again(frames).await
    }

    pub(super) fn forget_before(&self, position: u64) -> Result<()> {
        self.inner.runtime.block_on(self.inner.forget_before(position))
    }

    pub(super) fn clear_orphans(&self) -> Result<()> {
        self.inner.runtime.block_on(self.inner.clear_orphans())
    }

    pub(super) fn close(&self) -> Result<()> {
        self.inner.queue.close();
        match lock(&self.thread).take() {
            Some(thread) => thread.join().map_err(|_| Error::internal("the log's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for SharedLog {
    fn drop(&mut self) {
        // What is on its way needs the runtime, which may be waiting for this: nobody waits here.
        self.inner.queue.close();
    }
}

/// Sends group after group on its way, until the queue has ended and all have arrived.
fn depart(inner: &Arc<Inner>) {
    let mut departed: Option<Instant> = None;
    loop {
        inner.slots.wait_for_one();
        let not_before = departed.map(|at| at + inner.settings.group);
        let Some(calls) = inner.queue.take_from(not_before, object::BYTES_MAX) else { break };
        departed = Some(Instant::now());
        flight::begin(inner, calls);
    }
    inner.slots.wait_for_all();
}

impl Inner {
    async fn refresh(&self) -> Result<()> {
        let from = lock(&self.known).end();
        let found = self.register.list(from).await?;
        lock(&self.known).learn(found);
        Ok(())
    }

    async fn refresh_up_to(&self, position: u64) -> Result<()> {
        if lock(&self.known).end() < position { self.refresh().await } else { Ok(()) }
    }

    async fn forget_before(&self, position: u64) -> Result<()> {
        if !lock(&self.known).has_before(position) {
            return Ok(());
        }
        let objects = self.register.forget(position).await?;
        if !objects.is_empty() {
            self.store.delete(&objects).await?;
            self.register.note_deleted(&objects).await?;
        }
        self.refresh().await
    }
}

#[cfg(test)]
mod tests;
