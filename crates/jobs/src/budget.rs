//! The memory that jobs share: whoever works holds a share of it, and nobody begins without one.

use std::sync::Arc;

use measure::Held;
use model::error::{Context, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Settings, measured};

const MIB: usize = 1 << 20;
/// What an export of some ten columns needs however much it reads: for each thread a batch of every run, the pieces that
/// wait for their turn, and the parts on their way. Wide schemas need more. It is also the least that other jobs begin with.
const FLOOR_BYTES: usize = 64 * MIB;
/// What a flush sorts with. It is set aside, because flushing bounds the log and must wait for nobody.
const FLUSH_BYTES: usize = 32 * MIB;

/// The total, cut into floors, of which everybody who works holds one, and a surplus for those who can use more.
pub struct Budget {
    floors: Arc<Semaphore>,
    floor_bytes: usize,
    surplus_mib: Arc<Semaphore>,
    /// The most that one job works with.
    job_bytes: usize,
    flush_bytes: usize,
}

/// The right to work with so much memory, until it is dropped.
pub struct Share {
    bytes: usize,
    _held: Held,
    _floor: OwnedSemaphorePermit,
    _surplus: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub fn new(settings: &Settings) -> Budget {
        let (total, job_bytes) = (settings.jobs_memory_bytes, settings.job_memory_bytes);
        let flush_bytes = FLUSH_BYTES.min(total / 4).min(job_bytes);
        let shared = total - flush_bytes;
        let floor_bytes = FLOOR_BYTES.min(job_bytes).min(shared).max(1);
        // The workers, and the one that compacts.
        let floors = (shared / floor_bytes).clamp(1, settings.jobs_concurrent + 1);
        let surplus_mib = ((shared - floors * floor_bytes) / MIB).min(Semaphore::MAX_PERMITS);
        Budget {
            floors: Arc::new(Semaphore::new(floors)),
            floor_bytes,
            surplus_mib: Arc::new(Semaphore::new(surplus_mib)),
            job_bytes,
            flush_bytes,
        }
    }

    /// What a flush sorts with.
    pub fn flush_bytes(&self) -> usize {
        self.flush_bytes
    }

    /// Waits for a share, behind those who asked before; it is the least that a job can work with.
    pub async fn share(&self) -> Result<Share> {
        let floor = self.floors.clone().acquire_owned().await;
        let floor = floor.unavailable(|| "wait for memory to work with".to_owned())?;
        Ok(Share { bytes: self.floor_bytes, _held: held(self.floor_bytes), _floor: floor, _surplus: None })
    }

    /// Adds to a share what is left of the surplus now, up to the memory of one job.
    pub fn grow(&self, share: Share) -> Share {
        let wanted_mib = (self.job_bytes - share.bytes) / MIB;
        let mib = self.surplus_mib.available_permits().min(wanted_mib);
        let permits = u32::try_from(mib).unwrap_or(u32::MAX);
        match self.surplus_mib.clone().try_acquire_many_owned(permits) {
            Ok(surplus) => {
                let bytes = share.bytes + permits as usize * MIB;
                Share { bytes, _held: held(bytes), _surplus: Some(surplus), ..share }
            }
            // Somebody else was faster: the floor is enough.
            Err(_) => share,
        }
    }
}

// For whoever watches how much is left.
fn held(bytes: usize) -> Held {
    measured::MEMORY.hold(i64::try_from(bytes).unwrap_or(i64::MAX))
}

impl Share {
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn budget(jobs_concurrent: usize, job_mib: usize, total_mib: usize) -> Budget {
        Budget::new(&Settings {
            import_task_bytes: 256 << 20,
            rejects_told_max: 10,
            jobs_concurrent,
            attempts_max: 1,
            job_memory_bytes: job_mib * MIB,
            jobs_memory_bytes: total_mib * MIB,
            threads: 2,
            file_size_bytes_max: 1 << 30,
            flush_after_s: 300,
            flush_size_bytes: 1 << 26,
            log_size_bytes: 1 << 29,
        })
    }

    async fn share(budget: &Budget) -> Option<Share> {
        timeout(Duration::ZERO, budget.share()).await.ok().map(Result::unwrap)
    }

    async fn grown(budget: &Budget) -> Option<Share> {
        share(budget).await.map(|share| budget.grow(share))
    }

    #[tokio::test]
    async fn with_enough_for_all_each_job_has_its_memory() {
        let budget = budget(3, 256, 1056);
        let mut shares = Vec::new();
        while let Some(share) = grown(&budget).await {
            assert_eq!(share.bytes(), 256 * MIB);
            shares.push(share);
        }
        assert_eq!((shares.len(), budget.flush_bytes()), (4, 32 * MIB));
    }

    #[tokio::test]
    async fn the_shares_and_the_flush_never_exceed_the_total() {
        for (jobs, job_mib, total_mib) in [
            (1, 16, 64),
            (2, 256, 64),
            (2, 256, 128),
            (2, 64, 128),
            (8, 256, 300),
            (100, 256, 1000),
            (4, 100, 999),
        ] {
            let budget = budget(jobs, job_mib, total_mib);
            let mut shares = Vec::new();
            while let Some(share) = grown(&budget).await {
                assert!(share.bytes() <= job_mib * MIB && share.bytes() >= 16 * MIB);
                shares.push(share);
            }
            let sum: usize = shares.iter().map(Share::bytes).sum();
            assert!(sum + budget.flush_bytes() <= total_mib * MIB, "{jobs} jobs in {total_mib} MiB: {sum}");
            assert!(!shares.is_empty() && shares.len() <= jobs + 1);
        }
    }

    #[tokio::test]
    async fn a_job_that_uses_much_leaves_the_others_enough_to_begin() {
        let budget = budget(2, 256, 300);
        let first = grown(&budget).await.unwrap();
        assert_eq!(first.bytes(), (300 - 32 - 2 * 64) * MIB);
        let second = grown(&budget).await.unwrap();
        assert_eq!(second.bytes(), 64 * MIB);
        let third = share(&budget).await.unwrap();
        assert!(share(&budget).await.is_none());
        // What one gives back the next one takes.
        drop((first, third));
        assert_eq!(grown(&budget).await.unwrap().bytes(), 140 * MIB);
    }

    #[tokio::test]
    async fn who_waits_longest_comes_first() {
        let budget = Arc::new(budget(1, 64, 64));
        let held = budget.share().await.unwrap();
        let ended = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for n in 0..5 {
            let (budget, ended) = (budget.clone(), ended.clone());
            waiting.push(tokio::spawn(async move {
                let _share = budget.share().await.unwrap();
                ended.lock().unwrap().push(n);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*ended.lock().unwrap(), [0, 1, 2, 3, 4]);
    }
}
