//! The log of put records: durable before it is answered, one log for all datasets: of a node, or of all nodes.
//!
//! The log of one node is a folder of segments `<start position, 20 digits>.log`; a position is an offset in bytes that grows for ever over
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
//!
//! The log that nodes share (`shared`) is made of objects of the same form, each written at once: positions and sequence
//! numbers in it count from its own start, and the catalog gives it its place in the order of all.

mod committer;
pub mod copy;
mod folder;
mod frame;
mod index;
pub mod look;
mod queue;
mod recovery;
mod segment;
mod share;
pub mod shared;

use std::path::Path;
use std::sync::Arc;

use model::Durable;
use model::error::{Error, Result};

pub use frame::{Batch, Frame};
pub use index::{FrameRef, Pending};
pub use recovery::Recovered;
pub use shared::{Register, SegmentStore, SharedSettings};

use crate::disk::Disk;
use folder::FolderLog;
use shared::SharedLog;

/// Gives the first of `count` sequence numbers; each call is above all numbers given before.
pub type Sequencer = Arc<dyn Fn(u64) -> Result<u64> + Send + Sync>;

/// Sizes of the log of one node.
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

/// An open log.
pub struct Log {
    kind: Kind,
}

enum Kind {
    Folder(FolderLog),
    Shared(SharedLog),
}

use Kind::{Folder, Shared};

impl Log {
    /// Opens the log in a folder, or begins one at position 0. Blocks while it reads all segments.
    ///
    /// `sequencer` is asked on the log's own thread, once per call, in the order in which calls are written.
    ///
    /// # Errors
    /// `Corrupt` when bytes that were once durable are damaged or a segment is missing, with the file's name and the
    /// offset; `Unavailable` when the disk fails or is full.
    pub fn open(folder: &Path, settings: LogSettings, sequencer: Sequencer) -> Result<(Log, Recovered)> {
        let (log, recovered) = FolderLog::open(folder, settings, sequencer)?;
        Ok((Log { kind: Folder(log) }, recovered))
    }

