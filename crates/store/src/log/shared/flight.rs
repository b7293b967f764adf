//! A group of calls on its way: made into an object, written, answered; a few are on their way at the same time.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use model::error::{Error, Result};
use model::segment::{NewSegment, Place};

use super::Inner;
use super::object::{self, Packed};
use crate::log::Appended;
use crate::log::frame::Batch;
use crate::log::index::FrameRef;
use crate::log::queue::{Waiting, lock};

/// So many groups are on their way at once.
const FLIGHTS_MAX: usize = 4;

/// How many groups are on their way.
#[derive(Default)]
pub(super) struct Slots {
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    pub(super) fn wait_for_one(&self) {
        self.wait_while(|taken| taken >= FLIGHTS_MAX);
    }

    pub(super) fn wait_for_all(&self) {
        self.wait_while(|taken| taken > 0);
    }

    fn wait_while(&self, is_so: impl Fn(usize) -> bool) {
        let taken = lock(&self.taken);
        drop(self.freed.wait_while(taken, |taken| is_so(*taken)).unwrap_or_else(PoisonError::into_inner));
    }
}

/// The room that a group takes; it is free again however the group ends.
struct Room {
    inner: Arc<Inner>,
    calls: Vec<(u64, usize)>,
}

impl Room {
    fn take(inner: &Arc<Inner>, calls: &[Waiting]) -> Room {
        *lock(&inner.slots.taken) += 1;
        let calls = calls.iter().map(|call| (call.batch.dataset_id(), call.batch.size_bytes())).collect();
        Room { inner: inner.clone(), calls }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.inner.queue.release(&self.calls);
        *lock(&self.inner.slots.taken) -= 1;
        self.inner.slots.freed.notify_all();
    }
}

/// Sends calls on their way.
pub(super) fn begin(inner: &Arc<Inner>, mut calls: Vec<Waiting>) {
    let room = Room::take(inner, &calls);
    let inner = inner.clone();
    inner.runtime.clone().spawn(async move {
        let written = inner.write_batches(calls.iter_mut().map(|call| &mut call.batch), None).await;
        // Room comes before answers: whoever has an answer must not find the queue full of what was answered.
        drop(room);
        answer(calls, written);
    });
}

fn answer(calls: Vec<Waiting>, written: Result<(Place, Vec<FrameRef>)>) {
    match written {
        Ok((place, frames)) => {
            for (call, frame) in calls.into_iter().zip(frames) {
                let first_sequence = place.sequence_base + frame.first_sequence;
                let appended = Appended { first_sequence, position: place.start + frame.position };
                // A caller that is not there any more needs no answer.
                let _ = call.answer.send(Ok(appended));
            }
        }
        Err(cause) => {
            for call in calls {
                let _ = call.answer.send(Err(Error::new(cause.kind, cause.message())));
            }
        }
    }
}

impl Inner {
    async fn write_batches(
        self: &Arc<Self>,
        batches: impl Iterator<Item = &mut Batch>,
        again_from: Option<u64>,
    ) -> Result<(Place, Vec<FrameRef>)> {
        let (node, number) = (self.register.node(), self.number());
        let object = object::name(&node, number);
        let Packed { bytes, holds, numbers, frames } = object::pack(&object, batches);
        let new = NewSegment { object, node, size_bytes: bytes.len() as u64, numbers, again_from, holds };
        let place = self.write(number, new, bytes).await?;
        Ok((place, frames))
    }

    fn number(&self) -> u64 {
        let mut numbers = lock(&self.numbers);
        let number = numbers.next;
        numbers.next += 1;
        numbers.open.insert(number);
        number
    }

    /// Writes frames once more, oldest first and in objects of their own: they keep their numbers.
    pub(super) async fn write_again(self: &Arc<Self>, frames: Vec<FrameRef>) -> Result<()> {
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            let again_from = frames.peek().map(|frame| frame.position);
            let (mut batches, mut bytes) = (Vec::new(), 0);
            while let Some(frame) =
                frames.next_if(|f| bytes == 0 || bytes + f.size_bytes as usize <= object::BYTES_MAX)
            {
                bytes += frame.size_bytes as usize;
                batches.push(self.read(&frame).await?.again());
            }
            self.write_batches(batches.iter_mut(), again_from).await?;
        }
        Ok(())
    }
}
