//! The calls that wait for the committer, bounded in bytes, of which each dataset has its share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use model::error::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::Appended;
use super::frame::{Batch, too_large};
use super::share::Shares;

/// A call and where its answer goes. A caller that left is written all the same.
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Appended>>,
}

/// Hands calls from many tasks to one thread.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

/// Where the start of a new segment goes.
pub(super) type Rotation = oneshot::Sender<Result<u64>>;

struct State {
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    rotations: Vec<Rotation>,
    /// Of the calls that have no answer yet, those being written included.
    shares: Shares,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, PartialEq)]
enum Ended {
    Closed,
    Stopped,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Queue {
        let shares = Shares::new(bytes_max);
        let state =
            State { waiting: Vec::new(), waiting_bytes: 0, rotations: Vec::new(), shares, ended: None };
        Queue { state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// # Errors
    /// `Throttled` when the queue has no more room for this dataset, `Unavailable` when it has ended, `Invalid` for
    /// what never fits.
    pub(super) fn push(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Appended>>> {
        let (dataset_id, size) = (batch.dataset_id(), batch.size_bytes());
        let (answer, receiver) = oneshot::channel();
        let mut state = lock(&self.state);
        match state.ended {
            Some(Ended::Stopped) => return Err(stopped()),
            Some(Ended::Closed) => return Err(closed()),
            None => {}
        }
        if size > state.shares.bytes_max() {
            return Err(too_large());
        }
        if !state.shares.take(dataset_id, size) {
            return Err(full());
        }
        state.waiting.push(Waiting { batch, answer });
        state.waiting_bytes += size;
        drop(state);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// Asks for a new segment behind all calls that have their numbers by now.
    ///
    /// # Errors
    /// `Unavailable` when the queue has ended.
    pub(super) fn push_rotation(&self) -> Result<oneshot::Receiver<Result<u64>>> {
        let mut state = lock(&self.state);
        match state.ended {
            Some(Ended::Stopped) => return Err(stopped()),
            Some(Ended::Closed) => return Err(closed()),
            None => {}
        }
        let (answer, receiver) = oneshot::channel();
        state.rotations.push(answer);
        drop(state);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// Waits for calls or rotations and swaps all calls with the empty `group`; false when nothing will come any more.
    pub(super) fn take(&self, group: &mut Vec<Waiting>) -> bool {
        let mut state = lock(&self.state);
        while state.waiting.is_empty() && state.rotations.is_empty() && state.ended.is_none() {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.waiting, group);
        state.waiting_bytes = 0;
        !group.is_empty() || !state.rotations.is_empty()
    }

    /// Waits for calls, then on until `not_before` or until there are enough of them, and takes the oldest: about
    /// `enough_bytes`, one call at least. `None` when nothing will come any more.
    pub(super) fn take_from(&self, not_before: Option<Instant>, enough_bytes: usize) -> Option<Vec<Waiting>> {
        let mut state = lock(&self.state);
        while state.waiting.is_empty() && state.ended.is_none() {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while let Some(left) = not_before.and_then(|at| at.checked_duration_since(Instant::now()))
            && state.waiting_bytes < enough_bytes
            && state.ended.is_none()
        {
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut bytes = 0;
        let mut is_more = |call: &Waiting| {
            bytes += call.batch.size_bytes();
            bytes <= enough_bytes
        };
        let count = state.waiting.iter().take_while(|call| is_more(call)).count().max(1);
        let count = count.min(state.waiting.len());
        let taken: Vec<Waiting> = state.waiting.drain(..count).collect();
        state.waiting_bytes -= taken.iter().map(|call| call.batch.size_bytes()).sum::<usize>();
        (!taken.is_empty()).then_some(taken)
    }

    /// The rotations that are asked for.
    pub(super) fn take_rotations(&self) -> Vec<Rotation> {
        std::mem::take(&mut lock(&self.state).rotations)
    }

    /// Gives room to others when calls have their answer; each is (dataset, bytes).
    pub(super) fn release(&self, calls: &[(u64, usize)]) {
        let mut state = lock(&self.state);
        calls.iter().for_each(|&(dataset_id, size)| state.shares.give_back(dataset_id, size));
    }

    /// Refuses new calls; those that wait are still taken.
    pub(super) fn close(&self) {
        lock(&self.state).ended.get_or_insert(Ended::Closed);
        self.arrived.notify_one();
    }

    /// Refuses new calls and those that wait, for good.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.ended = Some(Ended::Stopped);
        let waiting = std::mem::take(&mut state.waiting);
        state.waiting_bytes = 0;
        let rotations = std::mem::take(&mut state.rotations);
        drop(state);
        // A caller that is not there any more needs no answer.
        waiting.into_iter().for_each(|call| drop(call.answer.send(Err(stopped()))));
        rotations.into_iter().for_each(|rotation| drop(rotation.send(Err(stopped()))));
    }

    /// The bytes of calls that have no answer yet.
    pub(super) fn held_bytes(&self) -> usize {
        lock(&self.state).shares.held_bytes()
    }

    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.state).ended == Some(Ended::Stopped)
    }
}

/// A thread that panicked left nothing half done under our locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn full() -> Error {
    Error::new(ErrorKind::Throttled, "Too many records are waiting to be written. Try again.")
}

fn closed() -> Error {
    Error::unavailable("the server is shutting down")
}

pub(super) fn stopped() -> Error {
    Error::unavailable("the log stopped after a disk error; restart the server")
}
