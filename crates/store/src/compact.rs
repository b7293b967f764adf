//! Compaction: many runs of one origin become one, so that every later merge has little to do.

use model::Layout;
use model::error::Result;

use crate::merge::{Batches, Merge};
use crate::objects::Objects;
use crate::run::{RunFile, RunReader, RunWriter};

/// A run to be read: its object and what is added to its sequence numbers.
#[derive(Clone, Debug)]
pub struct Input {
    pub object: String,
    pub sequence_base: u64,
    pub size_bytes: u64,
}

/// Runs are merged when this many of one size have gathered.
const TIER_RUNS: usize = 8;

/// Picks runs worth merging, by position in `sizes_bytes`: the largest group of runs of about one size.
///
/// Sizes fall into tiers of a factor of eight, so that each record is rewritten a number of times that grows only
/// with the logarithm of the data. `None` while every tier is small.
pub fn pick(sizes_bytes: &[u64]) -> Option<Vec<usize>> {
    let tier = |size: u64| size.max(1 << 20).ilog2() / 3;
    let mut tiers: Vec<u32> = sizes_bytes.iter().map(|&s| tier(s)).collect();
    tiers.sort_unstable();
    tiers.dedup();
    for wanted in tiers {
        let members: Vec<usize> =
            (0..sizes_bytes.len()).filter(|&n| tier(sizes_bytes[n]) == wanted).collect();
        if members.len() >= TIER_RUNS {
            return Some(members);
        }
    }
    None
}

/// Merges runs of one origin into a new one, durable under `object` but seen by nobody yet.
pub fn compact(objects: &Objects, object: &str, layout: &Layout, inputs: &[Input]) -> Result<RunFile> {
    let mut runs: Vec<Batches> = Vec::with_capacity(inputs.len());
    for input in inputs {
        runs.push(Box::new(RunReader::open(objects, &input.object, layout, input.sequence_base)?));
    }
    let mut merge = Merge::new(layout, runs)?;
    let mut writer = RunWriter::create(objects, object, layout)?;
    while let Some(merged) = merge.next_record()? {
        writer.push_row(&merged.rows, merged.row, merged.arrivals)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_small_runs_are_worth_merging() {
        assert_eq!(pick(&[10; 7]), None);
        assert_eq!(pick(&[10; 8]), Some((0..8).collect()));
    }

    #[test]
    fn a_large_run_is_not_rewritten_for_small_ones() {
        let mut sizes = vec![1 << 30];
        sizes.extend([1 << 20; 8]);
        assert_eq!(pick(&sizes), Some((1..9).collect()));
    }
}
