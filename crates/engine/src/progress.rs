//! How far a piece of work is, and the wish that it stop: shared between the one who works and those who watch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::error::{Error, Result};

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress {
    pub fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Asks the work to stop at the next record batch.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// `Unavailable` once the work was asked to stop: whoever takes it up again starts anew.
    pub fn check(&self) -> Result<()> {
        if self.is_stopped.load(Ordering::Relaxed) {
            Err(Error::unavailable("the work was stopped"))
        } else {
            Ok(())
        }
    }
}
