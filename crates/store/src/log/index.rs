//! Which frames the log holds of each dataset, and where: kept in memory, rebuilt at every start.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::disk::DiskFile;

/// Where one durable frame lies, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef {
    pub position: u64,
    pub first_sequence: u64,
    /// The whole frame's size in the log.
    pub size_bytes: u32,
    /// Records in the frame.
    pub count: u32,
}

/// What a dataset has in the log behind a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    pub frames: u64,
    pub records: u64,
    pub bytes: u64,
    /// The position of the oldest of these frames.
    pub oldest: Option<u64>,
}

/// All durable frames, by segment and dataset: what a segment holds is forgotten with it.
pub(super) struct Index {
    /// Ordered by start; the last one is being written.
    segments: VecDeque<SegmentFrames>,
    /// The position behind the last durable frame.
    pub(super) durable: u64,
    /// Above the numbers of all durable records that were put since the start; 0 before the first.
    pub(super) sequence: u64,
}

/// An open segment and its frames.
pub(super) struct SegmentFrames {
    pub(super) start: u64,
    pub(super) file: Arc<dyn DiskFile>,
    datasets: HashMap<u64, Frames>,
}

#[derive(Default)]
struct Frames {
    refs: Vec<FrameRef>,
    records: u64,
    bytes: u64,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { segments: VecDeque::new(), durable: 0, sequence: 0 }
    }

    /// Adds an empty segment behind all others.
    pub(super) fn open_segment(&mut self, start: u64, file: Arc<dyn DiskFile>) {
        self.segments.push_back(SegmentFrames { start, file, datasets: HashMap::new() });
    }

    /// Adds a frame to the last segment.
    pub(super) fn add(&mut self, dataset_id: u64, frame: FrameRef) {
        let last = self.segments.back_mut().expect("a frame comes after its segment");
        let frames = last.datasets.entry(dataset_id).or_default();
        frames.refs.push(frame);
        frames.records += u64::from(frame.count);
        frames.bytes += u64::from(frame.size_bytes);
    }

    /// The dataset's frames at positions of `range`, oldest first.
    pub(super) fn frames(&self, dataset_id: u64, range: Range<u64>) -> Vec<FrameRef> {
        let segments = self.segments.iter().filter_map(|s| s.datasets.get(&dataset_id));
        let found = segments.flat_map(|frames| &frames.refs[frames.within(&range)]).copied().collect();
        without_repeats(found)
    }

    /// What the dataset has at `since` and behind it. Costs a step a segment and a frame of the segment of `since`.
    pub(super) fn pending(&self, dataset_id: u64, since: u64) -> Pending {
        let mut pending = Pending::default();
        for frames in self.segments.iter().filter_map(|s| s.datasets.get(&dataset_id)) {
            frames.count_into(&mut pending, since);
        }
        pending
    }

    /// The datasets that have frames, in ascending order.
    pub(super) fn datasets(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.segments.iter().flat_map(|s| s.datasets.keys().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The segment that holds a position.
    pub(super) fn segment_of(&self, position: u64) -> Option<&SegmentFrames> {
        let behind = self.segments.partition_point(|s| s.start <= position);
        self.segments.get(behind.checked_sub(1)?)
    }

    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The start of the oldest segment.
    pub(super) fn start(&self) -> u64 {
        self.segments.front().map_or(self.durable, |s| s.start)
    }

    /// The start of the oldest segment if it ends at or before `position`; never the one that is being written.
    pub(super) fn oldest_before(&self, position: u64) -> Option<u64> {
        let next = self.segments.get(1)?;
        (next.start <= position).then(|| self.start())
    }

    /// Drops the oldest segment if it starts at `start`.
    pub(super) fn forget_segment(&mut self, start: u64) {
        if self.segments.front().is_some_and(|s| s.start == start) {
            self.segments.pop_front();
        }
    }

    pub(super) fn forget_dataset(&mut self, dataset_id: u64) {
        self.segments.iter_mut().for_each(|s| drop(s.datasets.remove(&dataset_id)));
    }
}

// A frame that was written again bears the number of the first; numbers only grow where there is none.
fn without_repeats(mut frames: Vec<FrameRef>) -> Vec<FrameRef> {
    if !frames.is_sorted_by(|a, b| a.first_sequence < b.first_sequence) {
        let mut seen = HashSet::new();
        frames.retain(|frame| seen.insert(frame.first_sequence));
    }
    frames
}

impl Frames {
    fn within(&self, range: &Range<u64>) -> Range<usize> {
        let from = self.refs.partition_point(|f| f.position < range.start);
        let to = self.refs.partition_point(|f| f.position < range.end);
        from..to.max(from)
    }

    fn count_into(&self, pending: &mut Pending, since: u64) {
        let counted = &self.refs[self.within(&(since..u64::MAX))];
        let Some(oldest) = counted.first() else { return };
        pending.oldest.get_or_insert(oldest.position);
        pending.frames += counted.len() as u64;
        if counted.len() == self.refs.len() {
            pending.records += self.records;
            pending.bytes += self.bytes;
        } else {
            pending.records += counted.iter().map(|f| u64::from(f.count)).sum::<u64>();
            pending.bytes += counted.iter().map(|f| u64::from(f.size_bytes)).sum::<u64>();
        }
    }
}
