//! What a start finds on disk: all segments are read, a torn end is cut off, damage elsewhere is refused.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::error::{Context, Error, Result};
use tracing::warn;

use crate::disk::{Disk, DiskFile};

use super::frame::Head;
use super::index::{FrameRef, Index};
use super::segment::{self, Failure, HEADER, Header, Segment, UNFINISHED};

/// What was found in the log when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The position at which the oldest segment starts.
    pub start: u64,
    /// The position behind the last frame. A caller that knows of a later one has lost records.
    pub durable: u64,
    pub frames: u64,
    pub records: u64,
    /// The highest sequence number of any record.
    pub sequence_max: Option<u64>,
    /// Bytes behind the last whole frame that were cut off; no call in them was ever acknowledged.
    pub dropped_bytes: u64,
}

pub(super) struct Opened {
    pub(super) index: Index,
    /// The segment that takes the next frames.
    pub(super) segment: Segment,
    pub(super) recovered: Recovered,
}

/// Reads the whole log; when it returns, all that the index holds is durable.
///
/// # Errors
/// `Corrupt` when bytes are damaged that were once durable, with the file's name and the offset; `Unavailable`
/// when the disk fails.
pub(super) fn recover(disk: &dyn Disk, segment_bytes: u64) -> Result<Opened> {
    let starts = segments(disk).unavailable(|| "list the log's segments".to_owned())?;
    let mut found = Found { index: Index::new(), recovered: Recovered::default() };
    let Some((&last, finished)) = starts.split_last() else {
        let segment = Segment::create(disk, 0, segment_bytes).map_err(not_begun)?;
        found.index.open_segment(0, Arc::clone(&segment.file));
        return Ok(found.opened(segment));
    };
    for (&start, &next) in finished.iter().zip(&starts[1..]) {
        found.read_finished(disk, start, next)?;
    }
    let (header, segment) = found.read_last(disk, last)?;
    let segment = match header {
        Header::Older => found.begin_behind(disk, &segment, segment_bytes)?,
        _ => segment,
    };
    Ok(found.opened(segment))
}

// Ascending. Segments that never got their name hold nothing.
fn segments(disk: &dyn Disk) -> std::io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for name in disk.names()? {
        match segment::start_of(&name) {
            Some(start) => starts.push(start),
            None if name.ends_with(UNFINISHED) => disk.remove(&name)?,
            None => warn!(file = %name, "a file in the log's folder is none of its segments"),
        }
    }
    // A segment that got its name just before a crash may not have it over the next power cut.
    disk.sync()?;
    starts.sort_unstable();
    Ok(starts)
}

struct Found {
    index: Index,
    recovered: Recovered,
}

/// A segment's frames without a gap from the first on.
struct Prefix {
    /// The offset behind the last of them.
    end: usize,
    /// The offset of the first frame of the last write.
    last_group: usize,
}

impl Found {
    fn opened(mut self, segment: Segment) -> Opened {
        self.index.durable = segment.end;
        self.recovered.start = self.index.start();
        self.recovered.durable = segment.end;
        Opened { index: self.index, segment, recovered: self.recovered }
    }

    // A later segment was begun only when all of this one was durable, so any gap in it is damage.
    fn read_finished(&mut self, disk: &dyn Disk, start: u64, next: u64) -> Result<()> {
        let (file, bytes) = read(disk, start)?;
        self.index.open_segment(start, file);
        if read_header(&bytes, start)? == Header::Damaged {
            return Err(damaged(start, 0));
        }
        let prefix = self.read_frames(&bytes, start);
        if start + prefix.end as u64 == next {
            return Ok(());
        }
        let (here, there) = (segment::name(start), segment::name(next));
        Err(Error::corrupt(format!(
            "log segment {here} is damaged at offset {}, or the segment behind it is missing: the next is {there}",
            prefix.end
        )))
    }

    fn read_last(&mut self, disk: &dyn Disk, start: u64) -> Result<(Header, Segment)> {
        let (file, mut bytes) = read(disk, start)?;
        self.index.open_segment(start, Arc::clone(&file));
        let header = read_header(&bytes, start)?;
        let headed = header != Header::Damaged;
        if !headed {
            check_torn(&bytes, start, 0)?;
            self.recovered.dropped_bytes = used(&bytes) as u64;
            bytes = segment::header(start).to_vec();
        }
        let prefix = self.read_frames(&bytes, start);
        let torn = used(&bytes[prefix.end..]);
        if torn > 0 {
            check_torn(&bytes, start, prefix.end)?;
            self.recovered.dropped_bytes = torn as u64;
        }
        let clean = headed && torn == 0;
        mend(&*file, &bytes, &prefix, headed, clean)
            .unavailable(|| format!("make log segment {} durable", segment::name(start)))?;
        let allocated = if clean { bytes.len() } else { prefix.end } as u64;
        Ok((header, Segment { start, end: start + prefix.end as u64, allocated, file }))
    }

