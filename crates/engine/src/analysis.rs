//! Analysis of a dataset group: what its records are like, column by column, and what is to be mended about them.
//!
//! It reads what an export of ALL would write, in one pass over each dataset and within a bound of memory: what does not
//! fit is estimated, and said to be.

mod categories;
mod census;
mod column;
mod insight;
mod newest;
mod numbers;
mod read;
mod sample;
mod summary;
#[cfg(test)]
mod tests;

use model::error::Result;
use model::{Arn, Layout};
use serde::Serialize;

use crate::Progress;
use crate::export::Source;
use insight::Known;
pub use insight::{Insight, Severity};
pub use summary::{ColumnSummary, Count, DatasetSummary, Top};

/// What is exact up to which number; beyond, it is estimated.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Different ids of users, items and actions, for what one dataset has of another.
    pub ids: usize,
    /// Different values of a column.
    pub distinct: usize,
    /// Numbers of a column, for its quartiles.
    pub numbers: usize,
    /// The size of the different categories of a column, in bytes.
    pub categories_bytes: usize,
}

/// What came of an analysis.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// Records of all datasets, as an export of ALL would write them.
    pub rows: u64,
    pub datasets: Vec<DatasetSummary>,
    pub insights: Vec<Insight>,
}

/// Takes the datasets of a group, one after the other.
pub struct Analyst {
    memory_bytes: usize,
    threads: usize,
    /// How many datasets there will be.
    datasets: usize,
    known: Vec<Known>,
}

/// What an entry of a table takes at most, in bytes: while a table grows, the smaller one is there as well.
const SLOT_BYTES: usize = 26;
const NUMBER_BYTES: usize = 32;
const ENTRIES_MIN: usize = 1 << 10;

impl Limits {
    /// What fits into so much memory, of which one half is for ids and the other for all else.
    pub fn within(memory_bytes: usize, threads: usize, datasets: usize, columns: usize) -> Limits {
        let half = memory_bytes / 2;
        // Each dataset keeps up to two columns of ids; those of the one that is read are held by each thread, too.
        let ids_bytes = half / (2 * (datasets + threads).max(1));
        let column_bytes = half / ((threads + 1) * columns.max(1));
        Limits {
            ids: entries(ids_bytes),
            distinct: entries(column_bytes / 2),
            numbers: (column_bytes / 2 / NUMBER_BYTES).max(ENTRIES_MIN),
            categories_bytes: (column_bytes / 2).max(ENTRIES_MIN * SLOT_BYTES),
        }
    }
}

// A table has a power of two of slots, and fills seven of eight.
fn entries(bytes: usize) -> usize {
    let slots = (bytes / SLOT_BYTES).max(ENTRIES_MIN);
    let slots = 1 << slots.ilog2();
    slots / 8 * 7
}

impl Analyst {
    pub fn new(memory_bytes: usize, threads: usize, datasets: usize) -> Analyst {
        Analyst { memory_bytes, threads, datasets, known: Vec::new() }
    }

    /// Reads a dataset.
    ///
    /// # Errors
    /// `Corrupt` when a run is damaged; `Unavailable` once the work was asked to stop.
    pub fn read(&mut self, arn: Arn, layout: &Layout, source: &Source, progress: &Progress) -> Result<()> {
        let limits = Limits::within(self.memory_bytes, self.threads, self.datasets, layout.columns.len());
        let census = read::read(layout, source, &limits, self.threads, progress)?;
        self.known.push(Known::new(arn, layout, census));
        Ok(())
    }

    /// Draws the conclusions.
    pub fn finish(self) -> Analysis {
        let insights = insight::all(&self.known);
        let datasets: Vec<DatasetSummary> = self.known.into_iter().map(|known| known.summary).collect();
        Analysis { rows: datasets.iter().map(|dataset| dataset.rows).sum(), datasets, insights }
    }
}
