//! A batch of records in columns: how runs are read, written and compared.

mod build;
mod dictionary;
mod hashes;

use std::cmp::Ordering;

use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
pub use build::RowsBuilder;
use model::record::Value;

use crate::Arrivals;
pub use dictionary::{Coded, Dictionary};
pub(crate) use hashes::hash_ids;

/// The values of one column in a batch.
#[derive(Clone, Debug)]
pub enum Values {
    Strings(StringArray),
    /// Strings, too, where the run keeps a dictionary of them.
    Coded(Coded),
    Longs(Int64Array),
    Doubles(Float64Array),
    Booleans(BooleanArray),
    /// The column came with a later schema: all null.
    Absent,
}

/// Records in record order, in columns.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The hash of each record's id.
    pub hashes: Vec<u64>,
    /// In the layout's order.
    pub columns: Vec<Values>,
    /// Empty where nobody asked for them.
    pub arrivals: Vec<Arrivals>,
}

impl Values {
    pub fn get(&self, row: usize) -> Value<'_> {
        match self {
            Values::Strings(a) if a.is_valid(row) => Value::String(a.value(row).into()),
            Values::Coded(a) if !a.is_null(row) => Value::String(a.value(row).into()),
            Values::Longs(a) if a.is_valid(row) => Value::Long(a.value(row)),
            Values::Doubles(a) if a.is_valid(row) => Value::Double(a.value(row)),
            Values::Booleans(a) if a.is_valid(row) => Value::Boolean(a.value(row)),
            _ => Value::Null,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Values::Strings(a) => a.is_null(row),
            Values::Coded(a) => a.is_null(row),
            Values::Longs(a) => a.is_null(row),
            Values::Doubles(a) => a.is_null(row),
            Values::Booleans(a) => a.is_null(row),
            Values::Absent => true,
        }
    }

    // What a dictionary takes is shared by too many to be counted here.
    fn size_bytes(&self) -> usize {
        match self {
            Values::Strings(a) => {
                let offsets = a.value_offsets();
                (offsets[a.len()] - offsets[0]) as usize + 4 * a.len()
            }
            Values::Coded(a) => 4 * a.codes().len(),
            Values::Longs(a) => 8 * a.len(),
            Values::Doubles(a) => 8 * a.len(),
            Values::Booleans(a) => a.len() / 8,
            Values::Absent => 0,
        }
    }

    // Null comes first; the columns of one layout have one type.
    fn compare(&self, row: usize, other: &Values, other_row: usize) -> Ordering {
        match (self.is_null(row), other.is_null(other_row)) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (self, other) {
            (Values::Coded(a), Values::Coded(b)) if a.is_same(row, b, other_row) => Ordering::Equal,
            (Values::Longs(a), Values::Longs(b)) => a.value(row).cmp(&b.value(other_row)),
            (Values::Doubles(a), Values::Doubles(b)) => a.value(row).total_cmp(&b.value(other_row)),
            (Values::Booleans(a), Values::Booleans(b)) => a.value(row).cmp(&b.value(other_row)),
            _ => self.text(row).cmp(&other.text(other_row)),
        }
    }

    fn text(&self, row: usize) -> Option<&[u8]> {
        match self {
            Values::Strings(a) => Some(a.value(row).as_bytes()),
            Values::Coded(a) => Some(a.value(row).as_bytes()),
            _ => None,
        }
    }
}

impl Rows {
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// When and how often a record arrived; once, long ago, where nobody asked.
    pub fn arrivals(&self, row: usize) -> Arrivals {
        self.arrivals.get(row).copied().unwrap_or(Arrivals::once(0))
    }

    /// What a record takes in memory, on average.
    pub fn mean_size_bytes(&self) -> usize {
        self.columns.iter().map(Values::size_bytes).sum::<usize>() / self.len().max(1)
    }

    /// Compares two records in record order; `order` is the layout's (`Layout::record_order`).
    #[inline]
    pub fn compare(&self, row: usize, other: &Rows, other_row: usize, order: &[usize]) -> Ordering {
        let by_hash = self.hashes[row].cmp(&other.hashes[other_row]);
        by_hash.then_with(|| self.compare_columns(row, other, other_row, order))
    }

    fn compare_columns(&self, row: usize, other: &Rows, other_row: usize, order: &[usize]) -> Ordering {
        let mut by_columns =
            order.iter().map(|&c| self.columns[c].compare(row, &other.columns[c], other_row));
        by_columns.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Whether two records are of one user, item or action.
    pub fn same_id(&self, row: usize, other: &Rows, other_row: usize, id_column: usize) -> bool {
        self.hashes[row] == other.hashes[other_row]
            && self.columns[id_column].compare(row, &other.columns[id_column], other_row).is_eq()
    }
}

/// A batch ends at this many records, or at this size for wide ones.
pub(crate) const BATCH_ROWS: usize = 8192;
pub(crate) const BATCH_BYTES: u64 = 4 << 20;

// The size decides where an export's files are cut, so it depends on the value alone: digits as they are written, and
// for fractions, whose shortest text is dear to find, a fixed width.
pub(crate) fn csv_size(value: &Value<'_>) -> u64 {
    match value {
        Value::Null => 0,
        Value::String(text) => text.len() as u64,
        Value::Long(number) => {
            u64::from(number.unsigned_abs().checked_ilog10().unwrap_or(0) + 1) + u64::from(*number < 0)
        }
        Value::Double(_) => 8,
        Value::Boolean(_) => 5,
    }
}
