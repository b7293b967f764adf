//! One call's records as one frame of the log: how it is gathered, sealed with its checksum, checked and read.

use model::error::{Error, Result};

/// Length and checksum, then the fixed part of the payload: group, dataset, schema version, sequence, count.
pub(super) const FRAME_HEAD: usize = 8 + PAYLOAD_HEAD;
const PAYLOAD_HEAD: usize = 8 + 8 + 4 + 8 + 4;

/// The records of one call, gathered in the bytes of their frame.
#[derive(Debug)]
pub struct Batch {
    frame: Vec<u8>,
    count: u32,
}

impl Batch {
    /// `dataset_id` names the incarnation: a dataset that is deleted and made again has another.
    pub fn new(dataset_id: u64, schema_version: u32) -> Batch {
        let mut frame = vec![0; FRAME_HEAD];
        frame[16..24].copy_from_slice(&dataset_id.to_le_bytes());
        frame[24..28].copy_from_slice(&schema_version.to_le_bytes());
        Batch { frame, count: 0 }
    }

    /// Adds a record; `write` appends its canonical bytes to what it is given.
    ///
    /// # Errors
    /// `Invalid` when the record or the whole batch is past 4 GiB; the batch is then of no more use.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let at = self.frame.len();
        self.frame.extend_from_slice(&[0; 4]);
        write(&mut self.frame);
        let len = u32::try_from(self.frame.len() - at - 4).map_err(|_| too_large())?;
        u32::try_from(self.frame.len()).map_err(|_| too_large())?;
        self.frame[at..at + 4].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        Ok(())
    }

    /// Adds a record's canonical bytes.
    ///
    /// # Errors
    /// As `push_with`.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        self.push_with(|frame| frame.extend_from_slice(record))
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// The frame's size in the log.
    pub fn size_bytes(&self) -> usize {
        self.frame.len()
    }

    pub(super) fn dataset_id(&self) -> u64 {
        u64_at(&self.frame, 16)
    }

    /// Writes what is known only when the frame's place is: gives the finished frame.
    ///
    /// `group` is the position of the first frame that the same write brings to disk.
    pub(super) fn seal(&mut self, position: u64, group: u64, first_sequence: u64) -> &[u8] {
        let frame = &mut self.frame;
        let len = u32::try_from(frame.len() - 8).expect("push keeps a batch below 4 GiB");
        frame[..4].copy_from_slice(&len.to_le_bytes());
        frame[8..16].copy_from_slice(&group.to_le_bytes());
        frame[28..36].copy_from_slice(&first_sequence.to_le_bytes());
        frame[36..40].copy_from_slice(&self.count.to_le_bytes());
        let crc = checksum(frame, position);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        frame
    }
}

pub(super) fn too_large() -> Error {
    Error::invalid("The records of this call are too large.")
}

/// One call's records, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub position: u64,
    pub dataset_id: u64,
    pub schema_version: u32,
    /// The sequence number of the first record; the others count on from it.
    pub first_sequence: u64,
    pub count: u32,
    bytes: Vec<u8>,
}

impl Frame {
    /// Reads a whole frame; `None` when a bit of it is not as it was written, or it lay elsewhere.
    pub(super) fn read(bytes: Vec<u8>, position: u64, first: u64) -> Option<Frame> {
        let head = Head::check(&bytes, position, first)?;
        (head.size_bytes as usize == bytes.len()).then_some(Frame {
            position,
            dataset_id: head.dataset_id,
            schema_version: head.schema_version,
            first_sequence: head.first_sequence,
            count: head.count,
            bytes,
        })
    }

    /// The records' canonical bytes, in the order of the call.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        records(&self.bytes[FRAME_HEAD..]).map_while(|record| record)
    }
}

/// The fixed part of a frame whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) size_bytes: u32,
    pub(super) group: u64,
    pub(super) dataset_id: u64,
    pub(super) schema_version: u32,
    pub(super) first_sequence: u64,
    pub(super) count: u32,
}

impl Head {
    /// Checks the frame that `bytes` begin with and that claims to lie at `position`.
    ///
    /// `first` is the position of its segment's first frame. The group must lie between the two, which no foreign
    /// bytes fulfil by chance: so a search through megabytes of rubbish computes no checksums.
    pub(super) fn check(bytes: &[u8], position: u64, first: u64) -> Option<Head> {
        let fixed = bytes.get(..FRAME_HEAD)?;
        let group = u64_at(fixed, 8);
        let size = (u32_at(fixed, 0) as usize).checked_add(8)?;
        if size < FRAME_HEAD || size > bytes.len() || group < first || group > position {
            return None;
        }
        let frame = &bytes[..size];
        let count = u32_at(fixed, 36);
        let whole = checksum(frame, position) == u32_at(fixed, 4) && holds(&frame[FRAME_HEAD..], count);
        whole.then(|| Head {
            size_bytes: u32_at(fixed, 0) + 8,
            group,
            dataset_id: u64_at(fixed, 16),
            schema_version: u32_at(fixed, 24),
            first_sequence: u64_at(fixed, 28),
            count,
        })
    }
}

// The position goes into the checksum, so that a frame copied to another place is no frame.
fn checksum(frame: &[u8], position: u64) -> u32 {
    let crc = crc32c::crc32c(&position.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &frame[..4]);
    crc32c::crc32c_append(crc, &frame[8..])
}

fn holds(body: &[u8], count: u32) -> bool {
    let mut found = 0u64;
    for record in records(body) {
        if record.is_none() {
            return false;
        }
        found += 1;
    }
    found == u64::from(count)
}

// Yields `None` once where the lengths lead past the end.
fn records(mut body: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let cut = body
            .split_first_chunk::<4>()
            .and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize));
        let (record, rest) = cut.map_or((None, &[][..]), |(record, rest)| (Some(record), rest));
        body = rest;
        Some(record)
    })
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(records: &[&[u8]]) -> Vec<u8> {
        let mut batch = Batch::new(7, 2);
        records.iter().for_each(|record| batch.push(record).unwrap());
        batch.seal(1000, 900, 42).to_vec()
    }

    #[test]
    fn a_frame_is_read_back_as_it_was_sealed() {
        let frame = Frame::read(sealed(&[b"one", b"", b"three"]), 1000, 32).unwrap();
        assert_eq!(
            (frame.dataset_id, frame.schema_version, frame.first_sequence, frame.count),
            (7, 2, 42, 3)
        );
        assert_eq!(frame.records().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let whole = sealed(&[b"record", b"another"]);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::read(bytes, 1000, 32).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_at_another_place_or_cut_short_is_none() {
        let whole = sealed(&[b"record"]);
        assert!(Frame::read(whole.clone(), 1001, 32).is_none());
        for cut in 0..whole.len() {
            assert!(Frame::read(whole[..cut].to_vec(), 1000, 32).is_none(), "{cut}");
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert!(Head::check(&[0; 100], 0, 0).is_none());
    }
}
