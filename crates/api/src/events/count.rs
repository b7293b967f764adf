//! How many records are put, by dataset and minute: counted in memory, written to the catalog now and then.
//!
//! A crash loses the counts of the last seconds, never records.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::put_count::DAY;
use catalog::{Catalog, PutCount};
use model::Result;
use tokio::sync::{RwLock, RwLockReadGuard};

/// As many minutes can be counted at once; they are taken much more often.
const SLOTS: usize = 4;
const SECOND_BITS: u32 = 6;
const RECORD_BITS: u32 = 30;
/// For so many minutes the catalog keeps what was put in each.
const KEPT: i64 = 7 * DAY;

/// The records of one dataset since they were last taken.
///
/// A slot holds minute, last second and number in one word, so that a put changes one word and waits for nobody.
#[derive(Default)]
pub struct Counter([AtomicU64; SLOTS]);

/// What a slot holds.
#[derive(Clone, Copy)]
struct Slot {
    minute: u64,
    /// Of the minute, that of the last record.
    second: u64,
    records: u64,
}

impl Slot {
    fn read(word: u64) -> Slot {
        let (minute, rest) = (word >> (SECOND_BITS + RECORD_BITS), word >> RECORD_BITS);
        Slot { minute, second: rest & ((1 << SECOND_BITS) - 1), records: word & ((1 << RECORD_BITS) - 1) }
    }

    fn word(self) -> u64 {
        let records = self.records.min((1 << RECORD_BITS) - 1);
        ((self.minute << SECOND_BITS | self.second) << RECORD_BITS) | records
    }

    fn count(self, dataset_id: i64) -> PutCount {
        let last_ms = (self.minute * 60 + self.second).cast_signed() * 1000;
        PutCount { dataset_id, minute: self.minute.cast_signed(), records: self.records, last_ms }
    }
}

impl Counter {
    pub fn add(&self, records: u32, now_ms: i64) {
        let second = now_ms.max(0).cast_unsigned() / 1000;
        let (minute, second) = (second / 60, second % 60);
        let more = |word| {
            let old = Slot::read(word);
            let (before, last) = if old.minute == minute { (old.records, old.second) } else { (0, 0) };
            Some(Slot { minute, second: last.max(second), records: before + u64::from(records) }.word())
        };
        let slot = &self.0[minute as usize % SLOTS];
        // It always gives a word, so it is always stored.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn take(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().map(|slot| Slot::read(slot.swap(0, Ordering::Relaxed))).filter(|slot| slot.records > 0)
    }

    fn look(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().map(|slot| Slot::read(slot.load(Ordering::Relaxed))).filter(|slot| slot.records > 0)
    }
}

type Waiting = BTreeMap<(i64, i64), PutCount>;

/// The counters of all datasets that take puts.
#[derive(Default)]
pub struct PutCounts {
    counters: Mutex<HashMap<i64, Arc<Counter>>>,
    /// Taken from the counters and not yet in the catalog; held for writing while it is on the way there.
    waiting: RwLock<Waiting>,
    /// The hour in which the catalog last forgot what is old.
    cleared_hour: AtomicI64,
}

impl PutCounts {
    pub fn of(&self, dataset_id: i64) -> Arc<Counter> {
        self.lock().entry(dataset_id).or_default().clone()
    }

    /// Writes what was counted to the catalog; what can't be written waits for the next time.
    pub async fn write(&self, catalog: &Catalog, now_ms: i64) -> Result<()> {
        let mut waiting = self.waiting.write().await;
        self.take_into(&mut waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let counts: Vec<PutCount> = waiting.values().copied().collect();
        catalog.add_put_counts(&counts).await?;
        waiting.clear();
        drop(waiting);
        let minute = now_ms.div_euclid(60_000);
        if self.cleared_hour.swap(minute / 60, Ordering::Relaxed) == minute / 60 {
            return Ok(());
        }
        catalog.forget_put_counts(minute - KEPT).await
    }

    /// What the catalog does not know yet; meanwhile nothing moves there.
    pub async fn unwritten(&self) -> Unwritten<'_> {
        Unwritten { waiting: self.waiting.read().await, counts: self }
    }