    /// As `open`, on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        sequencer: Sequencer,
    ) -> Result<(Log, Recovered)> {
        let (log, recovered) = FolderLog::open_on(disk, settings, sequencer)?;
        Ok((Log { kind: Folder(log) }, recovered))
    }

    /// Opens the log that nodes share, from within the runtime that its requests are to run on.
    ///
    /// # Errors
    /// Those of the register.
    pub async fn share(
        settings: SharedSettings,
        store: Arc<dyn SegmentStore>,
        register: Arc<dyn Register>,
    ) -> Result<Log> {
        Ok(Log { kind: Shared(SharedLog::open(settings, store, register).await?) })
    }

    /// Numbers a call's records and writes them, all or none; returns when they are durable.
    ///
    /// A caller that stops waiting may find its records written all the same.
    ///
    /// # Errors
    /// `Throttled` at once when too much of this dataset is waiting; `Invalid` when the batch is larger than all that may wait;
    /// `Unavailable` when the disk is full (try again), when it failed (for good), when the store or the catalog does not
    /// answer (try again), or when the log is closed; what the sequencer says. After `Unavailable` the records may be there
    /// later.
    pub async fn append(&self, batch: Batch) -> Result<Appended> {
        if batch.count() == 0 {
            return Err(Error::internal("an empty batch was appended to the log"));
        }
        match &self.kind {
            Folder(log) => log.append(batch).await,
            Shared(log) => log.append(batch).await,
        }
    }

    /// Closes the segment that is being written and begins a new one; gives the position at which it starts. In a shared
    /// log every segment is closed: it gives the end.
    ///
    /// Every record that got its sequence number before this call lies before that position, or was refused: once
    /// these are flushed, `forget_before` leaves none of them on the disk.
    ///
    /// # Errors
    /// `Unavailable` when the disk is full (try again), when it failed (for good), when the catalog does not answer, or
    /// when the log is closed.
    pub async fn rotate(&self) -> Result<u64> {
        match &self.kind {
            Folder(log) => log.rotate().await,
            Shared(log) => log.refresh().await.map(|()| log.durable()),
        }
    }

    /// Learns of what other nodes have written by now: what was acknowledged before this call is known after it.
    ///
    /// # Errors
    /// `Unavailable` when the catalog does not answer.
    pub async fn refresh(&self) -> Result<()> {
        match &self.kind {
            Folder(_) => Ok(()),
            Shared(log) => log.refresh().await,
        }
    }

    /// The position at which the oldest segment starts.
    pub fn start(&self) -> u64 {
        match &self.kind {
            Folder(log) => log.start(),
            Shared(log) => log.start(),
        }
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        match &self.kind {
            Folder(log) => log.segments(),
            Shared(log) => log.segments(),
        }
    }

    /// The position behind the last durable frame that is known: a snapshot that pins it holds every call that was
    /// acknowledged by then.
    pub fn durable(&self) -> u64 {
        self.settled().position
    }

    /// The same, with the sequence number that belongs to it.
    pub fn settled(&self) -> Durable {
        match &self.kind {
            Folder(log) => log.settled(),
            Shared(log) => log.settled(),
        }
    }

    /// The dataset's durable frames at positions from `from` up to but without `to`, oldest first; of a frame that was
    /// written again, the oldest. Of a shared log it blocks while it fetches their segments.
    ///
    /// # Errors
    /// As `read`.
    pub fn frames(&self, dataset_id: u64, from: u64, to: u64) -> Result<Vec<FrameRef>> {
        match &self.kind {
            Folder(log) => Ok(log.frames(dataset_id, from, to)),
            Shared(log) => log.frames(dataset_id, from, to),
        }
    }

    /// The dataset's frames whose first record has a smaller number, oldest first. Blocks as `frames`.
    ///
    /// # Errors
    /// As `read`.
    pub fn older_frames(&self, dataset_id: u64, sequence: u64) -> Result<Vec<FrameRef>> {
        let range = (self.start(), self.durable());
        let mut frames = match &self.kind {
            Folder(log) => log.frames(dataset_id, range.0, range.1),
            Shared(log) => log.older_frames(dataset_id, range, sequence)?,
        };
        frames.retain(|frame| frame.first_sequence < sequence);
        Ok(frames)
    }

    /// Whether the dataset has frames at these positions; where both are ends of what was durable once, exactly.
    ///
    /// # Errors
    /// `Unavailable` when the catalog does not answer.
    pub async fn holds(&self, dataset_id: u64, from: u64, to: u64) -> Result<bool> {
        match &self.kind {
            Folder(log) => Ok(!log.frames(dataset_id, from, to).is_empty()),
            Shared(log) => log.holds(dataset_id, from, to).await,
        }
    }

    /// Reads a frame, blocking.
    ///
    /// # Errors
    /// `Corrupt` with the segment's name and the offset when it is damaged or missing; `Unavailable` when the disk fails
    /// or the store does not answer; `Internal` or `Unavailable` when its segment was forgotten.
    pub fn read(&self, frame: &FrameRef) -> Result<Frame> {
        match &self.kind {
            Folder(log) => log.read(frame),
            Shared(log) => log.read(frame),
        }
    }

    /// Reads the dataset's frames at these positions, in order of position or against it, and gives each to `take`, until
    /// it says that it has enough. Blocks.
    ///
    /// # Errors
    /// As `read`, and those of `take`.
    pub fn scan(
        &self,
        dataset_id: u64,
        range: (u64, u64),
        order: Order,
        take: &mut dyn FnMut(Frame) -> Result<bool>,
    ) -> Result<()> {
        if let Shared(log) = &self.kind
            && let Some(done) = log.scan(dataset_id, range, order, take)
        {
            return done;
        }
        let mut frames = self.frames(dataset_id, range.0, range.1)?;
        if order == Order::NewestFirst {
            frames.reverse();
        }
        for frame in frames {
            if !take(self.read(&frame)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Writes frames once more at the log's end, under their numbers and sealed as they are: for a dataset that can't be
    /// flushed, so that the segments where they lie now can go. `frames` gives one of each; the caller moves the position
    /// from which on it asks.
    ///
    /// # Errors
    /// As `read` and `append`; some frames may then be there twice.
    pub async fn write_again(self: &Arc<Self>, frames: Vec<FrameRef>) -> Result<()> {
        if let Shared(log) = &self.kind {
            return log.write_again(frames).await;
        }
        for place in frames {
            let log = Arc::clone(self);
            let frame = tokio::task::spawn_blocking(move || log.read(&place)).await;
            let frame = frame.unwrap_or_else(|_| Err(Error::internal("reading the log panicked")))?;
            self.append(frame.again()).await?;
        }
        Ok(())
    }

    /// What the dataset has in the log at `since` and behind it, as far as is known.
    pub fn pending(&self, dataset_id: u64, since: u64) -> Pending {
        match &self.kind {
            Folder(log) => log.pending(dataset_id, since),
            Shared(log) => log.pending(dataset_id, since),
        }
    }

    /// The datasets that have frames in the log, in ascending order.
    pub fn datasets(&self) -> Vec<u64> {
        match &self.kind {
            Folder(log) => log.datasets(),
            Shared(log) => log.datasets(),
        }
    }

    /// Bytes from the start of the oldest segment to the last durable frame.
    pub fn total_bytes(&self) -> u64 {
        self.durable().saturating_sub(self.start())
    }

    /// The bytes of calls that have no answer yet.
    pub fn queued_bytes(&self) -> usize {
        match &self.kind {
            Folder(log) => log.shared.queue.held_bytes(),
            Shared(log) => log.queued_bytes(),
        }
    }

    /// Whether it takes no more calls until a restart: the disk has failed to make one durable. The log that nodes share
    /// never does; it waits, and `lade_log_refusing` tells.
    pub fn is_stopped(&self) -> bool {
        match &self.kind {
            Folder(log) => log.shared.queue.is_stopped(),
            Shared(_) => false,
        }
    }

    /// Deletes the segments that end at or before `position`, blocking. One that is being written always stays, and frames
    /// before `position` in a segment that stays are still listed.
    ///
    /// # Errors
    /// `Unavailable` when disk, store or catalog fail; the oldest segments may then be gone already.
    pub fn forget_before(&self, position: u64) -> Result<()> {
        match &self.kind {
            Folder(log) => log.forget_before(position),
            Shared(log) => log.forget_before(position),
        }
    }

    /// Deletes what calls that were refused have left in the store, of this node and of nodes that have ended; blocks.
    /// A folder has no such thing.
    ///
    /// # Errors
    /// `Unavailable` when the store or the catalog does not answer.
    pub fn clear_orphans(&self) -> Result<()> {
        match &self.kind {
            Folder(_) => Ok(()),
            Shared(log) => log.clear_orphans(),
        }
    }

    /// Drops a deleted dataset's frames from memory. They leave the disk with their segments, and may be listed again
    /// before that.
    pub fn forget_dataset(&self, dataset_id: u64) {
        match &self.kind {
            Folder(log) => log.forget_dataset(dataset_id),
            Shared(log) => log.forget_dataset(dataset_id),
        }
    }

    /// Refuses new calls, writes those that wait, and ends the log's thread; blocks meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the log has stopped after a disk error.
    pub fn close(&self) -> Result<()> {
        match &self.kind {
            Folder(log) => log.close(),
            Shared(log) => log.close(),
        }
    }
}

/// Which frames come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

#[cfg(test)]
mod tests;
