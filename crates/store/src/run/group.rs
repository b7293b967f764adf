//! Row groups: records in columns, encoded by any thread, to be appended to a run in record order.

use std::sync::Arc;

use model::Layout;
use model::error::Result;
use model::record::{Fields, Value, hash_of};
use model::schema::Storage;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Chunk, Packer};
use super::column::{Column, Kind, Numbers, Texts};
use crate::Arrivals;
use crate::rows::Rows;

/// A row group ends at this many records.
pub const ROW_GROUP_ROWS: usize = 512 * 1024;
/// Wide records close a row group early, so that its buffers stay small.
pub const ROW_GROUP_BYTES: usize = 32 << 20;

/// The columns look at what they hold after this many records, or bytes of them.
const SETTLED_ROWS: usize = 4096;
const SETTLED_BYTES: usize = 1 << 20;
/// Canonical bytes begin with the hash.
const HASH_BYTES: usize = 8;

/// An encoded row group.
pub struct RowGroup {
    pub(super) columns: Vec<Chunk>,
    /// The hash of its first record.
    pub(super) border: u64,
    pub(super) rows: u64,
    pub(super) records: u64,
    pub(super) csv_bytes: u64,
}

/// What the row groups of one run have in common; threads share it.
pub struct RowGroupFormat {
    /// For each column of the layout, how its values are kept, and its description.
    columns: Vec<(Storage, ColumnDescPtr)>,
    /// `_SEQ`, `_SEQ_SPAN` and `_COPIES`.
    own: [ColumnDescPtr; 3],
    /// The places of the columns in record order: the id comes first.
    order: Vec<usize>,
}

impl RowGroupFormat {
    pub(super) fn new(layout: &Layout, columns: &[ColumnDescPtr]) -> Option<RowGroupFormat> {
        let (columns, own) = columns.split_last_chunk()?;
        let storage = layout.columns.iter().map(|column| column.kind().storage());
        let columns = storage.zip(columns.iter().cloned()).collect();
        Some(RowGroupFormat { columns, own: own.clone(), order: layout.record_order() })
    }
}

/// Takes records in record order and gives row groups.
pub struct RowGroups {
    format: Arc<RowGroupFormat>,
    packer: Packer,
    /// The row group that is being filled.
    group: Option<Group>,
}

struct Group {
    ids: Texts,
    /// All others, in record order.
    columns: Vec<Column>,
    own: [Numbers; 3],
    /// How the last record begins: its hash and its id.
    head: Vec<u8>,
    /// The size of its id.
    id_bytes: u64,
    border: u64,
    rows: usize,
    records: u64,
    csv_bytes: u64,
    settled_rows: usize,
    unsettled_bytes: usize,
    size_bytes: usize,
}

impl RowGroups {
    pub fn new(format: &Arc<RowGroupFormat>) -> Result<RowGroups> {
        Ok(RowGroups { format: format.clone(), packer: Packer::new()?, group: None })
    }

    /// Adds a record from its canonical bytes; gives a row group when it is full.
    pub fn push_record(&mut self, record: &[u8], arrivals: Arrivals) -> Result<Option<RowGroup>> {
        let group = self.group.get_or_insert_with(|| Group::new(&self.format, hash_of(record)));
        let csv_bytes = group.push_record(record)?;
        group.count(csv_bytes, arrivals);
        self.pushed()
    }

    /// Adds a record of a batch; gives a row group when it is full.
    pub fn push_row(&mut self, rows: &Rows, row: usize, arrivals: Arrivals) -> Result<Option<RowGroup>> {
        let group = self.group.get_or_insert_with(|| Group::new(&self.format, rows.hashes[row]));
        let csv_bytes = group.push_row(&self.format, rows, row)?;
        group.count(csv_bytes, arrivals);
        self.pushed()
    }

    /// Gives what is left.
    pub fn finish(&mut self) -> Result<Option<RowGroup>> {
        self.group.take().map(|group| group.finish(&self.format, &mut self.packer)).transpose()
    }

    #[inline]
    fn pushed(&mut self) -> Result<Option<RowGroup>> {
        let Some(group) = self.group.as_mut().filter(|group| group.is_due()) else { return Ok(None) };
        group.settle(&mut self.packer)?;
        if group.is_full() { self.finish() } else { Ok(None) }
    }
}

