//! A look at some records: those of one id, or a few to show what a dataset holds. It reads as little as it can.

use std::collections::HashMap;

use model::error::Result;
use model::lookup::FoundRecord;
use model::record::{Value, hash_id};
use model::{DatasetType, Layout, Origin};
use store::OpenRun;
use store::run::{Place, RunReader};

/// What an answer holds at most, of each origin.
const BYTES_MAX: usize = 8 << 20;
/// In so many row groups the newest put records are looked for.
const NEWEST_GROUPS_MAX: usize = 4;

/// Gathers records of one origin, each distinct one once, until there are as many as are wanted and one more.
pub struct Look<'a> {
    layout: &'a Layout,
    id: Option<&'a str>,
    origin: Origin,
    limit: usize,
    bytes: usize,
    /// For each record, which one it is, and the number of its last arrival.
    found: HashMap<Vec<Option<String>>, (usize, u64)>,
    has_more: bool,
    /// Asked between row groups.
    check: &'a dyn Fn() -> Result<()>,
}

impl<'a> Look<'a> {
    pub fn new(
        layout: &'a Layout,
        id: Option<&'a str>,
        origin: Origin,
        limit: usize,
        check: &'a dyn Fn() -> Result<()>,
    ) -> Look<'a> {
        let (bytes, found, has_more) = Default::default();
        Look { layout, id, origin, limit, bytes, found, has_more, check }
    }

    /// Takes a record if it is wanted; false when no other one is.
    pub fn take(&mut self, values: &[Value<'_>], sequence: u64) -> bool {
        if self.is_wanted(values) {
            self.keep(values, sequence);
        }
        !self.has_more
    }

    /// Takes what a run has of the id.
    ///
    /// Records lie by the hash of one of their ids; for the other one its column is searched first, and only what has it is read.
    ///
    /// # Errors
    /// `Corrupt` when the run is damaged or gone; those of `check`.
    pub fn find(&mut self, run: &OpenRun) -> Result<()> {
        let Some(id) = self.id.filter(|_| !self.has_more) else { return Ok(()) };
        let hash = hash_id(id);
        self.take_all(run.read(hash..=hash, true)?)?;
        let Some(other) = other_id(self.layout) else { return Ok(()) };
        for group in 0..run.borders().len() {
            (self.check)()?;
            if self.has_more {
                break;
            }
            // What is found already, by the one id or in another run, is found again.
            let most = self.limit + 1 + self.found.len();
            let places = run.places_of(group, other, id, most)?;
            self.take_all(run.read_places(group, &places)?)?;
        }
        Ok(())
    }

    /// Takes the newest records of runs; of large runs only a part is looked at.
    ///
    /// # Errors
    /// As `find`.
    pub fn newest<'r>(&mut self, runs: impl Iterator<Item = &'r OpenRun>) -> Result<()> {
        if self.has_more {
            return Ok(());
        }
        let mut groups_left = NEWEST_GROUPS_MAX;
        let mut newest: Vec<(u64, Place, &OpenRun)> = Vec::new();
        for run in runs {
            (self.check)()?;
            let groups = run.borders().len().min(groups_left);
            self.has_more |= groups < run.borders().len();
            groups_left -= groups;
            let found = run.newest(0..groups, self.limit + 1)?;
            self.has_more |= found.len() > self.limit;
            newest.extend(found.into_iter().map(|(sequence, place)| (sequence, place, run)));
        }
        newest.sort_unstable_by_key(|(sequence, ..)| std::cmp::Reverse(*sequence));
        for (_, place, run) in newest {
            if self.found.len() >= self.limit {
                self.has_more = true;
                break;
            }
            self.keep_all(run.read_places(place.0, &[place])?)?;
        }
        Ok(())
    }

    /// Takes the first records of a run.
    ///
    /// # Errors
    /// As `find`.
    pub fn first(&mut self, run: &OpenRun) -> Result<()> {
        (self.check)()?;
        if self.has_more { Ok(()) } else { self.keep_all(run.read_first(self.limit + 1)?) }
    }

    /// How many were found; no more than are wanted.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// What was found, in that order, and whether there is more.
    pub fn finish(self) -> (Vec<FoundRecord>, bool) {
        let mut found: Vec<_> = self.found.into_iter().collect();
        found.sort_unstable_by_key(|(_, (n, _))| *n);
        let origin = self.origin;
        let record = |(values, (_, sequence))| FoundRecord { values, origin, sequence };
        (found.into_iter().map(record).collect(), self.has_more)
    }

    fn take_all(&mut self, reader: RunReader) -> Result<()> {
        self.each(reader, Look::take)
    }

    fn keep_all(&mut self, reader: RunReader) -> Result<()> {
        self.each(reader, |look, values, sequence| {
            look.keep(values, sequence);
            !look.has_more
        })
    }

    fn each(
        &mut self,
        reader: RunReader,
        take: impl Fn(&mut Look<'a>, &[Value<'_>], u64) -> bool,
    ) -> Result<()> {
        for rows in reader {
            let rows = rows?;
            for row in 0..rows.len() {
                let values: Vec<Value<'_>> = rows.columns.iter().map(|column| column.get(row)).collect();
                if !take(self, &values, rows.arrivals(row).sequence_max) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn is_wanted(&self, values: &[Value<'_>]) -> bool {
        let Some(id) = self.id else { return true };
        let is_id = |column: usize| matches!(&values[column], Value::String(text) if text == id);
        is_id(self.layout.id_column()) || other_id(self.layout).is_some_and(is_id)
    }

    fn keep(&mut self, values: &[Value<'_>], sequence: u64) {
        let texts: Vec<Option<String>> = values.iter().map(text).collect();
        if let Some((_, last)) = self.found.get_mut(&texts) {
            *last = sequence.max(*last);
            return;
        }
        let bytes = texts.iter().flatten().map(String::len).sum::<usize>();
        let n = self.found.len();
        if n >= self.limit || (n > 0 && self.bytes + bytes > BYTES_MAX) {
            self.has_more = true;
            return;
        }
        self.bytes += bytes;
        self.found.insert(texts, (n, sequence));
    }
}

/// The column of the other id of records that join two things.
fn other_id(layout: &Layout) -> Option<usize> {
    match layout.dataset_type {
        DatasetType::Interactions => layout.position("ITEM_ID"),
        DatasetType::ActionInteractions => layout.position("ACTION_ID"),
        DatasetType::Items | DatasetType::Users | DatasetType::Actions => None,
    }
}

// As CSV has it, without quotes.
fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.to_string()),
        number => {
            let mut text = Vec::new();
            csv::write::write_value(number, &mut text);
            Some(String::from_utf8_lossy(&text).into_owned())
        }
    }
}
