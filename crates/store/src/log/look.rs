//! A segment looked at as it lies on a disk, read and never written: also while a server appends to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use model::error::{Context, Error, Result};

use super::frame::{Head, u32_at, u64_at};
use super::recovery::{check_torn, used};
use super::segment::{self, HEADER, Header};

/// How often a segment is read whose end may just be written.
const TRIES: usize = 4;
const WAIT: Duration = Duration::from_millis(50);

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The position of its first byte in the log, by its name.
    pub start: u64,
    /// Of its header; none where that is damaged.
    pub version: Option<u32>,
    pub size_bytes: u64,
    /// The position behind the last whole frame.
    pub end: u64,
    pub held: Held,
    pub datasets: BTreeMap<u64, Held>,
    pub tail: Tail,
}

/// What frames hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub frames: u64,
    /// Frames whose records are sealed.
    pub sealed: u64,
    pub records: u64,
    pub bytes: u64,
    /// The position of the first of them,
    pub position_min: Option<u64>,
    /// and of the last.
    pub position_max: Option<u64>,
    pub sequence_min: Option<u64>,
    pub sequence_max: Option<u64>,
}

/// What lies behind the last whole frame; offsets are in bytes from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, or zeros.
    Free { bytes: u64 },
    /// A write that a crash cut off, or that goes on at this moment; nothing of it was acknowledged.
    Torn { offset: u64, bytes: u64 },
    /// Bytes that were durable once are not what they were.
    Damaged { offset: u64 },
}

/// Reads a segment, whose place in the log is told by its name.
///
/// # Errors
/// `Invalid` when its name is none of a segment; `Corrupt` when another release wrote it; `Unavailable` when it can't be read.
pub fn look(file: &Path) -> Result<Segment> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let not_named = || {
        Error::invalid(format!(
            "{name} does not bear a segment's name: its start in the log in 20 digits, and .log"
        ))
    };
    let start = segment::start_of(&name).ok_or_else(not_named)?;
    let mut tries = TRIES;
    loop {
        let bytes = fs::read(file).unavailable(|| format!("read {}", file.display()))?;
        let next = next_start(file, start);
        let found = of_bytes(&bytes, start, next)?;
        tries -= 1;
        if tries == 0 || !matches!(found.tail, Tail::Torn { .. }) {
            return Ok(found);
        }
        thread::sleep(WAIT);
    }
}

// The start of the segment behind this one: it was begun when all of this one was durable.
fn next_start(file: &Path, start: u64) -> Option<u64> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).ok()?;
    let starts = entries.filter_map(|entry| segment::start_of(&entry.ok()?.file_name().to_string_lossy()));
    starts.filter(|other| *other > start).min()
}

fn of_bytes(bytes: &[u8], start: u64, next: Option<u64>) -> Result<Segment> {
    let version = match segment::check_header(bytes, start) {
        Header::Damaged => None,
        Header::OtherVersion(version) => {
            return Err(Error::corrupt(format!(
                "log segment {} has format {version}, which this release does not read",
                segment::name(start)
            )));
        }
        Header::Whole | Header::Older => Some(u32_at(bytes, 8)),
    };
    let mut found = Segment {
        start,
        version,
        size_bytes: bytes.len() as u64,
        end: start,
        held: Held::default(),
        datasets: BTreeMap::new(),
        tail: Tail::Free { bytes: 0 },
    };
    let mut end = 0;
    if version.is_some() {
        let first = start + HEADER as u64;
        end = HEADER;
        while let Some(head) = bytes.get(end..).and_then(|rest| Head::check(rest, start + end as u64, first))
        {
            let position = start + end as u64;
            found.held.add(&head, position);
            found.datasets.entry(head.dataset_id).or_default().add(&head, position);
            end += head.size_bytes as usize;
        }
    }
    found.end = start + end as u64;
    found.tail = tail(bytes, start, end, next);
    Ok(found)
}

fn tail(bytes: &[u8], start: u64, end: usize, next: Option<u64>) -> Tail {
    let offset = end as u64;
    let torn = used(&bytes[end..]) as u64;
    if next.is_some_and(|next| start + offset != next) {
        return Tail::Damaged { offset };
    }
    match (torn, check_torn(bytes, start, end)) {
        (0, _) => Tail::Free { bytes: (bytes.len() - end) as u64 },
        (_, Err(_)) => Tail::Damaged { offset },
        (bytes, Ok(())) => Tail::Torn { offset, bytes },
    }
}

