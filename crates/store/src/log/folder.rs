//! The log of one node: a folder of segments, written by one thread.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use model::Durable;
use model::error::{Context, Error, Result};

use super::committer::Committer;
use super::frame::{Batch, Frame};
use super::index::{FrameRef, Index, Pending};
use super::queue::{Queue, lock, stopped};
use super::recovery::{self, Recovered};
use super::segment::{self, HEADER};
use super::{Appended, LogSettings, Sequencer};
use crate::disk::{Disk, Folder};

/// An open folder. One log per folder: two would write over each other.
pub(super) struct FolderLog {
    pub(super) shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

/// What callers share with the committer.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) queue: Queue,
    pub(super) index: Mutex<Index>,
}

impl FolderLog {
    pub(super) fn open(
        folder: &Path,
        settings: LogSettings,
        sequencer: Sequencer,
    ) -> Result<(FolderLog, Recovered)> {
        let disk = Folder::open(folder).unavailable(|| "open the log's folder".to_owned())?;
        FolderLog::open_on(Arc::new(disk), settings, sequencer)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        sequencer: Sequencer,
    ) -> Result<(FolderLog, Recovered)> {
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
        Ok((FolderLog { shared, committer: Mutex::new(Some(thread)) }, opened.recovered))
    }

    pub(super) async fn append(&self, batch: Batch) -> Result<Appended> {
        self.shared.queue.push(batch)?.await.unwrap_or_else(|_| Err(stopped()))
    }

    pub(super) async fn rotate(&self) -> Result<u64> {
        self.shared.queue.push_rotation()?.await.unwrap_or_else(|_| Err(stopped()))
    }

    pub(super) fn start(&self) -> u64 {
        lock(&self.shared.index).start()
    }

    pub(super) fn segments(&self) -> usize {
        lock(&self.shared.index).segments()
    }

    pub(super) fn settled(&self) -> Durable {
        let index = lock(&self.shared.index);
        Durable { position: index.durable, sequence: index.sequence }
    }

    pub(super) fn frames(&self, dataset_id: u64, from: u64, to: u64) -> Vec<FrameRef> {
        lock(&self.shared.index).frames(dataset_id, from..to)
    }

    pub(super) fn read(&self, frame: &FrameRef) -> Result<Frame> {
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

    pub(super) fn pending(&self, dataset_id: u64, since: u64) -> Pending {
        lock(&self.shared.index).pending(dataset_id, since)
    }

    pub(super) fn datasets(&self) -> Vec<u64> {
        lock(&self.shared.index).datasets()
    }

    pub(super) fn forget_before(&self, position: u64) -> Result<()> {
        loop {
            let Some(start) = lock(&self.shared.index).oldest_before(position) else { return Ok(()) };
            // One after the other, each durably: a crash must not leave a gap between two segments.
            let name = segment::name(start);
            let removed = self.shared.disk.remove(&name).and_then(|()| self.shared.disk.sync());
            removed.unavailable(|| format!("delete log segment {name}"))?;
            lock(&self.shared.index).forget_segment(start);
        }
    }

    pub(super) fn forget_dataset(&self, dataset_id: u64) {
        lock(&self.shared.index).forget_dataset(dataset_id);
    }

    pub(super) fn close(&self) -> Result<()> {
        self.shared.queue.close();
        if let Some(thread) = lock(&self.committer).take() {
            thread.join().map_err(|_| Error::internal("the log's thread panicked"))?;
        }
        if self.shared.queue.is_stopped() { Err(stopped()) } else { Ok(()) }
    }
}

impl Drop for FolderLog {
    fn drop(&mut self) {
        // Nobody is left to hear of it, and the committer has logged it.
        let _ = self.close();
    }
}

fn forgotten() -> Error {
    Error::internal("a frame was read after its log segment was forgotten")
}
