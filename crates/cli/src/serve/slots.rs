//! Places for connections: so many and no more, and when all are taken, one that only waits has to go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

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

    /// Takes a place; when there is none, the oldest connection without a request is sent away.
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
            let idle = taken.slots.values().find(|slot| !slot.is_busy() && !slot.leave.is_cancelled());
            if let Some(slot) = idle {
                slot.leave.cancel();
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
    fn is_busy(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > 0
    }
}

impl Pass {
    /// Counts a request as being served.
    pub fn busy(&self) -> Busy {
        self.slot.requests.fetch_add(1, Ordering::SeqCst);
        Busy(self.slot.clone())
    }

    pub fn is_busy(&self) -> bool {
        self.slot.is_busy()
    }

    /// Waits until this connection has to make room.
    pub async fn sent_away(&self) {
        self.slot.leave.cancelled().await;
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
    async fn nobody_who_is_served_is_sent_away() {
        let slots = Slots::new(1);
        let only = slots.enter().await;
        let _busy = only.busy();
        assert!(slots.try_enter().is_none());
        assert!(!only.slot.leave.is_cancelled());
    }
}
