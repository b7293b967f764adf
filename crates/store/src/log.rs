//! The log of put records: durable before it is answered, one log for all datasets of a node.
//!
//! A folder of segments `<start position, 20 digits>.log`; a position is an offset in bytes that grows for ever over
//! all segments, and each segment starts where the one before it ends. All numbers have their little end first.
//! ```text
//! segment  magic "LADE LOG" | version u32 | 0 u32 | start u64 | 0 u32 | crc32c u32 (of the 28 bytes before), frames, zeros
//! frame    len u32 (of what follows the checksum) | crc32c u32 (of position u64, len, and all that follows)
//!          | group u64 | dataset u64 | schema version u32 | first sequence u64 | count u32 | count × (len u32, record)
//! ```
//! Where the highest bit of the schema version is set, the records are sealed (`seal::Series`) together with dataset, schema
//! version and count; checksums are over what is written, so that recovery needs no key.
//! A frame is one call; `group` is the position of the first frame of the same write. Only the last write can be torn
//! by a crash: bad bytes behind which a later write lies were durable once, so they are damage.

mod committer;
mod frame;
mod index;
mod queue;
mod recovery;
mod segment;
mod share;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use model::Durable;
use model::error::{Context, Error, Result};

pub use frame::{Batch, Frame};
pub use index::{FrameRef, Pending};
pub use recovery::Recovered;

use crate::disk::{Disk, Folder};

use committer::Committer;
use index::Index;
use queue::{Queue, lock, stopped};
use segment::HEADER;

/// Gives the first of `count` sequence numbers; each call is above all numbers given before.
pub type Sequencer = Arc<dyn Fn(u64) -> Result<u64> + Send + Sync>;

/// Sizes of the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A segment's size in bytes; a group of calls that is larger gets a larger segment.
    pub segment_bytes: u64,
    /// How many bytes of calls may wait for their answer; also the size of the largest call. No dataset alone
    /// fills more than three eighths of it.
    pub queue_bytes_max: usize,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { segment_bytes: 64 << 20, queue_bytes_max: 32 << 20 }
    }
}

/// What a call gets when its records are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first record's sequence number; the others count on from it.
    pub first_sequence: u64,
    /// The position of the call's frame.
    pub position: u64,
}

/// An open log. One per folder: two would write over each other.
pub struct Log {
    shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

/// What callers share with the committer.
struct Shared {
    disk: Arc<dyn Disk>,
    queue: Queue,
    index: Mutex<Index>,
}

impl Log {
    /// Opens the log in a folder, or begins one at position 0. Blocks while it reads all segments.
    ///
    /// `sequencer` is asked on the log's own thread, once per call, in the order in which calls are written.
    ///
    /// # Errors
    /// `Corrupt` when bytes that were once durable are damaged or a segment is missing, with the file's name and the
    /// offset; `Unavailable` when the disk fails or is full.
    pub fn open(folder: &Path, settings: LogSettings, sequencer: Sequencer) -> Result<(Log, Recovered)> {
        let disk = Folder::open(folder).unavailable(|| "open the log's folder".to_owned())?;
        Log::open_on(Arc::new(disk), settings, sequencer)
    }

