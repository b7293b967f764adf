//! Some records of a run, found without reading all of it: by the text in a column, the newest, the first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use model::error::{Error, Result};

use super::super::{SEQUENCE, SPAN};
use super::OpenRun;
use super::reader::{ANOTHER_TYPE, RunReader, values};
use crate::rows::{Dictionary, Values};

/// Where a record stands in a run: its row group, and its place there.
pub type Place = (usize, usize);

impl OpenRun {
    /// The places of up to `most` records of a row group that have this text in a column, by its place in the layout.
    ///
    /// A row group whose dictionary does not have the text costs no more than to read the dictionary.
    ///
    /// # Errors
    /// `Corrupt` when the run is damaged or gone.
    pub fn places_of(&self, group: usize, column: usize, text: &str, most: usize) -> Result<Vec<Place>> {
        let (name, storage) = &self.columns[column];
        // A column of a later schema is empty.
        let Ok(root) = self.metadata.schema().index_of(name) else { return Ok(Vec::new()) };
        let (mut found, mut before, mut known) = (Vec::new(), 0, None);
        for batch in self.read_group(self.file()?, group, 0..self.rows_of(group), &[root])? {
            let batch = batch.map_err(|cause| self.unreadable(cause))?;
            let last = known.as_ref().map(|(dictionary, _)| dictionary);
            let column = values(batch.column(0), *storage, last).ok_or_else(|| self.another_type())?;
            let Some(matches) = matches(&column, text, &mut known) else { break };
            found.extend(matches.into_iter().map(|row| (group, before + row)).take(most - found.len()));
            if found.len() >= most {
                break;
            }
            before += batch.num_rows();
        }
        Ok(found)
    }

    /// The newest of some row groups, newest first: the number of each one's last arrival, and its place. Reads no other
    /// columns than those of arrivals.
    ///
    /// # Errors
    /// As `places_of`.
    pub fn newest(&self, groups: Range<usize>, most: usize) -> Result<Vec<(u64, Place)>> {
        let mut newest = BinaryHeap::new();
        for group in groups {
            let mut row = 0;
            let (sequence, span) = (self.root_of(SEQUENCE)?, self.root_of(SPAN)?);
            for batch in self.read_group(self.file()?, group, 0..self.rows_of(group), &[sequence, span])? {
                let batch = batch.map_err(|cause| self.unreadable(cause))?;
                let numbers = |n: usize| {
                    batch.column(n).as_primitive_opt::<UInt64Type>().ok_or_else(|| self.another_type())
                };
                for (first, span) in numbers(0)?.values().iter().zip(numbers(1)?.values()) {
                    let last = first.wrapping_add(self.sequence_base).wrapping_add(*span);
                    newest.push(Reverse((last, (group, row))));
                    if newest.len() > most {
                        newest.pop();
                    }
                    row += 1;
                }
            }
        }
        Ok(newest.into_sorted_vec().into_iter().map(|Reverse(found)| found).collect())
    }

    /// Reads the records at some places of one row group, in ascending order.
    ///
    /// # Errors
    /// As `places_of`.
    pub fn read_places(&self, group: usize, places: &[Place]) -> Result<RunReader> {
        let rows = places.iter().filter(|place| place.0 == group).map(|place| place.1);
        RunReader::of_rows(self, group, rows.collect())
    }

    /// Reads about as many records as are wanted from the run's beginning.
    ///
    /// # Errors
    /// As `places_of`.
    pub fn read_first(&self, most: usize) -> Result<RunReader> {
        let rows = if self.borders.is_empty() { 0 } else { self.rows_of(0).min(most) };
        RunReader::of_rows(self, 0, (0..rows).collect())
    }

    fn root_of(&self, name: &str) -> Result<usize> {
        let root = self.metadata.schema().index_of(name);
        root.map_err(|_| self.damaged(&format!("has no column {name}")))
    }

    fn another_type(&self) -> Error {
        self.damaged(ANOTHER_TYPE)
    }
}

/// A dictionary, and the code of the text that is looked for.
type Known = Option<(Arc<Dictionary>, usize)>;

// None when no batch of the row group can have the text.
fn matches(column: &Values, text: &str, known: &mut Known) -> Option<Vec<usize>> {
    Some(match column {
        Values::Strings(all) => (0..all.len()).filter(|&n| all.is_valid(n) && all.value(n) == text).collect(),
        Values::Coded(coded) => {
            let code = match known {
                Some((dictionary, code)) if Arc::ptr_eq(dictionary, coded.dictionary()) => *code,
                _ => code_of(coded.dictionary(), text)?,
            };
            *known = Some((coded.dictionary().clone(), code));
            let codes = coded.codes();
            let is_it = |n: &usize| codes.is_valid(*n) && codes.value(*n) as usize == code;
            (0..codes.len()).filter(is_it).collect()
        }
        _ => Vec::new(),
    })
}

fn code_of(dictionary: &Dictionary, text: &str) -> Option<usize> {
    (0..dictionary.len()).find(|&code| dictionary.value(code) == text)
}

#[cfg(test)]
mod tests;
