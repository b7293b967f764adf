//! A segment as one object: made of calls, and taken apart; positions and sequence numbers count from its own start.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::Bytes;
use model::error::{Error, Result};
use model::segment::{Held, Segment};

use crate::log::frame::{Batch, Frame, Head};
use crate::log::index::FrameRef;
use crate::log::segment::{self, HEADER, Header};

/// About so much goes into one object; a larger call gets one of its own.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// The folder of all segments.
pub(super) const FOLDER: &str = "log/";

/// The name of a node's object.
pub(super) fn name(node: &str, number: u64) -> String {
    format!("{FOLDER}{node}/{number:010}")
}

/// The node and the number in a name; `None` for other names.
pub(super) fn parse_name(name: &str) -> Option<(&str, u64)> {
    let (node, number) = name.strip_prefix(FOLDER)?.split_once('/')?;
    Some((node, number.parse().ok()?))
}

/// An object ready to be put.
pub(super) struct Packed {
    pub(super) bytes: Bytes,
    pub(super) holds: Vec<Held>,
    /// How many numbers its records need.
    pub(super) numbers: u64,
    /// Where each call lies; positions and numbers are relative.
    pub(super) frames: Vec<FrameRef>,
}

/// Writes calls one behind the other; those that have their numbers already keep them.
pub(super) fn pack<'a>(name: &str, batches: impl Iterator<Item = &'a mut Batch>) -> Packed {
    let mut bytes = segment::header(mark(name)).to_vec();
    let mut held: BTreeMap<u64, Held> = BTreeMap::new();
    let (mut numbers, mut frames) = (0, Vec::new());
    for batch in batches {
        let (position, count, dataset_id) = (bytes.len() as u64, batch.count(), batch.dataset_id());
        let first_sequence = batch.first_sequence.unwrap_or(numbers);
        if batch.first_sequence.is_none() {
            numbers += u64::from(count);
        }
        let size = batch.size_bytes();
        bytes.extend_from_slice(batch.seal(position, HEADER as u64, first_sequence));
        let size_bytes = u32::try_from(size).expect("push keeps a batch below 4 GiB");
        frames.push(FrameRef { position, first_sequence, size_bytes, count });
        let held = held.entry(dataset_id).or_insert(Held { dataset_id, oldest: position, ..Held::default() });
        held.frames += 1;
        held.records += u64::from(count);
        held.bytes += size as u64;
    }
    Packed { bytes: bytes.into(), holds: held.into_values().collect(), numbers, frames }
}

/// An object that was read, all of its frames checked.
pub(super) struct Parsed {
    bytes: Bytes,
    /// By dataset, in order; positions and numbers are relative.
    frames: HashMap<u64, Vec<FrameRef>>,
}

impl Parsed {
    /// # Errors
    /// `Corrupt` when a bit of it is not as it was written, or it was written under another name.
    pub(super) fn read(of: &Segment, bytes: Bytes) -> Result<Parsed> {
        let name = &of.object;
        let damaged = |at: usize| Error::corrupt(format!("log segment {name} is damaged at offset {at}"));
        match segment::check_header(&bytes, mark(name)) {
            Header::Whole => {}
            Header::OtherVersion(_) => {
                return Err(Error::corrupt(format!("log segment {name} was written by another version")));
            }
            Header::Older | Header::Damaged => return Err(damaged(0)),
        }
        if bytes.len() as u64 != of.size_bytes {
            return Err(damaged(bytes.len().min(of.size_bytes as usize)));
        }
        let (mut frames, mut at): (HashMap<u64, Vec<FrameRef>>, usize) = (HashMap::new(), HEADER);
        while at < bytes.len() {
            let position = at as u64;
            let head = Head::check(&bytes[at..], position, HEADER as u64).ok_or_else(|| damaged(at))?;
            let Head { size_bytes, first_sequence, count, .. } = head;
            let frame = FrameRef { position, first_sequence, size_bytes, count };
            frames.entry(head.dataset_id).or_default().push(frame);
            at += size_bytes as usize;
        }
        Ok(Parsed { bytes, frames })
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The dataset's frames at positions of `range`, in order, with their positions and numbers in the log.
    pub(super) fn frames(&self, of: &Segment, dataset_id: u64, range: &Range<u64>) -> Vec<FrameRef> {
        let placed = |frame: &FrameRef| FrameRef {
            position: frame.position + of.place.start,
            first_sequence: frame.first_sequence + of.place.sequence_base,
            ..*frame
        };
        let frames = self.frames.get(&dataset_id).into_iter().flatten().map(placed);
        frames.filter(|frame| range.contains(&frame.position)).collect()
    }

    /// Reads a frame that one of these names; `None` when it is not there.
    pub(super) fn frame(&self, of: &Segment, frame: &FrameRef) -> Option<Frame> {
        let position = frame.position.checked_sub(of.place.start)?;
        let from = usize::try_from(position).ok()?;
        let bytes = self.bytes.get(from..from.checked_add(frame.size_bytes as usize)?)?;
        let read = Frame::read(bytes.to_vec(), position, HEADER as u64)?;
        let first_sequence = read.first_sequence + of.place.sequence_base;
        Some(read.placed(frame.position, first_sequence))
    }
}

// In place of a start position, so that an object that bears the name of another one is told from it.
fn mark(name: &str) -> u64 {
    crc32c::crc32c(name.as_bytes()).into()
}
