//! The log of one node as others read it, while it is being written or when nobody does: how far it goes, and whether all
//! of it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::error::{Context, Result};

use super::frame::{FRAME_HEAD, Head};
use super::recovery::{check_torn, damaged, read_header};
use super::segment::{self, HEADER, Header};

/// A log's folder, read up to some position.
pub struct Survey {
    folder: PathBuf,
    /// Where each segment starts, in ascending order.
    starts: Vec<u64>,
    /// The position behind the last whole frame that was seen.
    end: u64,
}

/// A segment as far as a survey goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its file's name.
    pub name: String,
    start: u64,
    /// What belongs to the log of its file; more may lie behind.
    pub size_bytes: u64,
}

/// How often the end is looked at again that looks damaged while somebody writes there.
const LOOKS: usize = 5;

impl Survey {
    /// Finds the end of the log in a folder, which may be written meanwhile. A folder that is not there has no log.
    ///
    /// # Errors
    /// `Corrupt` when a write that was durable once is damaged in the last segment, or another release wrote it;
    /// `Unavailable` when the disk refuses.
    pub fn begin(folder: &Path) -> Result<Survey> {
        let mut survey = Survey { folder: folder.to_owned(), starts: Vec::new(), end: 0 };
        for look in 1.. {
            survey.list()?;
            let Some(&last) = survey.starts.last() else { return Ok(survey) };
            // It may have been flushed and deleted since it was listed.
            let Some(bytes) = survey.bytes_of(last)? else { continue };
            if read_header(&bytes, last)? == Header::Damaged {
                return Err(damaged(last, 0));
            }
            let end = frames_end(&bytes, last);
            survey.end = last + end as u64;
            match check_torn(&bytes, last, end) {
                // What was being written at that moment is there by now.
                Err(_) if look < LOOKS => {}
                Err(cause) => return Err(cause),
                Ok(()) => break,
            }
        }
        Ok(survey)
    }

    /// Goes on to where the log ends now: every call that was acknowledged before this one lies before that end.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn advance(&mut self) -> Result<()> {
        let before = self.starts.last().copied();
        self.list()?;
        let Some(&last) = self.starts.last() else { return Ok(()) };
        let from = if before == Some(last) { self.end } else { last + HEADER as u64 };
        let file = self.folder.join(segment::name(last));
        let end = further(&file, last, from - last).unavailable(|| reading(last))?;
        self.end = last + end;
        Ok(())
    }

    /// The position behind the last frame.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether no record has ever been in the log.
    pub fn is_new(&self) -> bool {
        self.end <= HEADER as u64
    }

    /// The segments, oldest first.
    pub fn stretches(&self) -> Vec<Stretch> {
        let ends = self.starts.iter().skip(1).copied().chain([self.end]);
        let both = self.starts.iter().zip(ends);
        both.map(|(&start, end)| Stretch {
            name: segment::name(start),
            start,
            size_bytes: end.saturating_sub(start),
        })
        .collect()
    }

    fn list(&mut self) -> Result<()> {
        let listing = || "list the log's segments".to_owned();
        let entries = match fs::read_dir(&self.folder) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.unavailable(listing)?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>().unavailable(listing)?;
        self.starts = names.iter().filter_map(|name| segment::start_of(name.to_str()?)).collect();
        self.starts.sort_unstable();
        Ok(())
    }

    fn bytes_of(&self, start: u64) -> Result<Option<Vec<u8>>> {
        match fs::read(self.folder.join(segment::name(start))) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.unavailable(|| reading(start)).map(Some),
        }
    }
}

impl Stretch {
    /// Checks that these bytes are the segment: whole frames from the first byte to the last.
    ///
    /// # Errors
    /// `Corrupt` with the file's name and the offset.
    pub fn check(&self, bytes: &[u8]) -> Result<()> {
        if read_header(bytes, self.start)? == Header::Damaged {
            return Err(damaged(self.start, 0));
        }
        let end = frames_end(bytes, self.start);
        let is_whole = end as u64 == self.size_bytes && end == bytes.len();
        if is_whole { Ok(()) } else { Err(damaged(self.start, end)) }
    }
}

/// Refuses a log that a later release has written, before anything is written here; what is damaged is left to recovery.
///
/// # Errors
/// `Corrupt` with the file's name and what to start; `Unavailable` when the disk refuses.
pub fn check_formats(folder: &Path) -> Result<()> {
    let mut survey = Survey { folder: folder.to_owned(), starts: Vec::new(), end: 0 };
    survey.list()?;
    for &start in &survey.starts {
        let mut header = [0; HEADER];
        let opened = fs::File::open(folder.join(segment::name(start)));
        let mut file = opened.unavailable(|| reading(start))?;
        match io::Read::read_exact(&mut file, &mut header) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => continue,
            read => read.unavailable(|| reading(start))?,
        }
        read_header(&header, start)?;
    }
    Ok(())
}

// The offset behind the frames that follow the header without a gap.
fn frames_end(bytes: &[u8], start: u64) -> usize {
    let (mut end, first) = (HEADER, start + HEADER as u64);
    while let Some(head) = bytes.get(end..).and_then(|rest| Head::check(rest, start + end as u64, first)) {
        end += head.size_bytes as usize;
    }
    end.min(bytes.len())
}

// As `frames_end` from an offset on, without reading what was read before.
fn further(file: &Path, start: u64, mut offset: u64) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(file)?;
    let size_bytes = file.metadata()?.len();
    let (mut head, mut frame) = ([0; 8], Vec::new());
    while offset + FRAME_HEAD as u64 <= size_bytes {
        file.read_exact_at(&mut head[..4], offset)?;
        let size = u64::from(u32::from_le_bytes([head[0], head[1], head[2], head[3]])) + 8;
        if size < FRAME_HEAD as u64 || offset + size > size_bytes {
            break;
        }
        frame.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        file.read_exact_at(&mut frame, offset)?;
        if Head::check(&frame, start + offset, start + HEADER as u64).is_none() {
            break;
        }
        offset += size;
    }
    Ok(offset)
}

fn reading(start: u64) -> String {
    format!("read log segment {}", segment::name(start))
}
