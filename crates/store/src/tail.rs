//! The put records of one dataset that are still in the log, read into a sorter: the start of a flush, the tail of a snapshot.

use std::collections::HashMap;

use model::Layout;
use model::error::{Error, Result};
use model::record::{Codec, Value};

use seal::{DataKeys, Opener};

use crate::Arrivals;
use crate::log::{Log, Order};
use crate::rows::csv_size;
use crate::sort::Sorter;

/// What a piece of the log held of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    pub records: u64,
    /// The size of the records as they arrived, written as CSV.
    pub csv_bytes: u64,
}

/// Pushes the records of `dataset_id` at positions `from..to` of the log into `sorter`, all under `layout`: those that
/// were put under an older version of the schema have its later columns null. `keys` open those that are sealed.
///
/// # Errors
/// `Corrupt` when a frame is damaged, or sealed under a key that is not there; `Unavailable` when the log can't be read, or holds records of a later version
/// than `layout`: the caller tries again with the dataset's layout of now.
pub fn read_tail(
    log: &Log,
    dataset_id: u64,
    from: u64,
    to: u64,
    layout: &Layout,
    keys: &DataKeys,
    sorter: &mut Sorter,
) -> Result<Tail> {
    let mut versions = Versions { layout, known: HashMap::new() };
    let mut opener = Opener::new(keys);
    let mut tail = Tail::default();
    let mut raised = Vec::new();
    log.scan(dataset_id, (from, to), Order::OldestFirst, &mut |frame| {
        let frame = frame.opened(&mut opener)?;
        let version = versions.get(frame.schema_version)?;
        for (sequence, record) in (frame.first_sequence..).zip(frame.records()) {
            let (record, csv_bytes) = version.raise(record, &mut raised)?;
            tail.records += 1;
            tail.csv_bytes += csv_bytes;
            sorter.push(record, Arrivals::once(sequence))?;
        }
        Ok(true)
    })?;
    Ok(tail)
}

/// Gives the same records to `take`, the newest first, each as values under `layout` and with its sequence number, until it
/// says that it has enough.
///
/// # Errors
/// As `read_tail`.
pub fn read_newest(
    log: &Log,
    dataset_id: u64,
    (from, to): (u64, u64),
    layout: &Layout,
    keys: &DataKeys,
    take: &mut dyn FnMut(&[Value<'_>], u64) -> bool,
) -> Result<()> {
    let mut versions = Versions { layout, known: HashMap::new() };
    let mut opener = Opener::new(keys);
    log.scan(dataset_id, (from, to), Order::NewestFirst, &mut |frame| {
        let frame = frame.opened(&mut opener)?;
        let version = versions.get(frame.schema_version)?;
        let records: Vec<(u64, &[u8])> = (frame.first_sequence..).zip(frame.records()).collect();
        for (sequence, record) in records.into_iter().rev() {
            if !take(&version.values(record)?, sequence) {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// The versions of a schema that were met so far.
struct Versions<'a> {
    layout: &'a Layout,
    known: HashMap<u32, Version>,
}

impl Versions<'_> {
    fn get(&mut self, schema_version: u32) -> Result<&Version> {
        if schema_version > self.layout.schema_version {
            return Err(later_version());
        }
        let layout = self.layout;
        Ok(self.known.entry(schema_version).or_insert_with(|| Version::new(layout, schema_version)))
    }
}

/// How records of one version of a schema become records of the layout's own.
struct Version {
    old: Codec,
    new: Codec,
    /// For each column of the version, its place in the layout.
    places: Vec<usize>,
    columns: usize,
    is_current: bool,
}

impl Version {
    fn new(layout: &Layout, schema_version: u32) -> Version {
        let columns = layout.columns.len();
        let is_there = |n: &usize| layout.columns[*n].since <= schema_version;
        Version {
            old: Codec::new(&layout.as_of(schema_version)),
            new: Codec::new(layout),
            places: (0..columns).filter(is_there).collect(),
            columns,
            is_current: schema_version == layout.schema_version,
        }
    }

    /// The record under the layout, in `out` where it has to be written anew, and the size it has as CSV.
    fn raise<'a>(&self, record: &'a [u8], out: &'a mut Vec<u8>) -> Result<(&'a [u8], u64)> {
        let values = self.values(record)?;
        let csv_bytes = csv_bytes(&values);
        if self.is_current {
            return Ok((record, csv_bytes));
        }
        out.clear();
        self.new.encode(&values, out);
        Ok((out, csv_bytes))
    }

    /// The record's values under the layout.
    fn values<'a>(&self, record: &'a [u8]) -> Result<Vec<Value<'a>>> {
        let mut values = Vec::new();
        self.old.decode(record, &mut values)?;
        if self.is_current {
            return Ok(values);
        }
        let mut raised = vec![Value::Null; self.columns];
        for (place, value) in self.places.iter().zip(values) {
            raised[*place] = value;
        }
        Ok(raised)
    }
}

fn csv_bytes(values: &[Value<'_>]) -> u64 {
    values.iter().map(|value| 1 + csv_size(value)).sum()
}

/// A layout that was read before the schema was replaced would lose the new columns; a fresh one has them.
pub(crate) fn later_version() -> Error {
    Error::unavailable("the dataset's schema was replaced meanwhile")
}

#[cfg(test)]
mod tests;
