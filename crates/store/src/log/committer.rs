//! The one thread that writes: it gathers what waits, numbers it, writes it once, syncs once, answers all.

use std::sync::Arc;

use model::error::{Error, Result};
use tracing::{error, warn};

use super::folder::Shared;
use super::frame::Batch;
use super::index::FrameRef;
use super::queue::{Rotation, Waiting, lock, stopped};
use super::segment::{Failure, Segment};
use super::{Appended, Sequencer};
use crate::measured;

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) sequencer: Sequencer,
    pub(super) segment: Segment,
    pub(super) segment_bytes: u64,
    /// The group's bytes; kept to spare the allocation.
    pub(super) buffer: Vec<u8>,
    /// Whether the last group was refused, so that a full disk is logged once.
    pub(super) refusing: bool,
}

/// A call that has its numbers.
struct Numbered {
    call: Waiting,
    first_sequence: u64,
}

/// However the thread ends, callers must not wait for it.
struct StopAtEnd(Arc<Shared>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.stop();
        }
    }
}

impl Committer {
    /// Commits group after group until the queue has ended and is empty.
    ///
    /// While one group is being synced, the next one gathers in the queue.
    pub(super) fn run(mut self) {
        let _guard = StopAtEnd(Arc::clone(&self.shared));
        let mut group = Vec::new();
        while self.shared.queue.take(&mut group) {
            if !group.is_empty() {
                self.commit(std::mem::take(&mut group));
            }
            let rotations = self.shared.queue.take_rotations();
            if !rotations.is_empty() {
                self.rotate_for(rotations);
            }
        }
    }

    // A segment without a frame holds nothing that is to be closed.
    fn rotate_for(&mut self, rotations: Vec<Rotation>) {
        let rotated = if self.segment.is_empty() { Ok(()) } else { self.rotate() };
        let start = self.segment.start;
        for rotation in rotations {
            let answer = match &rotated {
                Ok(()) => Ok(start),
                Err(Failure::Refused(why, _)) => Err(Error::unavailable(*why)),
                Err(Failure::Broken(_)) => Err(stopped()),
            };
            // A caller that is not there any more needs no answer.
            let _ = rotation.send(answer);
        }
        match rotated {
            Err(Failure::Refused(why, cause)) => warn!(cause = %cause, "no new log segment was begun: {why}"),
            Err(Failure::Broken(cause)) => self.stop(Vec::new(), &cause),
            Ok(()) => {}
        }
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        let room: Vec<_> = group.iter().map(|c| (c.batch.dataset_id(), c.batch.size_bytes())).collect();
        let mut numbered: Vec<Numbered> = group.into_iter().filter_map(|call| self.number(call)).collect();
        let written = if numbered.is_empty() { Ok(Vec::new()) } else { self.write(&mut numbered) };
        // Room comes before answers: whoever has an answer must not find the queue full of what was answered.
        self.shared.queue.release(&room);
        match written {
            Ok(frames) => self.acknowledge(numbered, &frames),
            Err(Failure::Refused(why, cause)) => self.refuse(numbered, why, &cause),
            Err(Failure::Broken(cause)) => self.stop(numbered, &cause),
        }
    }

    fn number(&self, call: Waiting) -> Option<Numbered> {
        let drawn = match call.batch.first_sequence {
            Some(first_sequence) => Ok(first_sequence),
            None => (self.sequencer)(u64::from(call.batch.count())),
        };
        match drawn {
            Ok(first_sequence) => Some(Numbered { call, first_sequence }),
            Err(e) => {
                answer(call, Err(e));
                None
            }
        }
    }

    fn write(&mut self, group: &mut [Numbered]) -> Result<Vec<FrameRef>, Failure> {
        let bytes = group.iter().map(|n| n.call.batch.size_bytes() as u64).sum();
        if !self.segment.takes(bytes, self.segment_bytes) {
            self.rotate()?;
        }
        let frames = self.gather(group);
        self.segment.append(&self.buffer, self.segment_bytes)?;
        Ok(frames)
    }

    // The finished segment needs no sync: each of its groups had one.
    fn rotate(&mut self) -> Result<(), Failure> {
        let start = self.segment.end;
        self.segment = Segment::create(&*self.shared.disk, start, self.segment_bytes)?;
        let mut index = lock(&self.shared.index);
        index.open_segment(start, Arc::clone(&self.segment.file));
        index.durable = self.segment.end;
        Ok(())
    }

    fn gather(&mut self, group: &mut [Numbered]) -> Vec<FrameRef> {
        let (buffer, first) = (&mut self.buffer, self.segment.end);
        buffer.clear();
        let place = |n: &mut Numbered| {
            let position = first + buffer.len() as u64;
            buffer.extend_from_slice(n.call.batch.seal(position, first, n.first_sequence));
            frame_ref(&n.call.batch, position, n.first_sequence)
        };
        group.iter_mut().map(place).collect()
    }

    // Published before it is answered: who has an answer finds the frame in `frames`.
    fn acknowledge(&mut self, group: Vec<Numbered>, frames: &[FrameRef]) {
        if std::mem::take(&mut self.refusing) {
            measured::REFUSING.set(0);
        }
        let mut index = lock(&self.shared.index);
        for (n, frame) in group.iter().zip(frames) {
            index.add(n.call.batch.dataset_id(), *frame);
            // Frames that are written again have old numbers.
            index.sequence = index.sequence.max(n.first_sequence + u64::from(n.call.batch.count()));
        }
        index.durable = self.segment.end;
        drop(index);
        for (n, frame) in group.into_iter().zip(frames) {
            answer(n.call, Ok(Appended { first_sequence: n.first_sequence, position: frame.position }));
        }
    }

    fn refuse(&mut self, group: Vec<Numbered>, why: &'static str, cause: &std::io::Error) {
        if !self.refusing {
            warn!(cause = %cause, "refusing records until the data disk takes them: {why}");
        }
        self.refusing = true;
        measured::REFUSING.set(1);
        group.into_iter().for_each(|n| answer(n.call, Err(Error::unavailable(why))));
    }

    // After a failed sync the kernel may have dropped what it could not write: trying again would prove nothing.
    fn stop(&mut self, group: Vec<Numbered>, cause: &std::io::Error) {
        error!(cause = %cause, "the log stopped after a disk error; restart the server");
        self.shared.queue.stop();
        group.into_iter().for_each(|n| answer(n.call, Err(stopped())));
    }
}

fn frame_ref(batch: &Batch, position: u64, first_sequence: u64) -> FrameRef {
    let size_bytes = u32::try_from(batch.size_bytes()).expect("push keeps a batch below 4 GiB");
    FrameRef { position, first_sequence, size_bytes, count: batch.count() }
}

// A caller that is not there any more needs no answer.
fn answer(call: Waiting, answer: Result<Appended>) {
    let _ = call.answer.send(answer);
}
