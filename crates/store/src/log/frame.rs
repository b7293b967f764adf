//! One call's records as one frame of the log: how it is gathered, sealed with its checksum, checked and read.

use std::ops::Range;

use model::error::{Error, Result};
use seal::{Closed, Opener, SERIES_BYTES, SERIES_HEAD_BYTES, Series};

/// Length and checksum, then the fixed part of the payload: group, dataset, schema version, sequence, count.
pub(super) const FRAME_HEAD: usize = 8 + PAYLOAD_HEAD;
const PAYLOAD_HEAD: usize = 8 + 8 + 4 + 8 + 4;

/// Marks the schema version of a frame whose records are sealed.
const SEALED: u32 = 1 << 31;

/// The records of one call, gathered in the bytes of their frame.
#[derive(Debug)]
pub struct Batch {
    frame: Vec<u8>,
    count: u32,
    /// The first record's number, where it has one already.
    pub(super) first_sequence: Option<u64>,
}

impl Batch {
    /// `dataset_id` names the incarnation: a dataset that is deleted and made again has another.
    pub fn new(dataset_id: u64, schema_version: u32) -> Batch {
        let mut frame = vec![0; FRAME_HEAD];
        frame[16..24].copy_from_slice(&dataset_id.to_le_bytes());
        frame[24..28].copy_from_slice(&schema_version.to_le_bytes());
        Batch { frame, count: 0, first_sequence: None }
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
        u32::try_from(self.frame.len() + SERIES_BYTES).map_err(|_| too_large())?;
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

    /// The same records, sealed: together with the dataset, the schema version and their count.
    #[must_use]
    pub fn sealed(self, series: &Series) -> Batch {
        let Batch { frame: plain, count, first_sequence } = self;
        let mut frame = Vec::with_capacity(plain.len() + SERIES_BYTES);
        frame.extend_from_slice(&plain[..FRAME_HEAD]);
        let version = u32_at(&plain, 24) | SEALED;
        frame[24..28].copy_from_slice(&version.to_le_bytes());
        let about = about(u64_at(&plain, 16), version, count);
        series.seal(&plain[FRAME_HEAD..], &about, &mut frame);
        Batch { frame, count, first_sequence }
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
    pub(super) is_sealed: bool,
    bytes: Vec<u8>,
    /// Where the records lie.
    body: Range<usize>,
}

impl Frame {
    /// The same records, sealed or not as they are, to be written once more under their numbers.
    pub(super) fn again(self) -> Batch {
        Batch { frame: self.bytes, count: self.count, first_sequence: Some(self.first_sequence) }
    }

    /// The same frame with the position and the number that it has in the whole log.
    pub(super) fn placed(self, position: u64, first_sequence: u64) -> Frame {
        Frame { position, first_sequence, ..self }
    }

    /// Reads a whole frame; `None` when a bit of it is not as it was written, or it lay elsewhere.
    pub(super) fn read(bytes: Vec<u8>, position: u64, first: u64) -> Option<Frame> {
        let head = Head::check(&bytes, position, first)?;
        let body = FRAME_HEAD..bytes.len();
        (head.size_bytes as usize == bytes.len()).then_some(Frame {
            position,
            dataset_id: head.dataset_id,
            schema_version: head.schema_version & !SEALED,
            first_sequence: head.first_sequence,
            count: head.count,
            is_sealed: head.is_sealed(),
            bytes,
            body,
        })
    }

    /// The same frame with its records open; one that is not sealed stays as it is.
    ///
    /// # Errors
    /// `Corrupt` when it was sealed under a key that is not there, or is not what was sealed.
    pub fn opened(mut self, opener: &mut Opener<'_>) -> Result<Frame> {
        if self.is_sealed {
            let about = about(self.dataset_id, self.schema_version | SEALED, self.count);
            let position = self.position;
            let opened = opener.open(&mut self.bytes[FRAME_HEAD..], &about);
            let size = opened.map_err(|why| closed(position, why))?.len();
            let start = FRAME_HEAD + SERIES_HEAD_BYTES;
            (self.is_sealed, self.body) = (false, start..start + size);
        }
        match holds(&self.bytes[self.body.clone()], self.count) {
            true => Ok(self),
            false => Err(closed(self.position, Closed::Damaged)),
        }
    }

    /// The records' canonical bytes, in the order of the call; of a frame that is still sealed, none.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let body = if self.is_sealed { &[][..] } else { &self.bytes[self.body.clone()] };
        records(body).map_while(|record| record)
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
        // What is sealed can't be looked into here; its checksum is over the sealed bytes.
        let is_sealed = u32_at(fixed, 24) & SEALED != 0;
        let body = &frame[FRAME_HEAD..];
        let whole = checksum(frame, position) == u32_at(fixed, 4)
            && if is_sealed { body.len() >= SERIES_BYTES } else { holds(body, count) };
        whole.then(|| Head {
            size_bytes: u32_at(fixed, 0) + 8,
            group,
            dataset_id: u64_at(fixed, 16),
            schema_version: u32_at(fixed, 24),
            first_sequence: u64_at(fixed, 28),
            count,
        })
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.schema_version & SEALED != 0
    }
}

/// What the records of a frame are sealed together with.
fn about(dataset_id: u64, schema_version: u32, count: u32) -> [u8; 16] {
    let mut about = [0; 16];
    about[..8].copy_from_slice(&dataset_id.to_le_bytes());
    about[8..12].copy_from_slice(&schema_version.to_le_bytes());
    about[12..].copy_from_slice(&count.to_le_bytes());
    about
}

fn closed(position: u64, why: Closed) -> Error {
    Error::corrupt(match why {
        Closed::OtherKey => {
            format!("the frame at position {position} of the log is sealed under another key")
        }
        Closed::Damaged => format!("the frame at position {position} of the log is not what was sealed"),
    })
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
    use std::sync::Arc;

    use model::ErrorKind;
    use model::clock::SystemClock;
    use seal::{DataKeys, SealingKey};

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

    fn keys() -> DataKeys {
        DataKeys::sealing(SealingKey::new([7; 32]), Arc::new(SystemClock))
    }

    fn hidden(records: &[&[u8]], dataset_id: u64) -> Vec<u8> {
        let mut batch = Batch::new(dataset_id, 2);
        records.iter().for_each(|record| batch.push(record).unwrap());
        batch.sealed(keys().series().unwrap()).seal(1000, 900, 42).to_vec()
    }

    #[test]
    fn sealed_records_are_read_back_with_their_key_alone() {
        let bytes = hidden(&[b"one", b"", b"three"], 7);
        assert!(!bytes.windows(3).any(|found| found == b"one"));
        let frame = Frame::read(bytes, 1000, 32).unwrap();
        assert_eq!((frame.schema_version, frame.first_sequence, frame.count), (2, 42, 3));
        assert_eq!(frame.records().count(), 0);
        let refused = frame.clone().opened(&mut Opener::new(&DataKeys::default())).unwrap_err();
        assert!(refused.message().contains("position 1000") && refused.message().contains("another key"));
        let frame = frame.opened(&mut Opener::new(&keys())).unwrap();
        assert_eq!(frame.records().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn sealed_records_of_another_dataset_are_refused() {
        let mut bytes = hidden(&[b"record"], 7);
        bytes[16] = 8;
        let crc = checksum(&bytes, 1000);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        let frame = Frame::read(bytes, 1000, 32).unwrap();
        assert_eq!(frame.dataset_id, 8);
        assert_eq!(frame.opened(&mut Opener::new(&keys())).unwrap_err().kind, ErrorKind::Corrupt);
    }

    #[test]
    fn no_flipped_bit_of_a_sealed_frame_goes_unseen() {
        let whole = hidden(&[b"record"], 7);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::read(bytes, 1000, 32).is_none(), "bit {bit}");
        }
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
