//! Items, users and actions: of the records of one id the newest counts, as in an export of ALL.

use std::ops::Range;
use std::sync::Arc;

use store::{Arrivals, Rows};

use super::census::Census;

/// Hands on the newest record of each id; records come in record order.
pub struct Newest {
    id_column: usize,
    open: Option<Open>,
}

/// Records that are next to each other; the last one may still be replaced by a newer one of its id.
struct Open {
    rows: Arc<Rows>,
    range: Range<usize>,
    /// When the last one arrived.
    sequence: u64,
}

impl Newest {
    pub fn new(id_column: usize) -> Newest {
        Newest { id_column, open: None }
    }

    /// Takes a record that arrived so.
    pub fn push(&mut self, rows: &Arc<Rows>, row: usize, arrivals: Arrivals, census: &mut Census) {
        let sequence = arrivals.sequence_max;
        if let Some(open) = &mut self.open {
            if open.rows.same_id(open.range.end - 1, rows, row, self.id_column) {
                if sequence <= open.sequence {
                    return;
                }
                open.range.end -= 1;
            } else if Arc::ptr_eq(&open.rows, rows) && open.range.end == row {
                open.range.end += 1;
                open.sequence = sequence;
                return;
            }
        }
        self.hand_on(census);
        self.open = Some(Open { rows: rows.clone(), range: row..row + 1, sequence });
    }

    /// Hands on what is in hand.
    pub fn hand_on(&mut self, census: &mut Census) {
        if let Some(open) = self.open.take().filter(|open| !open.range.is_empty()) {
            census.count(&open.rows, open.range);
        }
    }
}
