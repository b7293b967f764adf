//! The counter behind "newest": numbers grow for ever, over restarts too, and never depend on a clock.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use model::error::{Error, Result};

use crate::failed;
use crate::patience::Pool;

pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counter (name, value) VALUES ('sequence', 1) ON CONFLICT DO NOTHING;
";

/// How many numbers are reserved ahead in one transaction.
const BLOCK: u64 = 1 << 22;

/// Hands out sequence numbers from memory, out of blocks that the catalog has reserved.
///
/// A crash skips the rest of a block: numbers have gaps, but none is ever given twice.
pub struct Sequencer {
    pool: Pool,
    block: Mutex<Range<u64>>,
    /// The first number that could be given since the start; 0 before any could.
    first: AtomicU64,
}

impl Sequencer {
    pub(crate) fn new(pool: Pool) -> Sequencer {
        Sequencer { pool, block: Mutex::new(0..0), first: AtomicU64::new(0) }
    }

    /// Draws `count` numbers in a row from the reserved block; `None` when it holds too few.
    pub fn draw(&self, count: u64) -> Option<u64> {
        let mut block = self.block.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if block.end - block.start < count {
            return None;
        }
        let first = block.start;
        block.start += count;
        Some(first)
    }

    /// The number that the next record will get; every number given so far is smaller.
    pub fn next(&self) -> u64 {
        self.block.lock().unwrap_or_else(std::sync::PoisonError::into_inner).start
    }

    /// The first number that could be given since the start: all smaller ones were given before.
    pub fn first(&self) -> u64 {
        self.first.load(Ordering::Relaxed)
    }

    /// Makes sure that `count` numbers can be drawn.
    pub async fn reserve(&self, count: u64) -> Result<()> {
        let size = i64::try_from(count.saturating_add(BLOCK))
            .map_err(|_| Error::invalid("too many records at once"))?;
        let end: i64 = sqlx::query_scalar(
            "UPDATE counter SET value = value + $1 WHERE name = 'sequence' RETURNING value",
        )
        .bind(size)
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        let fresh = (end - size).cast_unsigned()..end.cast_unsigned();
        let mut block = self.block.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Another reservation may have come in between; numbers must only ever grow.
        if fresh.start >= block.end {
            // Only the first time is it still 0.
            let _ = self.first.compare_exchange(0, fresh.start, Ordering::Relaxed, Ordering::Relaxed);
            *block = if fresh.start == block.end { block.start..fresh.end } else { fresh };
        }
        Ok(())
    }

    /// Draws `count` numbers, reserving more where needed.
    pub async fn draw_or_reserve(&self, count: u64) -> Result<u64> {
        loop {
            if let Some(first) = self.draw(count) {
                return Ok(first);
            }
            self.reserve(count).await?;
        }
    }
}
