//! What a node knows of the shared log: its segments, and how much of which dataset they hold.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use model::segment::{Held, Segment, Segments};

use crate::log::index::Pending;

/// The segments without a gap up to an end.
#[derive(Default)]
pub(super) struct Known {
    segments: BTreeMap<u64, Arc<Segment>>,
    datasets: HashMap<u64, Dataset>,
    /// Segments of this node, by start, before which lie some of others that are not known yet.
    ahead: BTreeMap<u64, Segment>,
    start: u64,
    end: u64,
    sequence: u64,
    /// Datasets that are gone, of which segments still hold something.
    forgotten: HashSet<u64>,
}

/// What the known segments hold of a dataset.
#[derive(Default)]
struct Dataset {
    /// By start of the segment.
    held: VecDeque<(u64, Held)>,
    sum: Pending,
}

impl Known {
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Takes in a list of all segments from an end on that was known before; others may have come meanwhile.
    pub(super) fn learn(&mut self, found: Segments) {
        for segment in found.segments {
            if segment.place.start >= self.end {
                // What lies between was cleared away, else it would be in the list.
                self.end = segment.place.start;
                self.push(segment);
            }
        }
        self.sequence = self.sequence.max(found.sequence);
        self.end = self.end.max(found.end);
        self.catch_up();
        self.clear_before(found.start);
    }

    /// Adds a segment that this node has written; it shows once all before it are known.
    pub(super) fn add(&mut self, segment: Segment) {
        if segment.place.start >= self.end {
            self.ahead.insert(segment.place.start, segment);
            self.catch_up();
        }
    }

    fn catch_up(&mut self) {
        while let Some(first) = self.ahead.first_entry()
            && *first.key() <= self.end
        {
            let (start, segment) = first.remove_entry();
            if start == self.end {
                self.push(segment);
            }
        }
    }

    fn push(&mut self, segment: Segment) {
        let start = segment.place.start;
        for held in segment.holds.iter().filter(|held| !self.forgotten.contains(&held.dataset_id)) {
            self.datasets.entry(held.dataset_id).or_default().push(start, *held);
        }
        self.end = segment.end();
        if self.segments.is_empty() {
            self.start = start;
        }
        self.segments.insert(start, Arc::new(segment));
    }

    fn clear_before(&mut self, start: u64) {
        while let Some(first) = self.segments.first_entry()
            && *first.key() < start
        {
            let segment = first.remove();
            for held in &segment.holds {
                if let Some(dataset) = self.datasets.get_mut(&held.dataset_id)
                    && dataset.pop(segment.place.start)
                {
                    self.datasets.remove(&held.dataset_id);
                }
            }
        }
        self.start = self.segments.first_key_value().map_or(self.end, |(start, _)| *start);
        if !self.forgotten.is_empty() {
            let held: HashSet<u64> =
                self.segments.values().flat_map(|s| s.holds.iter().map(|held| held.dataset_id)).collect();
            self.forgotten.retain(|dataset_id| held.contains(dataset_id));
        }
    }

    pub(super) fn has_before(&self, position: u64) -> bool {
        self.segments.values().next().is_some_and(|first| first.end() <= position)
    }

    pub(super) fn segment_of(&self, position: u64) -> Option<Arc<Segment>> {
        let (_, segment) = self.segments.range(..=position).next_back()?;
        (position < segment.end()).then(|| segment.clone())
    }

    /// The segments that hold frames of the dataset and overlap a range, in order.
    pub(super) fn segments_of(&self, dataset_id: u64, (from, to): (u64, u64)) -> Vec<Arc<Segment>> {
        let Some(dataset) = self.datasets.get(&dataset_id) else { return Vec::new() };
        let of = |(start, _): &(u64, Held)| self.segments.get(start).cloned();
        let overlaps = |segment: &Arc<Segment>| segment.place.start < to && segment.end() > from;
        dataset.held.iter().filter_map(of).filter(overlaps).collect()
    }

    /// What the dataset has in segments that end behind `since`.
    pub(super) fn pending(&self, dataset_id: u64, since: u64) -> Pending {
        let Some(dataset) = self.datasets.get(&dataset_id) else { return Pending::default() };
        let is_before = |(start, _): &(u64, Held)| self.segments.get(start).is_none_or(|s| s.end() <= since);
        match dataset.held.partition_point(is_before) {
            0 => dataset.sum,
            first => sum(dataset.held.range(first..)),
        }
    }

    pub(super) fn datasets(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.datasets.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn forget_dataset(&mut self, dataset_id: u64) {
        if self.datasets.remove(&dataset_id).is_some() {
            self.forgotten.insert(dataset_id);
        }
    }
}

impl Dataset {
    fn push(&mut self, start: u64, held: Held) {
        self.held.push_back((start, held));
        add(&mut self.sum, start, &held);
    }

    /// Drops what the oldest segment holds, if it is this one; true when nothing is left.
    fn pop(&mut self, start: u64) -> bool {
        if let Some((_, held)) = self.held.pop_front_if(|(first, _)| *first == start) {
            self.sum.frames -= held.frames;
            self.sum.records -= held.records;
            self.sum.bytes -= held.bytes;
            self.sum.oldest = self.held.front().map(|(start, held)| start + held.oldest);
        }
        self.held.is_empty()
    }
}

fn sum<'a>(held: impl Iterator<Item = &'a (u64, Held)>) -> Pending {
    let mut sum_of_all = Pending::default();
    held.for_each(|(start, held)| add(&mut sum_of_all, *start, held));
    sum_of_all
}

fn add(sum: &mut Pending, start: u64, held: &Held) {
    sum.oldest.get_or_insert(start + held.oldest);
    sum.frames += held.frames;
    sum.records += held.records;
    sum.bytes += held.bytes;
}
