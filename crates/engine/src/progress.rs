//! How far a piece of work is, and the wish that it stop: shared between the one who works and those who watch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::error::{Error, Result};

/// Counters that only grow, and what they grow to where that is known.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    /// 0 while nobody knows.
    rows_total: AtomicU64,
    /// 0 while nobody knows.
    bytes_total: AtomicU64,
    /// What comes behind the reading of all bytes, cut into pieces of about equal work.
    steps: AtomicU64,
    steps_total: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress {
    /// Goes on from what was done before.
    pub fn resumed(rows: u64, rows_total: u64, bytes: u64, bytes_total: u64) -> Progress {
        let progress = Progress::default();
        progress.add(rows, bytes);
        progress.expect_rows(rows_total);
        progress.expect_bytes(bytes_total);
        progress
    }

    pub fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes over how far others are.
    pub fn tell(&self, rows: u64, bytes: u64, steps: u64) {
        self.rows.fetch_max(rows, Ordering::Relaxed);
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
        self.steps.fetch_max(steps, Ordering::Relaxed);
    }

    /// Goes back to the beginning: what was done has to be done again.
    pub fn begin_again(&self) {
        self.rows.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.steps.store(0, Ordering::Relaxed);
    }

    pub fn expect_rows(&self, total: u64) {
        self.rows_total.store(total, Ordering::Relaxed);
    }

    pub fn expect_bytes(&self, total: u64) {
        self.bytes_total.store(total, Ordering::Relaxed);
    }

    /// Says that the reading of all bytes is followed by as much work again, in so many steps.
    pub fn expect_steps(&self, total: u64) {
        self.steps_total.store(total, Ordering::Relaxed);
    }

    pub fn add_step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// 0 while nobody knows; never less than what is done.
    pub fn rows_total(&self) -> u64 {
        at_least(self.rows_total.load(Ordering::Relaxed), self.rows())
    }

    /// 0 while nobody knows; never less than what is done.
    pub fn bytes_total(&self) -> u64 {
        at_least(self.bytes_total.load(Ordering::Relaxed), self.bytes())
    }

    /// Which part of the work is done, from 0 to 1; `None` while nobody knows how much there is.
    ///
    /// Rows tell it where their number is known. Else bytes do, for the first half: what was read has to be put in
    /// order and written as well, which takes about as long.
    pub fn share(&self) -> Option<f64> {
        let part = |done: u64, total: u64| (total > 0).then(|| done as f64 / total as f64);
        let read = || part(self.bytes(), self.bytes_total());
        let written = part(self.steps.load(Ordering::Relaxed), self.steps_total.load(Ordering::Relaxed));
        part(self.rows(), self.rows_total())
            .or_else(|| read().map(|read| (read + written.unwrap_or(0.0)) / 2.0))
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

// More may turn up than was counted before, such as records that were put meanwhile.
fn at_least(total: u64, done: u64) -> u64 {
    if total == 0 { 0 } else { total.max(done) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_knows_the_share_of_what_has_no_total() {
        let progress = Progress::default();
        progress.add(10, 100);
        assert_eq!((progress.share(), progress.rows_total(), progress.bytes_total()), (None, 0, 0));
    }

    #[test]
    fn to_read_all_bytes_is_half_of_an_import() {
        let progress = Progress::default();
        progress.expect_bytes(200);
        progress.add(10, 100);
        assert_eq!(progress.share(), Some(0.25));
        progress.add(10, 100);
        progress.expect_steps(4);
        progress.add_step();
        assert_eq!(progress.share(), Some(0.625));
    }

    #[test]
    fn rows_tell_the_share_where_their_number_is_known() {
        let progress = Progress::resumed(20, 80, 7, 0);
        assert_eq!(progress.share(), Some(0.25));
        progress.add(80, 0);
        assert_eq!((progress.share(), progress.rows_total()), (Some(1.0), 100));
    }
}
