//! What is counted of one dataset: its records, those of each id together, and its columns.

use std::ops::Range;
use std::sync::Arc;

use model::Layout;
use store::Rows;

use super::Limits;
use super::column::{Column, Span};
use super::sample::fold;

/// Counts records that come in record order, so that those of one id are neighbours.
pub struct Census {
    pub rows: u64,
    pub rows_missing: u64,
    /// Different ids of the column that the records are ordered by.
    pub ids: u64,
    /// Those of them that have two records or more.
    pub ids_twice: u64,
    /// In the layout's order.
    pub columns: Vec<Column>,
    id_column: usize,
    /// The last record and how many there are of its id and, numbered from 0, of its hash.
    last: Option<Last>,
    keys: Vec<u64>,
    missing: Vec<bool>,
}

struct Last {
    rows: Arc<Rows>,
    row: usize,
    of_id: u64,
    of_hash: u64,
}

impl Census {
    pub fn new(layout: &Layout, limits: &Limits) -> Census {
        Census {
            rows: 0,
            rows_missing: 0,
            ids: 0,
            ids_twice: 0,
            columns: layout.columns.iter().map(|field| Column::new(field, limits)).collect(),
            id_column: layout.id_column(),
            last: None,
            keys: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Takes records that are next to each other in one batch.
    pub fn count(&mut self, rows: &Arc<Rows>, range: Range<usize>) {
        self.rows += range.len() as u64;
        self.count_ids(rows, range.clone());
        self.missing.clear();
        self.missing.resize(range.len(), false);
        let mut span = Span { range: range.clone(), keys: &self.keys, missing: &mut self.missing };
        for (n, (column, values)) in self.columns.iter_mut().zip(&rows.columns).enumerate() {
            if n == self.id_column {
                column.count_hashes(&rows.hashes[range.clone()]);
            } else {
                column.count(values, &mut span);
            }
        }
        self.rows_missing += self.missing.iter().filter(|is_missing| **is_missing).count() as u64;
    }

    /// Says that the next record has another id than the last one.
    pub fn end_ids(&mut self) {
        self.last = None;
    }

    /// Brings in all that is in hand; to be called when no more comes.
    pub fn end(&mut self) {
        self.last = None;
        self.columns.iter_mut().for_each(Column::end);
    }

    /// Adds what was counted of records of other ids.
    pub fn merge(&mut self, other: &Census) {
        self.rows += other.rows;
        self.rows_missing += other.rows_missing;
        self.ids += other.ids;
        self.ids_twice += other.ids_twice;
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.merge(more);
        }
    }

    // Gives each row its key as well: of the hash of its id, and of its number among the records that have that hash.
    fn count_ids(&mut self, rows: &Arc<Rows>, range: Range<usize>) {
        self.keys.clear();
        let (mut of_id, mut of_hash) = (0, 0);
        for row in range.clone() {
            let before = match (&self.last, row > range.start) {
                (_, true) => Some((rows, row - 1)),
                (Some(last), false) => {
                    (of_id, of_hash) = (last.of_id, last.of_hash);
                    Some((&last.rows, last.row))
                }
                (None, false) => None,
            };
            let is_of_hash = before.is_some_and(|(known, at)| known.hashes[at] == rows.hashes[row]);
            let is_of_id =
                is_of_hash && before.is_some_and(|(known, at)| known.same_id(at, rows, row, self.id_column));
            of_hash = if is_of_hash { of_hash + 1 } else { 0 };
            of_id = if is_of_id { of_id + 1 } else { 1 };
            self.ids += u64::from(of_id == 1);
            self.ids_twice += u64::from(of_id == 2);
            self.keys.push(fold(rows.hashes[row].wrapping_add(fold(of_hash))));
        }
        if let Some(row) = range.last() {
            self.last = Some(Last { rows: rows.clone(), row, of_id, of_hash });
        }
    }
}
