//! Compaction: many runs of one origin become one, so that every later merge has little to do.

use model::Layout;
use model::error::Result;

use crate::merge::{Batches, Merge};
use crate::objects::Objects;
use crate::run::{ROW_GROUP_BYTES, RunFile, RunReader, RunWriter};

/// A run to be read: its object and what is added to its sequence numbers.
#[derive(Clone, Debug)]
pub struct Input {
    pub object: String,
    pub sequence_base: u64,
    pub size_bytes: u64,
}

/// Runs are merged when this many of one tier have gathered.
const TIER_RUNS: usize = 4;
/// Runs below this size are all of the lowest tier: to write them again costs no more than to write a file.
const SMALL_BYTES: u64 = 16 << 10;

/// Picks runs worth merging, by position in `csv_bytes`, the size of each run's records as they arrived.
///
/// Sizes fall into tiers of a factor of four. As soon as four runs are in one, they become one with all smaller runs,
/// and what comes of it is of a higher tier: sizes add up, because they count duplicates as well. So there are at most
/// three runs of each tier, and a record is rewritten at most once for each: both grow with the logarithm of the data.
/// `None` when no tier is full.
pub fn pick(csv_bytes: &[u64]) -> Option<Vec<usize>> {
    let runs_of = |wanted: u32| csv_bytes.iter().filter(|&&bytes| tier(bytes) == wanted).count();
    let full = csv_bytes.iter().map(|&bytes| tier(bytes)).filter(|&t| runs_of(t) >= TIER_RUNS).max()?;
    Some((0..csv_bytes.len()).filter(|&n| tier(csv_bytes[n]) <= full).collect())
}

fn tier(csv_bytes: u64) -> u32 {
    (csv_bytes / SMALL_BYTES).checked_ilog2().map_or(0, |log| 1 + log / 2)
}

/// What the reader of one run holds: a batch, and for each column a page and its dictionary.
const BATCH_BYTES: usize = 4 << 20;
const COLUMN_BYTES: usize = 512 << 10;
const FAN_IN_MAX: usize = 64;

/// How many runs can be merged at once within a memory: few of a wide schema, but always two.
pub fn fan_in(layout: &Layout, memory_bytes: usize) -> usize {
    let for_reading = memory_bytes.saturating_sub(ROW_GROUP_BYTES).max(memory_bytes / 2);
    (for_reading / (BATCH_BYTES + layout.columns.len() * COLUMN_BYTES)).clamp(2, FAN_IN_MAX)
}

const CHECK_EVERY_ROWS: u64 = 8192;

/// Merges runs of one origin into a new one, durable under `object` but seen by nobody yet.
///
/// Merges at most `fan_in` runs at once, the smallest first; what comes of the steps between lies beside the object under
/// names that begin alike.
///
/// # Errors
/// Those of `check`, which is asked now and then; `Corrupt` when a run is damaged or gone; `Unavailable` when a read or
/// write fails.
pub fn compact(
    objects: &Objects,
    object: &str,
    layout: &Layout,
    mut inputs: Vec<Input>,
    fan_in: usize,
    check: &dyn Fn() -> Result<()>,
) -> Result<RunFile> {
    let stem = object.trim_end_matches(".parquet");
    let mut steps: Vec<String> = Vec::new();
    while inputs.len() > fan_in {
        inputs.sort_by_key(|input| input.size_bytes);
        // So few that the last merge has as many runs as it may.
        let few = fan_in.min(inputs.len() - fan_in + 1);
        let step = format!("{stem}-step-{}.parquet", steps.len());
        let taken: Vec<Input> = inputs.drain(..few).collect();
        let file = merge(objects, &step, layout, &taken, check)?;
        drop_steps(objects, &steps, &taken)?;
        inputs.push(Input { object: file.object, sequence_base: 0, size_bytes: file.size_bytes });
        steps.push(step);
    }
    let file = merge(objects, object, layout, &inputs, check)?;
    drop_steps(objects, &steps, &inputs)?;
    Ok(file)
}

fn merge(
    objects: &Objects,
    object: &str,
    layout: &Layout,
    inputs: &[Input],
    check: &dyn Fn() -> Result<()>,
) -> Result<RunFile> {
    let mut runs: Vec<Batches> = Vec::with_capacity(inputs.len());
    for input in inputs {
        runs.push(Box::new(RunReader::open(objects, &input.object, layout, input.sequence_base)?));
    }
    let mut merge = Merge::new(layout, runs)?;
    let mut writer = RunWriter::create(objects, object, layout)?;
    let mut written: u64 = 0;
    while let Some(merged) = merge.next_record()? {
        writer.push_row(&merged.rows, merged.row, merged.arrivals)?;
        written += 1;
        if written.is_multiple_of(CHECK_EVERY_ROWS) {
            check()?;
        }
    }
    writer.finish()
}

fn drop_steps(objects: &Objects, steps: &[String], merged: &[Input]) -> Result<()> {
    let mut gone = merged.iter().filter(|input| steps.contains(&input.object));
    gone.try_for_each(|input| objects.delete(&input.object))
}

#[cfg(test)]
mod tests;
