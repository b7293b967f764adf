//! The naive model: what all datasets hold and export, in the plainest words there are.

use model::{IngestionMode, Origin};

/// A record as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    dataset: usize,
    origin: Origin,
    /// A higher number came later.
    at: u64,
    id: String,
    line: String,
}

/// A record as it was sent: its id and its line of CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub line: String,
}

/// Everything that arrived and was not replaced, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naive {
    records: Vec<Arrived>,
}

impl Naive {
    pub fn add(&mut self, dataset: usize, origin: Origin, at: u64, rows: &[Sent]) {
        let arrive = |row: &Sent| Arrived { dataset, origin, at, id: row.id.clone(), line: row.line.clone() };
        self.records.extend(rows.iter().map(arrive));
        self.records.sort_by_key(|record| record.at);
    }

    /// FULL replaces what came in bulk before.
    pub fn import(&mut self, dataset: usize, at: u64, is_full: bool, rows: &[Sent]) {
        if is_full {
            self.records.retain(|r| r.dataset != dataset || r.origin == Origin::Put);
        }
        self.add(dataset, Origin::Bulk, at, rows);
    }

    /// Data deletion: the records of the listed ids that had arrived before.
    pub fn delete(&mut self, dataset: usize, ids: &[String], before: u64) {
        self.records.retain(|r| r.dataset != dataset || r.at >= before || !ids.contains(&r.id));
    }

    /// How many records of an origin there are, duplicates counted.
    pub fn count(&self, dataset: usize, origin: Origin) -> u64 {
        self.records.iter().filter(|r| r.dataset == dataset && r.origin == origin).count() as u64
    }

    /// The exported records in order of arrival.
    pub fn export(&self, dataset: usize, mode: IngestionMode, is_keyed: bool) -> Vec<Sent> {
        let is_taken = |r: &&Arrived| r.dataset == dataset && mode.takes(r.origin);
        let taken: Vec<&Arrived> = self.records.iter().filter(is_taken).collect();
        let newest_only = is_keyed && mode == IngestionMode::All;
        let is_kept = |n: &usize| {
            let is_last_of_id = !taken[n + 1..].iter().any(|later| later.id == taken[*n].id);
            let is_first_of_line = !taken[..*n].iter().any(|earlier| earlier.line == taken[*n].line);
            if newest_only { is_last_of_id } else { is_first_of_line }
        };
        let sent = |n: usize| Sent { id: taken[n].id.clone(), line: taken[n].line.clone() };
        (0..taken.len()).filter(is_kept).map(sent).collect()
    }
}