    /// As `open`, on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        sequencer: Sequencer,
    ) -> Result<(Log, Recovered)> {
        let opened = recovery::recover(&*disk, settings.segment_bytes)?;
        let queue = Queue::new(settings.queue_bytes_max);
        let shared = Arc::new(Shared { disk, queue, index: Mutex::new(opened.index) });
        let committer = Committer {
            shared: Arc::clone(&shared),
            sequencer,
            segment: opened.segment,
            segment_bytes: settings.segment_bytes,
            buffer: Vec::new(),
            refusing: false,
        };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || committer.run());
        let thread = thread.unavailable(|| "start the log's thread".to_owned())?;
        Ok((Log { shared, committer: Mutex::new(Some(thread)) }, opened.recovered))
    }

    /// Numbers a call's records and writes them, all or none; returns when they are durable.
    ///
    /// A caller that stops waiting may find its records written all the same.
    ///
    /// # Errors
    /// `Throttled` at once when too much of this dataset is waiting; `Invalid` when the batch is larger than all that may wait;
    /// `Unavailable` when the disk is full (try again), when it failed (for good), or when the log is closed; what the
    /// sequencer says. After `Unavailable` the records may be there at the next start.
    pub async fn append(&self, batch: Batch) -> Result<Appended> {
        if batch.count() == 0 {
            return Err(Error::internal("an empty batch was appended to the log"));
        }
        self.shared.queue.push(batch)?.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Closes the segment that is being written and begins a new one; gives the position at which it starts.
    ///
    /// Every record that got its sequence number before this call lies before that position, or was refused: once
    /// these are flushed, `forget_before` leaves none of them on the disk.
    ///
    /// # Errors
    /// `Unavailable` when the disk is full (try again), when it failed (for good), or when the log is closed.
    pub async fn rotate(&self) -> Result<u64> {
        self.shared.queue.push_rotation()?.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// The position at which the oldest segment starts.
    pub fn start(&self) -> u64 {
        lock(&self.shared.index).start()
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        lock(&self.shared.index).segments()
    }

    /// The position behind the last durable frame: a snapshot that pins it holds every acknowledged call.
    pub fn durable(&self) -> u64 {
        lock(&self.shared.index).durable
    }

    /// The same, with the sequence number that belongs to it.
    pub fn settled(&self) -> Durable {
        let index = lock(&self.shared.index);
        Durable { position: index.durable, sequence: index.sequence }
    }

    /// The dataset's durable frames at positions from `from` up to but without `to`, oldest first; of a frame that was
    /// written again, the oldest.
    pub fn frames(&self, dataset_id: u64, from: u64, to: u64) -> Vec<FrameRef> {
        lock(&self.shared.index).frames(dataset_id, from..to)
    }

    /// Reads a frame from disk, blocking.
    ///
    /// # Errors
    /// `Corrupt` with the segment's file name and the offset when it is damaged; `Unavailable` when the disk fails;
    /// `Internal` when its segment was forgotten.
    pub fn read(&self, frame: &FrameRef) -> Result<Frame> {
        let (file, start) = {
            let index = lock(&self.shared.index);
            let segment = index.segment_of(frame.position).ok_or_else(forgotten)?;
            (Arc::clone(&segment.file), segment.start)
        };
        let (name, offset) = (segment::name(start), frame.position - start);
        let mut bytes = vec![0; frame.size_bytes as usize];
        file.read_exact_at(&mut bytes, offset)
            .unavailable(|| format!("read log segment {name} at offset {offset}"))?;
        let damaged = || Error::corrupt(format!("log segment {name} is damaged at offset {offset}"));
        Frame::read(bytes, frame.position, start + HEADER as u64).ok_or_else(damaged)
    }

    /// Writes frames once more at the log's end, under their numbers and sealed as they are: for a dataset that can't be
    /// flushed, so that the segments where they lie now can go. `frames` gives one of each; the caller moves the position
    /// from which on it asks.
    ///
    /// # Errors
    /// As `read` and `append`; some frames may then be there twice.
    pub async fn write_again(self: &Arc<Self>, frames: Vec<FrameRef>) -> Result<()> {
        for place in frames {
            let log = Arc::clone(self);
            let frame = tokio::task::spawn_blocking(move || log.read(&place)).await;
            let frame = frame.unwrap_or_else(|_| Err(Error::internal("reading the log panicked")))?;
            self.append(frame.again()).await?;
        }
        Ok(())
    }

    /// What the dataset has in the log at `since` and behind it.
    pub fn pending(&self, dataset_id: u64, since: u64) -> Pending {
        lock(&self.shared.index).pending(dataset_id, since)
    }

    /// The datasets that have frames in the log, in ascending order.
    pub fn datasets(&self) -> Vec<u64> {
        lock(&self.shared.index).datasets()
    }

    /// Bytes from the start of the oldest segment to the last durable frame.
    pub fn total_bytes(&self) -> u64 {
        let index = lock(&self.shared.index);
        index.durable - index.start()
    }

    /// Deletes the segments that end at or before `position`, blocking. The one that is being written always stays,
    /// and frames before `position` in a segment that stays are still listed.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails; the oldest segments may then be gone already.
    pub fn forget_before(&self, position: u64) -> Result<()> {
        loop {
            let Some(start) = lock(&self.shared.index).oldest_before(position) else { return Ok(()) };
            // One after the other, each durably: a crash must not leave a gap between two segments.
            let name = segment::name(start);
            let removed = self.shared.disk.remove(&name).and_then(|()| self.shared.disk.sync());
            removed.unavailable(|| format!("delete log segment {name}"))?;
            lock(&self.shared.index).forget_segment(start);
        }
    }

    /// Drops a deleted dataset's frames from memory. They leave the disk with their segments, and are listed again
    /// after a start before that.
    pub fn forget_dataset(&self, dataset_id: u64) {
        lock(&self.shared.index).forget_dataset(dataset_id);
    }

    /// Refuses new calls, writes those that wait, and ends the log's thread; blocks meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the log has stopped after a disk error.
    pub fn close(&self) -> Result<()> {
        self.shared.queue.close();
        if let Some(thread) = lock(&self.committer).take() {
            thread.join().map_err(|_| Error::internal("the log's thread panicked"))?;
        }
        if self.shared.queue.is_stopped() { Err(stopped()) } else { Ok(()) }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Nobody is left to hear of it, and the committer has logged it.
        let _ = self.close();
    }
}

fn forgotten() -> Error {
    Error::internal("a frame was read after its log segment was forgotten")
}

#[cfg(test)]
mod tests;
