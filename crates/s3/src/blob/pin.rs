//! Keeps blobs that are being read on disk until the last reader is done.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{RwLock, RwLockReadGuard};

use super::Blobs;

/// Which blobs are being read, and the gate between looking an object up and pinning its blobs.
#[derive(Default)]
pub struct Pins {
    gate: RwLock<()>,
    held: Mutex<HashMap<String, Held>>,
}

#[derive(Default)]
struct Held {
    readers: usize,
    doomed: bool,
}

/// Blobs that stay on disk as long as this lives, even when nothing names them any more.
pub struct Pin {
    blobs: Blobs,
    ids: Vec<String>,
}

impl Blobs {
    /// Held while an object is looked up and its blobs are pinned, so that none vanishes in between.
    pub async fn gate(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.pins.gate.read().await
    }

    pub fn pin(&self, ids: Vec<String>) -> Pin {
        let mut held = self.held();
        for id in &ids {
            held.entry(id.clone()).or_default().readers += 1;
        }
        drop(held);
        Pin { blobs: self.clone(), ids }
    }

    /// Removes blobs that no row names any more: at once, or when their last reader is done.
    pub async fn discard(&self, ids: Vec<String>) {
        if ids.is_empty() {
            return;
        }
        // Whoever looked up the old row has pinned its blobs once the gate opens for us; all later ones see the new row.
        drop(self.inner.pins.gate.write().await);
        let free = self.doom(ids);
        let blobs = self.clone();
        if let Err(cause) = tokio::task::spawn_blocking(move || blobs.remove(&free)).await {
            tracing::warn!(cause = %cause, "blobs that nothing names stay until the next start");
        }
    }

    fn doom(&self, ids: Vec<String>) -> Vec<String> {
        let mut held = self.held();
        let mut free = Vec::new();
        for id in ids {
            match held.get_mut(&id) {
                Some(pinned) => pinned.doomed = true,
                None => free.push(id),
            }
        }
        free
    }

    fn release(&self, ids: &[String]) -> Vec<String> {
        let mut held = self.held();
        let mut free = Vec::new();
        for id in ids {
            let Some(pinned) = held.get_mut(id) else { continue };
            pinned.readers -= 1;
            if pinned.readers == 0 && held.remove(id).is_some_and(|last| last.doomed) {
                free.push(id.clone());
            }
        }
        free
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.inner.pins.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let free = self.blobs.release(&self.ids);
        self.blobs.remove(&free);
    }
}