    fn take_into(&self, waiting: &mut Waiting) {
        self.lock().retain(|&dataset_id, counter| {
            // A counter that no put knows any more is made again when one comes.
            let is_known = Arc::strong_count(counter) > 1;
            for slot in counter.take() {
                let count = slot.count(dataset_id);
                let known = waiting.entry((dataset_id, count.minute));
                known.and_modify(|known| merge(known, &count)).or_insert(count);
            }
            is_known
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<Counter>>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(known: &mut PutCount, more: &PutCount) {
    known.records += more.records;
    known.last_ms = known.last_ms.max(more.last_ms);
}

/// Counts that the catalog does not have yet.
pub struct Unwritten<'a> {
    waiting: RwLockReadGuard<'a, Waiting>,
    counts: &'a PutCounts,
}

impl Unwritten<'_> {
    /// Those of one dataset; a minute may be there twice.
    pub fn of(&self, dataset_id: i64) -> Vec<PutCount> {
        let waiting = self.waiting.range((dataset_id, i64::MIN)..=(dataset_id, i64::MAX));
        let mut counts: Vec<PutCount> = waiting.map(|(_, count)| *count).collect();
        if let Some(counter) = self.counts.lock().get(&dataset_id) {
            counts.extend(counter.look().map(|slot| slot.count(dataset_id)));
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn seen(counter: &Counter) -> Vec<(i64, u64, i64)> {
        let mut seen: Vec<_> =
            counter.look().map(|slot| slot.count(1)).map(|c| (c.minute, c.records, c.last_ms)).collect();
        seen.sort_unstable();
        seen
    }

    #[test]
    fn records_are_counted_in_the_minute_in_which_they_came() {
        let counter = Counter::default();
        counter.add(10, 29_833_333 * MINUTE_MS + 59_999);
        counter.add(1, 29_833_334 * MINUTE_MS);
        counter.add(2, 29_833_334 * MINUTE_MS + 7_500);
        // Another thread may have read the clock before.
        counter.add(2, 29_833_334 * MINUTE_MS + 6_500);
        let first = (29_833_333, 10, 29_833_333 * MINUTE_MS + 59_000);
        assert_eq!(seen(&counter), [first, (29_833_334, 5, 29_833_334 * MINUTE_MS + 7_000)]);
        assert_eq!(counter.take().count(), 2);
        assert_eq!(seen(&counter), []);
    }

    #[test]
    fn a_number_that_no_slot_holds_stays_below_its_minute() {
        let counter = Counter::default();
        (0..3).for_each(|_| counter.add(1 << 29, 61_000));
        assert_eq!(seen(&counter), [(1, (1 << 30) - 1, 61_000)]);
    }

    #[test]
    fn counts_of_many_threads_add_up() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counter.add(3, 5 * MINUTE_MS)));
            }
        });
        assert_eq!(seen(&counter), [(5, 120_000, 5 * MINUTE_MS)]);
    }

    #[test]
    fn counters_that_no_put_knows_are_given_up_once_they_are_taken() {
        let (counts, mut waiting) = (PutCounts::default(), Waiting::new());
        let kept = counts.of(1);
        counts.of(2).add(7, 0);
        kept.add(1, 0);
        counts.take_into(&mut waiting);
        kept.add(1, MINUTE_MS / 2);
        counts.take_into(&mut waiting);
        assert_eq!(counts.lock().len(), 1);
        let numbers: Vec<_> = waiting.values().map(|c| (c.dataset_id, c.records, c.last_ms)).collect();
        assert_eq!(numbers, [(1, 2, 30_000), (2, 7, 0)]);
    }
}
