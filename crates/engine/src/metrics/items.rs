//! The numbers of items that metrics sum: those of the newest record of each item.

use model::Layout;
use model::error::{Error, Result};
use model::record::hash_id;
use store::merge::{Batches, Merge, Merged};

use super::{number_of, number_position};
use crate::Progress;

/// Numbers of items by column and item; what is null is not kept.
#[derive(Default)]
pub struct ItemNumbers {
    columns: Vec<Vec<Entry>>,
}

/// The hash of an item's id, which stands for the id, and its number. In order of hashes, which is the order of records.
type Entry = (u64, f64);

const CHECK_EVERY_RECORDS: usize = 8192;

impl ItemNumbers {
    /// Reads some columns out of the runs of an Items dataset, within `memory_bytes`.
    ///
    /// # Errors
    /// `Invalid` when a column is missing, or the numbers need more memory than that; those of a merge.
    pub fn read(
        layout: &Layout,
        runs: Vec<Batches>,
        columns: &[String],
        memory_bytes: usize,
        progress: &Progress,
    ) -> Result<ItemNumbers> {
        let positions: Vec<usize> =
            columns.iter().map(|column| number_position(layout, column)).collect::<Result<_>>()?;
        let mut numbers = ItemNumbers { columns: vec![Vec::new(); columns.len()] };
        let mut room = memory_bytes / size_of::<Entry>();
        let mut newest: Option<Merged> = None;
        let mut merge = Merge::new(layout, runs)?;
        for read in 1.. {
            let merged = merge.next_record()?;
            let is_last = merged.is_none();
            if let Some(item) = next_item(&mut newest, merged, layout.id_column()) {
                numbers.push(&item, &positions, &mut room)?;
            }
            if is_last {
                break;
            }
            if read % CHECK_EVERY_RECORDS == 0 {
                progress.check()?;
            }
        }
        Ok(numbers)
    }

    /// The number of an item in a column, by the column's place among those that were read.
    pub fn get(&self, column: usize, item: &str) -> Option<f64> {
        let entries = self.columns.get(column)?;
        let hash = hash_id(item);
        let found = entries.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some(entries[found].1)
    }

    fn push(&mut self, record: &Merged, positions: &[usize], room: &mut usize) -> Result<()> {
        let hash = record.rows.hashes[record.row];
        for (entries, &position) in self.columns.iter_mut().zip(positions) {
            if let Some(number) = number_of(&record.rows.columns[position].get(record.row)) {
                make_room(entries, room)?;
                entries.push((hash, number));
            }
        }
        Ok(())
    }
}

// Takes the next record; gives the newest of an item when the next item, or the end, has come.
fn next_item(newest: &mut Option<Merged>, next: Option<Merged>, id_column: usize) -> Option<Merged> {
    match (newest.as_mut(), next) {
        (Some(held), Some(next)) if next.rows.same_id(next.row, &held.rows, held.row, id_column) => {
            if next.arrivals.sequence_max > held.arrivals.sequence_max {
                *held = next;
            }
            None
        }
        (_, next) => std::mem::replace(newest, next),
    }
}

// Growing by an eighth keeps what is reserved near to what is used; what is being moved counts for a moment only.
fn make_room(entries: &mut Vec<Entry>, room: &mut usize) -> Result<()> {
    if entries.len() < entries.capacity() {
        return Ok(());
    }
    let more = (entries.capacity() / 8).max(1024).min(*room);
    if more == 0 {
        return Err(Error::invalid(
            "The Items dataset has more items than metrics can look up within the memory of a job.",
        ));
    }
    entries.reserve_exact(more);
    *room -= more;
    Ok(())
}