    // An earlier release, started once more, must not meet frames in here that it can't read: it refuses the next segment.
    fn begin_behind(&mut self, disk: &dyn Disk, last: &Segment, segment_bytes: u64) -> Result<Segment> {
        let segment = Segment::create(disk, last.end, segment_bytes).map_err(not_begun)?;
        self.index.open_segment(segment.start, Arc::clone(&segment.file));
        Ok(segment)
    }

    fn read_frames(&mut self, bytes: &[u8], start: u64) -> Prefix {
        let mut prefix = Prefix { end: HEADER, last_group: HEADER };
        let first = start + HEADER as u64;
        while let Some(head) = Head::check(&bytes[prefix.end..], start + prefix.end as u64, first) {
            self.add(&head, start + prefix.end as u64);
            prefix.last_group = (head.group - start) as usize;
            prefix.end += head.size_bytes as usize;
        }
        prefix
    }

    fn add(&mut self, head: &Head, position: u64) {
        let Head { first_sequence, size_bytes, count, .. } = *head;
        self.index.add(head.dataset_id, FrameRef { position, first_sequence, size_bytes, count });
        let last = first_sequence.saturating_add(u64::from(count.saturating_sub(1)));
        self.recovered.frames += 1;
        self.recovered.records += u64::from(count);
        self.recovered.sequence_max = self.recovered.sequence_max.max(Some(last));
    }
}

fn read(disk: &dyn Disk, start: u64) -> Result<(Arc<dyn DiskFile>, Vec<u8>)> {
    let read = || {
        let file = disk.open(&segment::name(start))?;
        let size = usize::try_from(file.size()?).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, 0)?;
        Ok::<_, std::io::Error>((file, bytes))
    };
    read().unavailable(|| format!("read log segment {}", segment::name(start)))
}

pub(super) fn read_header(bytes: &[u8], start: u64) -> Result<Header> {
    match segment::check_header(bytes, start) {
        Header::OtherVersion(version) => Err(Error::corrupt(format!(
            "log segment {} has format {version}, which this release does not read; start the release that wrote it",
            segment::name(start)
        ))),
        header => Ok(header),
    }
}

/// Tells an end that was torn by a crash from damage, for bytes from `offset` on that are no frame.
///
/// A crash can tear only the last write, of which any part may be on disk, even its end without its middle. So a
/// frame of a *later* write proves that the bytes at `offset` were durable once.
pub(super) fn check_torn(bytes: &[u8], start: u64, offset: usize) -> Result<()> {
    let (first, bad) = (start + HEADER as u64, start + offset as u64);
    let later = |at: usize| match Head::check(&bytes[at..], start + at as u64, first) {
        Some(head) if head.group > bad => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let end = offset + used(&bytes[offset..]);
    match (offset..end).try_for_each(later) {
        ControlFlow::Break(()) => Err(damaged(start, offset)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

pub(super) fn damaged(start: u64, offset: usize) -> Error {
    Error::corrupt(format!("log segment {} is damaged at offset {offset}", segment::name(start)))
}

// The length without the zeros at the end.
pub(super) fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1)
}

// The last write is written again: after a failed sync its pages may be in memory only and yet count as written.
fn mend(
    file: &dyn DiskFile,
    bytes: &[u8],
    prefix: &Prefix,
    headed: bool,
    clean: bool,
) -> std::io::Result<()> {
    if !clean {
        let kept = if headed { prefix.end } else { 0 };
        warn!(offset = kept, "cut off the torn end of the log");
        file.set_len(kept as u64)?;
    }
    if !headed {
        file.write_all_at(&bytes[..HEADER], 0)?;
    }
    file.write_all_at(&bytes[prefix.last_group..prefix.end], prefix.last_group as u64)?;
    file.sync()
}

fn not_begun(failure: Failure) -> Error {
    match failure {
        Failure::Refused(why, cause) => Error::unavailable(why).caused_by(cause),
        Failure::Broken(cause) => Error::unavailable("begin the log").caused_by(cause),
    }
}
