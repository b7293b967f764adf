//! The naive model: what a dataset holds and exports, in the plainest words there are.

use model::{IngestionMode, Origin};

/// A record as it arrived: its id and its line of CSV.
#[derive(Clone, Debug)]
struct Arrived {
    origin: Origin,
    id: String,
    line: String,
}

/// A dataset: everything that arrived and was not replaced, in order of arrival.
#[derive(Debug, Default)]
pub struct Naive {
    records: Vec<Arrived>,
}

impl Naive {
    pub fn put(&mut self, rows: &[(String, String)]) {
        self.add(Origin::Put, rows);
    }

    pub fn import_full(&mut self, rows: &[(String, String)]) {
        self.records.retain(|r| r.origin == Origin::Put);
        self.add(Origin::Bulk, rows);
    }

    pub fn import_incremental(&mut self, rows: &[(String, String)]) {
        self.add(Origin::Bulk, rows);
    }

    fn add(&mut self, origin: Origin, rows: &[(String, String)]) {
        self.records.extend(rows.iter().map(|(id, line)| Arrived {
            origin,
            id: id.clone(),
            line: line.clone(),
        }));
    }

    /// All records get a column behind their id, without a value.
    pub fn replace_schema(&mut self) {
        self.records.iter_mut().for_each(|r| r.line = later(&r.line));
    }

    /// How many records of an origin there are, duplicates counted.
    pub fn count(&self, origin: Origin) -> u64 {
        self.records.iter().filter(|r| r.origin == origin).count() as u64
    }

    /// The exported lines in order of arrival, each with its id.
    pub fn export(&self, mode: IngestionMode, is_keyed: bool) -> Vec<(String, String)> {
        let taken: Vec<&Arrived> = self.records.iter().filter(|r| mode.takes(r.origin)).collect();
        let newest_only = is_keyed && mode == IngestionMode::All;
        let is_kept = |n: usize| {
            let is_last_of_id = !taken[n + 1..].iter().any(|later| later.id == taken[n].id);
            let is_first_of_line = !taken[..n].iter().any(|earlier| earlier.line == taken[n].line);
            if newest_only { is_last_of_id } else { is_first_of_line }
        };
        (0..taken.len())
            .filter(|&n| is_kept(n))
            .map(|n| (taken[n].id.clone(), taken[n].line.clone()))
            .collect()
    }
}

/// The line under the next version of the schema.
pub fn later(line: &str) -> String {
    line.replacen(',', ",,", 1)
}