impl Held {
    fn add(&mut self, head: &Head, position: u64) {
        let last = head.first_sequence.saturating_add(u64::from(head.count.saturating_sub(1)));
        self.frames += 1;
        self.sealed += u64::from(head.is_sealed());
        self.records += u64::from(head.count);
        self.bytes += u64::from(head.size_bytes);
        self.position_min.get_or_insert(position);
        self.position_max = Some(position);
        self.sequence_min =
            Some(self.sequence_min.map_or(head.first_sequence, |min| min.min(head.first_sequence)));
        self.sequence_max = self.sequence_max.max(Some(last));
    }
}

/// Whether a file begins as segments do.
pub fn is_segment(head: &[u8]) -> bool {
    head.starts_with(segment::MAGIC)
}

/// Where the segment in these bytes says that it starts.
pub fn start_in(head: &[u8]) -> Option<u64> {
    (head.len() >= HEADER && is_segment(head)).then(|| u64_at(head, 16))
}

#[cfg(test)]
mod tests {
    use super::super::frame::Batch;
    use super::*;

    const START: u64 = 1000;

    /// A segment of three writes: of dataset 7, of 7 and 8, of 7.
    fn segment() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = segment::header(START).to_vec();
        let mut offsets = Vec::new();
        let mut group = 0;
        for (n, (dataset, begins)) in [(7, true), (7, true), (8, false), (7, true)].into_iter().enumerate() {
            let position = START + bytes.len() as u64;
            group = if begins { position } else { group };
            let mut batch = Batch::new(dataset, 1);
            batch.push(b"one").unwrap();
            batch.push(b"two").unwrap();
            offsets.push(bytes.len());
            bytes.extend_from_slice(batch.seal(position, group, 10 + 2 * n as u64));
        }
        bytes.extend_from_slice(&[0; 100]);
        (bytes, offsets)
    }

    #[test]
    fn frames_are_counted_by_dataset() {
        let (bytes, offsets) = segment();
        let found = of_bytes(&bytes, START, None).unwrap();
        assert_eq!((found.version, found.tail), (Some(2), Tail::Free { bytes: 100 }));
        assert_eq!((found.held.frames, found.held.records, found.held.sealed), (4, 8, 0));
        assert_eq!((found.held.sequence_min, found.held.sequence_max), (Some(10), Some(17)));
        let of_8 = &found.datasets[&8];
        assert_eq!((of_8.frames, of_8.position_min), (1, Some(START + offsets[2] as u64)));
        assert_eq!(found.datasets[&7].frames, 3);
    }

    #[test]
    fn damage_is_told_from_a_torn_end() {
        let (mut bytes, offsets) = segment();
        bytes[offsets[1] + 50] ^= 1;
        let offset = offsets[1] as u64;
        assert_eq!(of_bytes(&bytes, START, None).unwrap().tail, Tail::Damaged { offset });
        let (mut bytes, offsets) = segment();
        bytes[offsets[3] + 50] ^= 1;
        let found = of_bytes(&bytes, START, None).unwrap();
        let offset = offsets[3] as u64;
        assert!(matches!(found.tail, Tail::Torn { offset: at, .. } if at == offset), "{found:?}");
        // A later segment tells that it was durable.
        let end = START + bytes.len() as u64 - 100;
        assert_eq!(of_bytes(&bytes, START, Some(end)).unwrap().tail, Tail::Damaged { offset });
    }

    #[test]
    fn a_damaged_header_is_damage_where_frames_lie_behind_it() {
        let (mut bytes, _) = segment();
        bytes[9] ^= 1;
        let found = of_bytes(&bytes, START, None).unwrap();
        assert_eq!((found.version, found.tail), (None, Tail::Damaged { offset: 0 }));
        let found = of_bytes(&[0; 64], START, None).unwrap();
        assert_eq!((found.version, found.tail), (None, Tail::Free { bytes: 64 }));
    }

    #[test]
    fn a_segment_on_a_disk_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(segment::name(START));
        let (bytes, _) = segment();
        fs::write(&file, &bytes).unwrap();
        assert_eq!(look(&file).unwrap(), of_bytes(&bytes, START, None).unwrap());
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let other = dir.path().join("copy.log");
        fs::write(&other, &bytes).unwrap();
        assert!(look(&other).unwrap_err().message().contains("copy.log"));
    }
}
