//! The slab: records in memory, side by side with those of their bucket, in blocks that its buckets share.

use std::io::{self, IoSlice, Write};
use std::ops::Range;

use super::buckets;
use super::form;
use crate::Arrivals;

/// Blocks are about this much smaller than the slab: what buckets leave empty at their ends is an eighth of it at most.
const BLOCKS: usize = 8 * buckets::COUNT;
const BLOCK_BYTES_MIN: usize = 128;
/// How many blocks are written with one call.
const WRITTEN_AT_ONCE: usize = 1024;

pub(super) struct Slab {
    bytes: Vec<u8>,
    block_bytes: usize,
    /// Blocks in use, and for each of them the one that follows in its bucket.
    next: Vec<u32>,
    streams: Vec<Stream>,
}

/// The records of one bucket: a chain of blocks, all full but the last.
#[derive(Clone, Copy, Default)]
struct Stream {
    first: u32,
    size_bytes: u32,
    /// Where in the slab the next byte goes, and how many there is room for.
    at: u32,
    room: u32,
}

impl Stream {
    fn advance(&mut self, bytes: usize) {
        self.at += bytes as u32;
        self.room -= bytes as u32;
        self.size_bytes += bytes as u32;
    }
}

impl Slab {
    /// For a slab that is emptied when it has grown to `size_bytes`; it takes memory as it needs it.
    pub fn new(size_bytes: usize) -> Slab {
        let block_bytes = (size_bytes / BLOCKS).next_power_of_two().max(BLOCK_BYTES_MIN);
        Slab { bytes: Vec::new(), block_bytes, next: Vec::new(), streams: Vec::new() }
    }

    /// What is in use, in whole blocks.
    pub fn size_bytes(&self) -> usize {
        self.next.len() * (self.block_bytes + size_of::<u32>())
    }

    /// A slab takes less than 4 GiB.
    pub fn push(&mut self, bucket: usize, record: &[u8], arrivals: Arrivals) {
        if self.streams.is_empty() {
            self.streams.resize(buckets::COUNT, Stream::default());
        }
        let Some(head) = form::short_head(record, arrivals) else {
            self.append(bucket, &form::long_head(record, arrivals));
            self.append(bucket, record);
            return;
        };
        let stream = &mut self.streams[bucket];
        let length = head.len() + record.len();
        if length > stream.room as usize {
            self.append(bucket, &head);
            self.append(bucket, record);
            return;
        }
        let (head_place, record_place) = self.bytes[stream.at as usize..][..length].split_at_mut(head.len());
        head_place.copy_from_slice(&head);
        record_place.copy_from_slice(record);
        stream.advance(length);
    }

    fn append(&mut self, bucket: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.streams[bucket].room == 0 {
                self.add_block(bucket);
            }
            let stream = &mut self.streams[bucket];
            let (now, later) = bytes.split_at(bytes.len().min(stream.room as usize));
            self.bytes[stream.at as usize..][..now.len()].copy_from_slice(now);
            stream.advance(now.len());
            bytes = later;
        }
    }

    fn add_block(&mut self, bucket: usize) {
        let block = self.next.len();
        self.next.push(0);
        let start = block * self.block_bytes;
        if self.bytes.len() == start {
            self.bytes.resize(start + self.block_bytes, 0);
        }
        let stream = &mut self.streams[bucket];
        match stream.size_bytes {
            0 => stream.first = block as u32,
            _ => self.next[stream.at as usize / self.block_bytes - 1] = block as u32,
        }
        (stream.at, stream.room) = (start as u32, self.block_bytes as u32);
    }

    /// The records of some buckets, bucket by bucket.
    pub fn blocks(&self, buckets: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let streams = self.streams.get(buckets).unwrap_or_default();
        streams.iter().flat_map(|stream| self.blocks_of(stream))
    }

    fn blocks_of(&self, stream: &Stream) -> impl Iterator<Item = &[u8]> {
        let (mut block, mut left) = (stream.first as usize, stream.size_bytes as usize);
        std::iter::from_fn(move || {
            let size = left.min(self.block_bytes);
            let start = block * self.block_bytes;
            left -= size;
            block = *self.next.get(block)? as usize;
            (size > 0).then(|| &self.bytes[start..start + size])
        })
    }

    /// Writes all records, bucket by bucket; gives where each of them begins, and the end.
    pub fn write(&self, file: &mut impl Write) -> io::Result<Vec<u32>> {
        let mut starts = Vec::with_capacity(buckets::COUNT + 1);
        let mut end = 0;
        let mut slices = Vec::with_capacity(WRITTEN_AT_ONCE);
        for stream in &self.streams {
            starts.push(end);
            end += stream.size_bytes;
            for block in self.blocks_of(stream) {
                slices.push(IoSlice::new(block));
                if slices.len() == WRITTEN_AT_ONCE {
                    write_all(file, &mut slices)?;
                    slices.clear();
                }
            }
        }
        write_all(file, &mut slices)?;
        starts.resize(buckets::COUNT + 1, end);
        Ok(starts)
    }

    pub fn clear(&mut self) {
        self.next.clear();
        self.streams.fill(Stream::default());
    }
}

fn write_all(file: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_the_blocks_hold() {
        let mut slab = Slab::new(0);
        let sizes = [0, 1, 20, 100, 127, 128, 129, 1000, 5];
        for (n, size) in (0u64..).zip(sizes.into_iter().cycle().take(300)) {
            slab.push(n as usize * 7 % 11, &vec![n as u8; size], Arrivals::once(n));
        }
        let mut written = Vec::new();
        let starts = slab.write(&mut written).unwrap();
        assert_eq!((starts.len(), starts[buckets::COUNT] as usize), (buckets::COUNT + 1, written.len()));
        for bucket in 0..12 {
            let blocks: Vec<u8> = slab.blocks(bucket..bucket + 1).flatten().copied().collect();
            assert_eq!(blocks, written[starts[bucket] as usize..starts[bucket + 1] as usize]);
            assert_eq!(blocks.is_empty(), bucket == 11);
        }
        slab.clear();
        assert_eq!(slab.blocks(0..buckets::COUNT).count(), 0);
    }
}
