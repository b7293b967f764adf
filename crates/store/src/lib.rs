//! A dataset at rest: the log of put records, sorted runs, their merge and compaction.
//!
//! It is handed the list of runs and hands back new ones; it knows no database, no permission and no AWS name.

pub mod compact;
pub mod disk;
pub mod hold;
pub mod log;
pub mod measured;
pub mod merge;
pub mod objects;
pub mod owner;
pub mod rows;
pub mod run;
pub mod sort;
pub mod tail;

pub use hold::Hold;
pub use merge::{Merge, Merged, Piece};
pub use objects::Objects;
pub use rows::{Rows, RowsBuilder};
pub use run::{OpenRun, RunFile, RunReader, RunWriter};
pub use sort::{ScratchFolder, Sorted, Sorter, Sources};

/// What is kept beside a record's columns; equal records merge into one with the minimum, maximum and sum of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// The sequence number of the first of the equal records.
    pub sequence_min: u64,
    /// The sequence number of the last of them.
    pub sequence_max: u64,
    /// How many there were.
    pub copies: u64,
}

impl Arrivals {
    /// One record that arrived once.
    pub fn once(sequence: u64) -> Arrivals {
        Arrivals { sequence_min: sequence, sequence_max: sequence, copies: 1 }
    }

    pub fn merge(&mut self, other: Arrivals) {
        self.sequence_min = self.sequence_min.min(other.sequence_min);
        self.sequence_max = self.sequence_max.max(other.sequence_max);
        self.copies += other.copies;
    }
}
