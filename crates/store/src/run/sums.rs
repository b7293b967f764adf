//! The checksums of a run: one of each page, listed in the footer, and one of the footer, before it in the file.
//!
//! ```text
//! file    "PAR1" | pages, one behind the other | crc32c u32 (of the object's name and all that follows) | footer
//! footer  as Parquet has it: metadata | length u32 | "PAR1"
//! ```

use std::io::{self, Write};

use bytes::Bytes;
use model::error::{Context, Error, Result};

use crate::objects::Object;
use crate::objects::ObjectWriter;

const MAGIC: &[u8; 4] = b"PAR1";
const SUM: u64 = 4;
/// The length of the metadata, and the magic.
const END: u64 = 8;
/// Sixteen digits: length and checksum.
const DIGITS: usize = 16;

/// A page's size with its header, and the checksum of these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSum {
    pub size_bytes: u32,
    pub crc: u32,
}

impl PageSum {
    pub fn of(page: &[u8]) -> Option<PageSum> {
        Some(PageSum { size_bytes: u32::try_from(page.len()).ok()?, crc: crc32c::crc32c(page) })
    }
}

/// Where the pages of a run lie, and what their checksums are.
#[derive(Debug, Default)]
pub struct Pages {
    /// Where each page starts, and where the last one ends.
    starts: Vec<u64>,
    crcs: Vec<u32>,
}

impl Pages {
    /// How the footer lists them.
    pub fn text(sums: &[PageSum]) -> String {
        sums.iter().map(|sum| format!("{:08x}{:08x}", sum.size_bytes, sum.crc)).collect()
    }

    /// Reads a list; `None` when it is none.
    pub fn parse(text: &str) -> Option<Pages> {
        let mut pages = Pages { starts: vec![MAGIC.len() as u64], crcs: Vec::new() };
        let mut end = MAGIC.len() as u64;
        for digits in text.as_bytes().chunks(DIGITS) {
            let both = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            end += both >> 32;
            pages.starts.push(end);
            pages.crcs.push((both & u64::from(u32::MAX)) as u32);
        }
        text.len().is_multiple_of(DIGITS).then_some(pages)
    }

    /// The offset behind the last page.
    pub fn end(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The page that an offset lies in: where it starts and how long it is.
    pub fn at(&self, offset: u64) -> Option<(usize, u64, usize)> {
        let page = self.starts.partition_point(|start| *start <= offset).checked_sub(1)?;
        let end = self.starts.get(page + 1)?;
        Some((page, self.starts[page], usize::try_from(end - self.starts[page]).ok()?))
    }

    pub fn len(&self) -> usize {
        self.crcs.len()
    }

    /// Where a page starts, and how long it is.
    pub fn place(&self, page: usize) -> Option<(u64, usize)> {
        let (start, end) = (self.starts.get(page)?, self.starts.get(page + 1)?);
        Some((*start, usize::try_from(end - start).ok()?))
    }

    pub fn is_whole(&self, page: usize, bytes: &[u8]) -> bool {
        self.crcs.get(page) == Some(&crc32c::crc32c(bytes))
    }
}

fn footer_sum(object: &str, footer: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(object.as_bytes()), footer)
}

/// Takes what Parquet writes to an object, and holds its footer back until the checksum is known.
pub struct RunSink {
    object: ObjectWriter,
    footer: Option<Vec<u8>>,
}

impl RunSink {
    pub fn new(object: ObjectWriter) -> RunSink {
        RunSink { object, footer: None }
    }

    /// What is written from here on is the footer.
    pub fn begin_footer(&mut self) {
        self.footer = Some(Vec::new());
    }

    /// Makes the run durable under its name; returns its size in bytes.
    pub fn finish(mut self, name: &str) -> Result<u64> {
        let footer = self.footer.unwrap_or_default();
        let sum = footer_sum(name, &footer).to_le_bytes();
        let written = self.object.write_all(&sum).and_then(|()| self.object.write_all(&footer));
        written.unavailable(|| format!("finish run {name}"))?;
        self.object.finish()
    }
}

impl Write for RunSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.footer {
            Some(footer) => footer.write(bytes),
            None => self.object.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.flush()
    }
}

/// The metadata in a run's footer, and the offset at which the pages must end.
///
/// # Errors
/// `Corrupt` when a bit of it is not as it was written, or it was written under another name; `Unavailable` when it can't
/// be read.
pub fn read_footer(object: &str, file: &Object) -> Result<(Bytes, u64)> {
    let damaged = || Error::corrupt(format!("run {object} is damaged at its end"));
    let reading = || format!("read run {object}");
    let size = file.size().unavailable(reading)?;
    let mut end = [0; END as usize];
    file.read_exact_at(&mut end, size.checked_sub(END).ok_or_else(damaged)?).unavailable(reading)?;
    let (length, magic) = end.split_at(4);
    let length = u64::from(u32::from_le_bytes(length.try_into().expect("four bytes")));
    let start = size.checked_sub(END + length + SUM).filter(|_| magic == MAGIC).ok_or_else(damaged)?;
    let mut bytes = vec![0; usize::try_from(size - start).map_err(|_| damaged())?];
    file.read_exact_at(&mut bytes, start).unavailable(reading)?;
    let (sum, footer) = bytes.split_at(SUM as usize);
    if sum != footer_sum(object, footer).to_le_bytes() {
        return Err(damaged());
    }
    let metadata = SUM as usize..bytes.len() - END as usize;
    Ok((Bytes::from(bytes).slice(metadata), start))
}
