//! What is made ready once: the batches in hand, and the dictionaries they share.

use std::sync::Arc;

use store::Rows;
use store::rows::{Coded, Dictionary, Values};

use super::column::Column;
use super::slots::Slots;

/// The batches in hand, ready to be written, and what is known of their dictionaries.
pub struct Ready<'o> {
    /// The columns that are written, in order, where these are not all.
    chosen: Option<&'o [usize]>,
    batches: Vec<Batch>,
    /// For each column, the dictionaries that batches in hand refer to.
    dictionaries: Vec<Vec<Known>>,
}

/// A batch; it is held so that no other one takes its place in memory.
struct Batch {
    rows: Arc<Rows>,
    columns: Vec<Column>,
}

struct Known {
    dictionary: Arc<Dictionary>,
    /// Records that were written with it.
    rows: usize,
    slots: Option<Slots>,
    /// Whether slots were tried: what does not fit now is not tried again.
    is_tried: bool,
}

/// What the slots of all dictionaries may take; a dictionary that comes later is used as it is.
const SLOTS_BYTES_MAX: usize = 3 << 20;

impl<'o> Ready<'o> {
    pub fn new(chosen: Option<&'o [usize]>) -> Ready<'o> {
        Ready { chosen, batches: Vec::new(), dictionaries: Vec::new() }
    }

    /// The columns of a batch.
    #[inline]
    pub fn columns(&mut self, rows: &Arc<Rows>) -> &[Column] {
        let at = self.batches.iter().rposition(|batch| Arc::ptr_eq(&batch.rows, rows));
        let at = at.unwrap_or_else(|| self.add(rows));
        &self.batches[at].columns
    }

    // What nobody else holds any more is done with.
    fn add(&mut self, rows: &Arc<Rows>) -> usize {
        self.batches.retain(|batch| Arc::strong_count(&batch.rows) > 1);
        let count = self.chosen.map_or(rows.columns.len(), <[usize]>::len);
        self.dictionaries.resize_with(count, Vec::new);
        let columns = (0..count).map(|n| {
            let values = &rows.columns[self.chosen.map_or(n, |chosen| chosen[n])];
            let slots = match values {
                Values::Coded(coded) => self.slots(coded, n, n + 1 == count),
                _ => None,
            };
            Column::new(values, slots)
        });
        let columns = columns.collect();
        self.batches.push(Batch { rows: rows.clone(), columns });
        self.batches.len() - 1
    }

    // Slots pay once a value is written a few times; a range that takes little of a row group goes without.
    fn slots(&mut self, coded: &Coded, column: usize, is_last: bool) -> Option<Slots> {
        let known = &mut self.dictionaries[column];
        let dictionary = coded.dictionary();
        let at = known.iter().position(|known| Arc::ptr_eq(&known.dictionary, dictionary));
        let at = at.unwrap_or_else(|| {
            known.retain(|known| Arc::strong_count(&known.dictionary) > 1);
            known.push(Known { dictionary: dictionary.clone(), rows: 0, slots: None, is_tried: false });
            known.len() - 1
        });
        let known = &mut known[at];
        let is_worth_it = known.rows >= dictionary.len() / 4;
        known.rows += coded.codes().len();
        if !is_worth_it || known.is_tried {
            return known.slots.clone();
        }
        known.is_tried = true;
        let separator = if is_last { b'\n' } else { b',' };
        let left = SLOTS_BYTES_MAX.saturating_sub(self.size_bytes());
        let slots = Slots::new(dictionary, separator, left);
        self.dictionaries[column][at].slots = slots.clone();
        slots
    }

    fn size_bytes(&self) -> usize {
        let slots = self.dictionaries.iter().flatten().filter_map(|known| known.slots.as_ref());
        slots.map(Slots::size_bytes).sum()
    }
}