impl Group {
    fn new(format: &RowGroupFormat, border: u64) -> Group {
        let id = format.order[0];
        let others = format.order[1..].iter().map(|&n| &format.columns[n]);
        Group {
            ids: Texts::sorted(&format.columns[id].1),
            columns: others.map(|(storage, column)| Column::new(*storage, column)).collect(),
            own: format.own.each_ref().map(|column| Numbers::new(Kind::Whole, column)),
            head: Vec::new(),
            id_bytes: 0,
            border,
            rows: 0,
            records: 0,
            csv_bytes: 0,
            settled_rows: 0,
            unsettled_bytes: 0,
            size_bytes: 0,
        }
    }

    /// Returns the size of the record as CSV.
    fn push_record(&mut self, record: &[u8]) -> Result<u64> {
        let (mut fields, id_bytes) = self.push_id(record)?;
        let mut csv_bytes = 1 + id_bytes;
        for column in &mut self.columns {
            csv_bytes += 1 + column.push(&mut fields)?;
        }
        fields.end()?;
        self.unsettled_bytes += record.len();
        Ok(csv_bytes)
    }

    // Records of one id follow each other, so most ids need no reading.
    #[inline]
    fn push_id<'a>(&mut self, record: &'a [u8]) -> Result<(Fields<'a>, u64)> {
        if !self.head.is_empty() && record.starts_with(&self.head) && self.ids.repeat() {
            return Ok((Fields::of(&record[self.head.len() - HASH_BYTES..])?, self.id_bytes));
        }
        let mut fields = Fields::of(record)?;
        let id = fields.text()?;
        self.id_bytes = self.ids.push(id.as_deref());
        self.head.clear();
        if id.is_some() {
            self.head.extend_from_slice(&record[..record.len() - fields.rest().len()]);
        }
        Ok((fields, self.id_bytes))
    }

    /// Returns the size of the record as CSV.
    fn push_row(&mut self, format: &RowGroupFormat, rows: &Rows, row: usize) -> Result<u64> {
        let id = match rows.columns[format.order[0]].get(row) {
            Value::String(id) => self.ids.push(Some(id.as_bytes())),
            _ => self.ids.push(None),
        };
        self.head.clear();
        let mut csv_bytes = 1 + id;
        for (column, &n) in self.columns.iter_mut().zip(&format.order[1..]) {
            csv_bytes += 1 + column.push_value(&rows.columns[n].get(row))?;
        }
        self.unsettled_bytes += csv_bytes as usize;
        Ok(csv_bytes)
    }

    #[inline]
    fn count(&mut self, csv_bytes: u64, arrivals: Arrivals) {
        let [sequence, span, copies] = &mut self.own;
        sequence.push(arrivals.sequence_min);
        span.push(arrivals.sequence_max - arrivals.sequence_min);
        copies.push(arrivals.copies);
        self.rows += 1;
        self.records += arrivals.copies;
        self.csv_bytes += csv_bytes * arrivals.copies;
    }

    #[inline]
    fn is_due(&self) -> bool {
        self.rows - self.settled_rows >= SETTLED_ROWS || self.unsettled_bytes >= SETTLED_BYTES
    }

    fn settle(&mut self, packer: &mut Packer) -> Result<()> {
        self.ids.settle(packer)?;
        self.columns.iter_mut().try_for_each(|column| column.settle(packer))?;
        let own = self.own.iter().map(Numbers::size_bytes);
        let others = self.columns.iter().map(Column::size_bytes);
        self.size_bytes = self.ids.size_bytes() + own.chain(others).sum::<usize>();
        (self.settled_rows, self.unsettled_bytes) = (self.rows, 0);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= ROW_GROUP_ROWS || self.size_bytes >= ROW_GROUP_BYTES
    }

    fn finish(self, format: &RowGroupFormat, packer: &mut Packer) -> Result<RowGroup> {
        let mut columns = vec![(format.order[0], self.ids.finish(packer)?)];
        for (column, &n) in self.columns.into_iter().zip(&format.order[1..]) {
            columns.push((n, column.finish(packer)?));
        }
        columns.sort_unstable_by_key(|(n, _)| *n);
        let mut columns: Vec<Chunk> = columns.into_iter().map(|(_, chunk)| chunk).collect();
        for own in self.own {
            columns.push(own.finish(packer)?);
        }
        let Group { border, records, csv_bytes, .. } = self;
        Ok(RowGroup { columns, border, rows: self.rows as u64, records, csv_bytes })
    }
}
