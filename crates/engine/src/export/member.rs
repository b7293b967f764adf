//! A distinct record of the snapshot, with how it came.

use std::sync::Arc;

use store::merge::{Mark, Past};
use store::{Arrivals, Merged, Rows};

#[derive(Clone)]
pub struct Member {
    pub rows: Arc<Rows>,
    pub row: usize,
    pub arrivals: Arrivals,
    pub past: Past,
}

impl Member {
    /// A record that only one run has.
    pub fn of_span(rows: &Arc<Rows>, row: usize, mark: Mark) -> Member {
        let arrivals = rows.arrivals(row);
        Member { rows: rows.clone(), row, arrivals, past: mark.past(arrivals) }
    }
}

impl From<Merged> for Member {
    fn from(merged: Merged) -> Member {
        let Merged { rows, row, arrivals, past } = merged;
        Member { rows, row, arrivals, past }
    }
}
