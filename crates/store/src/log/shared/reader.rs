//! Reading the shared log: objects fetched ahead, taken apart once, and kept while there is room.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use model::ErrorKind;
use model::error::{Error, Result};
use model::segment::Segment;
use tokio::task::JoinHandle;

use super::Inner;
use super::object::Parsed;
use crate::log::Order;
use crate::log::frame::Frame;
use crate::log::index::FrameRef;
use crate::log::queue::lock;

/// So many objects are fetched at the same time, as long as they are together no larger than this.
const AHEAD: usize = 8;
const AHEAD_BYTES: u64 = 16 << 20;

/// Segments that were read, by name; the oldest go first.
pub(super) struct Cache {
    bytes_max: usize,
    bytes: usize,
    kept: HashMap<String, Arc<Parsed>>,
    order: VecDeque<String>,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Cache {
        Cache { bytes_max, bytes: 0, kept: HashMap::new(), order: VecDeque::new() }
    }

    fn get(&self, name: &str) -> Option<Arc<Parsed>> {
        self.kept.get(name).cloned()
    }

    pub(super) fn keep(&mut self, name: &str, parsed: Arc<Parsed>) {
        if parsed.size() > self.bytes_max || self.kept.contains_key(name) {
            return;
        }
        self.bytes += parsed.size();
        self.kept.insert(name.to_owned(), parsed);
        self.order.push_back(name.to_owned());
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.kept.remove(&oldest).map_or(0, |parsed| parsed.size());
        }
    }
}

impl Inner {
    /// The dataset's segments that overlap a range, which is known to its end.
    async fn segments_of(&self, dataset_id: u64, range: (u64, u64)) -> Result<Vec<Arc<Segment>>> {
        self.refresh_up_to(range.1).await?;
        Ok(lock(&self.known).segments_of(dataset_id, range))
    }

    pub(super) async fn frames(
        self: &Arc<Self>,
        dataset_id: u64,
        range: (u64, u64),
        is_wanted: impl Fn(&Segment) -> bool,
    ) -> Result<Vec<FrameRef>> {
        let mut segments = self.segments_of(dataset_id, range).await?;
        segments.retain(|segment| is_wanted(segment));
        let has_repeats = segments.iter().any(|segment| segment.is_again);
        let (mut frames, mut fetched) = (Vec::new(), Fetched::new(self, segments));
        while let Some((segment, parsed)) = fetched.next().await? {
            frames.append(&mut parsed.frames(&segment, dataset_id, &(range.0..range.1)));
        }
        if has_repeats {
            let mut seen = HashSet::new();
            frames.retain(|frame| seen.insert(frame.first_sequence));
        }
        Ok(frames)
    }

    pub(super) async fn read(self: &Arc<Self>, frame: &FrameRef) -> Result<Frame> {
        self.refresh_up_to(frame.position + 1).await?;
        let segment = lock(&self.known).segment_of(frame.position).ok_or_else(forgotten)?;
        let parsed = self.fetch(&segment).await?;
        parsed.frame(&segment, frame).ok_or_else(|| no_frame(&segment, frame))
    }

    pub(super) fn scan(
        self: &Arc<Self>,
        dataset_id: u64,
        range: (u64, u64),
        order: Order,
        take: &mut dyn FnMut(Frame) -> Result<bool>,
    ) -> Option<Result<()>> {
        let mut segments = match self.runtime.block_on(self.segments_of(dataset_id, range)) {
            Ok(segments) if segments.iter().any(|segment| segment.is_again) => return None,
            Ok(segments) => segments,
            Err(cause) => return Some(Err(cause)),
        };
        if order == Order::NewestFirst {
            segments.reverse();
        }
        let mut fetched = Fetched::new(self, segments);
        let mut each = || {
            while let Some((segment, parsed)) = self.runtime.block_on(fetched.next())? {
                let mut frames = parsed.frames(&segment, dataset_id, &(range.0..range.1));
                if order == Order::NewestFirst {
                    frames.reverse();
                }
                for place in frames {
                    let frame = parsed.frame(&segment, &place).ok_or_else(|| no_frame(&segment, &place))?;
                    if !take(frame)? {
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        Some(each())
    }

    async fn fetch(&self, segment: &Segment) -> Result<Arc<Parsed>> {
        if let Some(parsed) = lock(&self.cache).get(&segment.object) {
            return Ok(parsed);
        }
        let bytes = match self.store.get(&segment.object).await {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind == ErrorKind::NotFound => {
                return Err(self.missing(segment, cause).await?);
            }
            Err(cause) => {
                let reading = format!("read log segment {}", segment.object);
                return Err(Error::unavailable(reading).caused_by(cause));
            }
        };
        let parsed = Arc::new(Parsed::read(segment, bytes)?);
        lock(&self.cache).keep(&segment.object, parsed.clone());
        Ok(parsed)
    }

    // A segment leaves the log before its object goes.
    async fn missing(&self, segment: &Segment, cause: Error) -> Result<Error> {
        if self.register.is_placed(&segment.object).await? {
            let missing = format!("log segment {} is missing in the store", segment.object);
            return Ok(Error::corrupt(missing).caused_by(cause));
        }
        self.refresh().await?;
        Ok(forgotten())
    }
}

/// Segments one after the other, some of them fetched ahead.
struct Fetched {
    inner: Arc<Inner>,
    left: VecDeque<Arc<Segment>>,
    coming: VecDeque<(Arc<Segment>, JoinHandle<Result<Arc<Parsed>>>)>,
}

impl Fetched {
    fn new(inner: &Arc<Inner>, segments: Vec<Arc<Segment>>) -> Fetched {
        Fetched { inner: inner.clone(), left: segments.into(), coming: VecDeque::new() }
    }

    async fn next(&mut self) -> Result<Option<(Arc<Segment>, Arc<Parsed>)>> {
        self.fetch_ahead();
        let Some((segment, coming)) = self.coming.pop_front() else { return Ok(None) };
        let panicked = |cause| Err(Error::internal("reading the log ended unexpectedly").caused_by(cause));
        Ok(Some((segment, coming.await.unwrap_or_else(panicked)?)))
    }

    fn fetch_ahead(&mut self) {
        let mut bytes: u64 = self.coming.iter().map(|(segment, _)| segment.size_bytes).sum();
        while self.coming.len() < AHEAD
            && let Some(segment) = self.left.pop_front()
        {
            bytes += segment.size_bytes;
            if bytes > AHEAD_BYTES && !self.coming.is_empty() {
                self.left.push_front(segment);
                return;
            }
            let (inner, of) = (self.inner.clone(), segment.clone());
            let coming = self.inner.runtime.spawn(async move { inner.fetch(&of).await });
            self.coming.push_back((segment, coming));
        }
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.coming.iter().for_each(|(_, coming)| coming.abort());
    }
}

fn forgotten() -> Error {
    Error::unavailable("a segment of the log was forgotten while it was to be read")
}

fn no_frame(segment: &Segment, frame: &FrameRef) -> Error {
    let offset = frame.position.saturating_sub(segment.place.start);
    Error::corrupt(format!("log segment {} is damaged at offset {offset}", segment.object))
}
