//! The columns of a row group that is being filled: values are gathered, and encoded once it is known what pays.

mod booleans;
mod numbers;
mod texts;

use std::ops::Range;

pub use booleans::Booleans;
use model::error::{Error, Result};
use model::record::{Fields, Value};
use model::schema::Storage;
pub use numbers::{Kind, Numbers};
use parquet::schema::types::ColumnDescPtr;
pub use texts::Texts;

use super::chunk::{Chunk, PAGE_ROWS, Packer, Rows};

/// The values of one column.
pub enum Column {
    Texts(Texts),
    Numbers(Numbers),
    Booleans(Booleans),
}

impl Column {
    /// A column of values that come in any order.
    pub fn new(storage: Storage, column: &ColumnDescPtr) -> Column {
        match storage {
            Storage::String => Column::Texts(Texts::new(column)),
            Storage::Long => Column::Numbers(Numbers::new(Kind::Whole, column)),
            Storage::Double => Column::Numbers(Numbers::new(Kind::Fraction, column)),
            Storage::Boolean => Column::Booleans(Booleans::new(column)),
        }
    }

    /// Takes the next value of a record; returns the size it has as CSV.
    #[inline]
    pub fn push(&mut self, fields: &mut Fields<'_>) -> Result<u64> {
        Ok(match self {
            Column::Texts(texts) => texts.push(fields.text()?.as_deref()),
            Column::Numbers(numbers) if numbers.kind() == Kind::Fraction => {
                numbers.push_fraction(fields.double()?)
            }
            Column::Numbers(numbers) => numbers.push_whole(fields.long()?),
            Column::Booleans(booleans) => booleans.push(fields.boolean()?),
        })
    }

    /// Takes a value of a batch; returns the size it has as CSV.
    pub fn push_value(&mut self, value: &Value<'_>) -> Result<u64> {
        Ok(match (self, value) {
            (Column::Texts(texts), Value::String(text)) => texts.push(Some(text.as_bytes())),
            (Column::Texts(texts), Value::Null) => texts.push(None),
            (Column::Numbers(numbers), Value::Null) => numbers.push_whole(None),
            (Column::Numbers(numbers), Value::Long(number)) if numbers.kind() == Kind::Whole => {
                numbers.push_whole(Some(*number))
            }
            (Column::Numbers(numbers), Value::Double(number)) if numbers.kind() == Kind::Fraction => {
                numbers.push_fraction(Some(*number))
            }
            (Column::Booleans(booleans), Value::Boolean(truth)) => booleans.push(Some(*truth)),
            (Column::Booleans(booleans), Value::Null) => booleans.push(None),
            _ => return Err(Error::corrupt("a stored record has a value of another type than its column")),
        })
    }

    /// Encodes what need not wait for the end of the row group.
    pub fn settle(&mut self, packer: &mut Packer) -> Result<()> {
        if let Column::Texts(texts) = self { texts.settle(packer) } else { Ok(()) }
    }

    /// The memory that it needs.
    pub fn size_bytes(&self) -> usize {
        match self {
            Column::Texts(texts) => texts.size_bytes(),
            Column::Numbers(numbers) => numbers.size_bytes(),
            Column::Booleans(booleans) => booleans.size_bytes(),
        }
    }

    pub fn finish(self, packer: &mut Packer) -> Result<Chunk> {
        match self {
            Column::Texts(texts) => texts.finish(packer),
            Column::Numbers(numbers) => numbers.finish(packer),
            Column::Booleans(booleans) => booleans.finish(packer),
        }
    }
}

/// Which rows have a value.
#[derive(Default)]
struct Presence {
    rows: usize,
    /// Empty while all have one.
    present: Vec<bool>,
}

/// The rows of a page, and its values among all values that are there.
struct PageRange<'a> {
    rows: Rows<'a>,
    values: Range<usize>,
}

impl Presence {
    #[inline]
    fn push(&mut self, is_present: bool) {
        if !is_present && self.present.is_empty() {
            self.present.resize(self.rows, true);
        }
        if !is_present || !self.present.is_empty() {
            self.present.push(is_present);
        }
        self.rows += 1;
    }

    fn rows(&self) -> Rows<'_> {
        Rows { count: self.rows, present: &self.present }
    }

    fn pages(&self) -> impl Iterator<Item = PageRange<'_>> {
        let mut value = 0;
        (0..self.rows).step_by(PAGE_ROWS).map(move |from| {
            let count = PAGE_ROWS.min(self.rows - from);
            let present = self.present.get(from..from + count).unwrap_or_default();
            let nulls = present.iter().filter(|&&is_present| !is_present).count();
            let values = value..value + count - nulls;
            value = values.end;
            PageRange { rows: Rows { count, present }, values }
        })
    }

    fn size_bytes(&self) -> usize {
        self.present.len()
    }
}
