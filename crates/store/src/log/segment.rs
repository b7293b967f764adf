//! One file of the log: its name, its header, and the segment that is being written.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::frame::{u32_at, u64_at};
use crate::disk::{Disk, DiskFile, is_full};
use crate::measured;

pub(super) const HEADER: usize = 32;
pub(super) const MAGIC: &[u8; 8] = b"LADE LOG";
/// What is written: frames may be sealed.
const VERSION: u32 = 2;
/// No frame is sealed; a release that knows of no others would cut sealed ones off as torn.
const OLDER: u32 = 1;

/// The ending of a segment that is being made; it holds no frame before it bears its real name.
pub(super) const UNFINISHED: &str = ".log.new";

/// The file name of the segment that starts at a position: 20 digits and `.log`.
pub(super) fn name(start: u64) -> String {
    format!("{start:020}.log")
}

/// The start position in a segment's file name; `None` for other names.
pub(super) fn start_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".log")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// What a segment's first 32 bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    Whole,
    /// Written by an earlier release: what is read here, but no place for what is written here.
    Older,
    /// Written by another release, which alone can read the frames.
    OtherVersion(u32),
    Damaged,
}

/// The header: magic, version, start, checksum of these; little end first, unused bytes zero.
pub(super) fn header(start: u64) -> [u8; HEADER] {
    header_of(start, VERSION)
}

fn header_of(start: u64, version: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    header[16..24].copy_from_slice(&start.to_le_bytes());
    let crc = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(super) fn check_header(bytes: &[u8], start: u64) -> Header {
    let Some(header) = bytes.get(..HEADER) else { return Header::Damaged };
    let whole = crc32c::crc32c(&header[..28]) == u32_at(header, 28);
    if !whole || &header[..8] != MAGIC || u64_at(header, 16) != start {
        return Header::Damaged;
    }
    match u32_at(header, 8) {
        VERSION => Header::Whole,
        OLDER => Header::Older,
        other => Header::OtherVersion(other),
    }
}

/// Why a group of frames did not become durable.
pub(super) enum Failure {
    /// The log is as it was before: this group is refused, the next may fare better.
    Refused(&'static str, io::Error),
    /// What is on disk is unknown: nothing may be acknowledged any more.
    Broken(io::Error),
}

impl Failure {
    fn of(error: io::Error) -> Failure {
        if is_full(&error) { Failure::full(error) } else { Failure::Broken(error) }
    }

    fn full(error: io::Error) -> Failure {
        Failure::Refused("no space left on the data disk", error)
    }
}

/// The segment that takes the next frames.
pub(super) struct Segment {
    pub(super) start: u64,
    /// The position behind the last durable frame.
    pub(super) end: u64,
    /// Bytes of the file for which disk space was taken.
    pub(super) allocated: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Segment {
    /// Makes an empty segment, durable under its name.
    ///
    /// It is finished under another name first, so that a crash leaves no segment without its header.
    pub(super) fn create(disk: &dyn Disk, start: u64, segment_bytes: u64) -> Result<Segment, Failure> {
        let unfinished = format!("{start:020}{UNFINISHED}");
        let file = disk
            .create(&unfinished)
            .map_err(|e| Failure::Refused("the data disk took no new log segment", e))?;
        let mut segment = Segment { start, end: start + HEADER as u64, allocated: 0, file };
        if let Err(failure) = segment.begin(segment_bytes) {
            // What stays behind is removed by the next start.
            let _ = disk.remove(&unfinished);
            return Err(failure);
        }
        segment.file.sync().map_err(Failure::Broken)?;
        disk.rename(&unfinished, &name(start)).map_err(Failure::Broken)?;
        disk.sync().map_err(Failure::Broken)?;
        Ok(segment)
    }

    fn begin(&mut self, segment_bytes: u64) -> Result<(), Failure> {
        self.reserve(HEADER as u64, segment_bytes)?;
        self.file.write_all_at(&header(self.start), 0).map_err(Failure::of)
    }

    /// Whether it holds no frame.
    pub(super) fn is_empty(&self) -> bool {
        self.end - self.start == HEADER as u64
    }

    /// Whether a group belongs into this segment. A group larger than a segment gets one of its own.
    pub(super) fn takes(&self, group_bytes: u64, segment_bytes: u64) -> bool {
        self.is_empty() || self.end - self.start + group_bytes <= segment_bytes
    }

    /// Writes a group of frames behind the last one and makes it durable.
    pub(super) fn append(&mut self, group: &[u8], segment_bytes: u64) -> Result<(), Failure> {
        let used = self.end - self.start;
        self.reserve(used + group.len() as u64, segment_bytes)?;
        if let Err(e) = self.file.write_all_at(group, used) {
            return Err(self.take_back(used, e));
        }
        let began = Instant::now();
        self.file.sync().map_err(Failure::Broken)?;
        measured::FSYNC.observe(began.elapsed());
        measured::WRITTEN.add(group.len() as u64);
        self.end += group.len() as u64;
        Ok(())
    }

    // A whole segment at once where the disk has room, else just what is needed.
    fn reserve(&mut self, need: u64, segment_bytes: u64) -> Result<(), Failure> {
        if need <= self.allocated {
            return Ok(());
        }
        let whole = need.max(segment_bytes);
        self.allocated = match self.file.allocate(whole) {
            Ok(()) => whole,
            Err(e) if is_full(&e) => {
                self.file.allocate(need).map_err(Failure::of)?;
                need
            }
            Err(e) => return Err(Failure::Broken(e)),
        };
        Ok(())
    }

    // Bytes of a refused group must not stay: the next one may be shorter, and they would follow it; and a power cut
    // must not bring them back, least of all behind the end of a segment that is finished by then.
    fn take_back(&mut self, used: u64, error: io::Error) -> Failure {
        if !is_full(&error) {
            return Failure::Broken(error);
        }
        self.allocated = used;
        match self.file.set_len(used).and_then(|()| self.file.sync()) {
            Ok(()) => Failure::full(error),
            Err(e) => Failure::Broken(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_named_by_its_start() {
        assert_eq!(name(1234), "00000000000000001234.log");
        assert_eq!(start_of(&name(u64::MAX)), Some(u64::MAX));
        for other in
            ["1.log", "00000000000000001234.log.new", "+0000000000000001234.log", "99999999999999999999.log"]
        {
            assert_eq!(start_of(other), None, "{other}");
        }
    }

    #[test]
    fn no_flipped_bit_of_a_header_goes_unseen() {
        for bit in 0..HEADER * 8 {
            let mut bytes = header(77);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check_header(&bytes, 77), Header::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_header_tells_another_release_from_damage() {
        assert_eq!(check_header(&header(77), 77), Header::Whole);
        assert_eq!(check_header(&header_of(77, 1), 77), Header::Older);
        assert_eq!(check_header(&header_of(77, 3), 77), Header::OtherVersion(3));
        assert_eq!(check_header(&header(77), 78), Header::Damaged);
    }
}
