//! Places for connections: so many and no more, and when all are taken, one that only waits has to go:
//! first those that never sent a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::measured::{self, Refusal};
use super::patience::Traffic;

/// The places; a clone is the same.
#[derive(Clone)]
pub struct Slots {
    max: usize,
    taken: Arc<Mutex<Taken>>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    /// By age, the oldest first.
    slots: BTreeMap<u64, Arc<Slot>>,
}

#[derive(Default)]
struct Slot {
    requests: AtomicUsize,
    /// Whether there was a request at all.
    is_known: AtomicBool,
    traffic: Arc<Traffic>,
    leave: CancellationToken,
}

/// One connection's place, free again when this is dropped.
pub struct Pass {
    number: u64,
    slot: Arc<Slot>,
    slots: Slots,
}

/// One request that is being served, until this is dropped.
pub struct Busy(Arc<Slot>);

impl Slots {
    pub fn new(max: usize) -> Slots {
        Slots { max, taken: Arc::default(), freed: Arc::default() }
    }

    /// Takes a place; when there is none, a connection without a request is sent away: the oldest
    /// that never had one, else the oldest.
    pub async fn enter(&self) -> Pass {
        loop {
            let freed = self.freed.notified();
            if let Some(pass) = self.try_enter() {
                return pass;
            }
            freed.await;
        }
    }

    fn try_enter(&self) -> Option<Pass> {
        let mut taken = self.lock();
        if taken.slots.len() >= self.max {
            let mut idle = taken.slots.values().filter(|slot| !slot.is_busy() && !slot.leave.is_cancelled());
            let oldest = idle.clone().next();
            if let Some(slot) = idle.find(|slot| !slot.is_known.load(Ordering::Relaxed)).or(oldest) {
                slot.leave.cancel();
                measured::refused(Refusal::NoRoom);
            }
            return None;
        }
        let (number, slot) = (taken.next, Arc::<Slot>::default());
        taken.next += 1;
        taken.slots.insert(number, slot.clone());
        Some(Pass { number, slot, slots: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    // An answer that was handed over to the connection may not have left it yet.
    fn is_busy(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > 0 || self.traffic.is_writing()
    }
}

impl Pass {
    /// Counts a request as being served.
    pub fn busy(&self) -> Busy {
        self.slot.requests.fetch_add(1, Ordering::SeqCst);
        self.slot.is_known.store(true, Ordering::Relaxed);
        Busy(self.slot.clone())
    }

    pub fn is_busy(&self) -> bool {
        self.slot.is_busy()
    }

    /// What goes on on this connection.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.slot.traffic.clone()
    }

    /// Waits until this connection has to make room.
    pub async fn sent_away(&self) {
        self.slot.leave.cancelled().await;
    }

    pub fn is_sent_away(&self) -> bool {
        self.slot.leave.is_cancelled()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.slots.lock().slots.remove(&self.number);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_that_only_waits_makes_room() {
        let slots = Slots::new(2);
        let (working, waiting) = (slots.enter().await, slots.enter().await);
        let busy = working.busy();
        let third = tokio::spawn({
            let slots = slots.clone();
            async move { slots.enter().await }
        });
        waiting.sent_away().await;
        drop(waiting);
        drop(third.await.unwrap());
        assert!(working.is_busy());
        drop(busy);
        assert!(!working.is_busy());
    }

    #[tokio::test]
    async fn who_never_asked_for_anything_goes_first() {
        let slots = Slots::new(3);
        let (client, _first_silent, _second_silent) =
            (slots.enter().await, slots.enter().await, slots.enter().await);
        drop(client.busy());
        for _ in 0..2 {
            assert!(slots.try_enter().is_none());
        }
        assert!(!client.is_sent_away());
        assert!(slots.try_enter().is_none());
        assert!(client.is_sent_away());
    }

    #[tokio::test]
    async fn nobody_who_is_served_is_sent_away() {
        let slots = Slots::new(1);
        let only = slots.enter().await;
        let _busy = only.busy();
        assert!(slots.try_enter().is_none());
        assert!(!only.slot.leave.is_cancelled());
    }
}
