//! Segments of a log that several nodes share: objects whose one order the catalog decides.

use serde::{Deserialize, Serialize};

/// What a segment holds of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub dataset_id: u64,
    pub frames: u64,
    pub records: u64,
    pub bytes: u64,
    /// The offset of the first of these frames.
    pub oldest: u64,
}

/// A segment whose object is stored, and that has no place yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSegment {
    pub object: String,
    /// The session of the node that wrote it.
    pub node: String,
    pub size_bytes: u64,
    /// How many sequence numbers its records need; none when they were written before and keep theirs.
    pub numbers: u64,
    /// The lowest position at which its records lay when they were written before.
    pub again_from: Option<u64>,
    /// By dataset, in ascending order.
    pub holds: Vec<Held>,
}

/// Where a segment lies in the order of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The position at which it starts; it ends its size behind that.
    pub start: u64,
    /// What is added to the sequence numbers in it.
    pub sequence_base: u64,
}

/// A segment of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub object: String,
    pub place: Place,
    pub size_bytes: u64,
    /// Whether its records were written before and kept their numbers.
    pub is_again: bool,
    pub holds: Vec<Held>,
}

impl Segment {
    /// The position behind it.
    pub fn end(&self) -> u64 {
        self.place.start + self.size_bytes
    }
}

/// The log from a position on, as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Where the oldest segment starts that is not cleared away; the end when there is none.
    pub start: u64,
    /// No segment that starts below is missing in the list.
    pub end: u64,
    /// Above the numbers of all records below the end.
    pub sequence: u64,
    /// In order; those that were cleared away are not in it.
    pub segments: Vec<Segment>,
}
