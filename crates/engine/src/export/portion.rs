//! A portion of an export: some of its files, written by whoever has the time. What came of all portions makes the ledger.

use model::Origin;
use model::error::{Error, Result};
use model::manifest::Ledger;
use serde::{Deserialize, Serialize};

use super::unit::Tally;
use super::{Left, Outcome, Source};

/// Some files of an export, one behind the other; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    pub first: usize,
    pub count: usize,
    /// How many files the whole export has: a power of two.
    pub of: usize,
}

impl Portion {
    pub fn whole(files: usize) -> Portion {
        Portion { first: 0, count: files, of: files }
    }

    /// Each file by itself.
    pub fn each(files: usize) -> impl Iterator<Item = Portion> {
        (0..files).map(move |first| Portion { first, count: 1, of: files })
    }

    pub(super) fn holds(&self, file: usize) -> bool {
        (self.first..self.first + self.count).contains(&file)
    }

    pub(super) fn last(&self) -> usize {
        self.first + self.count.max(1) - 1
    }
}

/// What became of the records of some files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// What the whole snapshot holds, whoever reads it.
    snapshot: Held,
    tally: Tally,
    /// What the files of the losers hold, where there are some.
    pub(super) losers: Option<Left>,
}

/// Records as they arrived, by origin, and how many rows of the runs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    bulk: u64,
    put: u64,
    rows: u64,
}

impl Held {
    fn new(source: &Source) -> Held {
        let records =
            |origin| source.runs.iter().filter(|run| run.origin == origin).map(|run| run.records).sum();
        let rows = source.runs.iter().map(|run| run.rows).sum();
        Held { bulk: records(Origin::Bulk), put: records(Origin::Put), rows }
    }
}

impl Written {
    pub(super) fn new(source: &Source, tally: Tally) -> Written {
        Written { snapshot: Held::new(source), tally, losers: None }
    }
}

impl Outcome {
    /// Puts together what became of the records of all files, each counted once.
    ///
    /// # Errors
    /// `Corrupt` when they don't make up what the catalog says that the snapshot holds.
    pub fn of(portions: &[Written]) -> Result<Outcome> {
        let Some(first) = portions.first() else { return Err(Error::internal("an export of no files")) };
        if portions.iter().any(|portion| portion.snapshot != first.snapshot) {
            return Err(Error::corrupt("parts of the export read another snapshot than the others"));
        }
        let mut total = Tally::default();
        let mut losers = first.losers.map(|_| Left::default());
        for portion in portions {
            total.add(&portion.tally);
            losers = losers.zip(portion.losers).map(|(sum, left)| sum + left);
        }
        let ledger = ledger(&first.snapshot, &total)?;
        losers.map_or(Ok(()), |left| check_losers(&ledger, left))?;
        Ok(Outcome { ledger, earlier: total.earlier })
    }
}

// What was read is what the catalog says was written; anything else is a damaged or forgotten run.
fn ledger(snapshot: &Held, total: &Tally) -> Result<Ledger> {
    let (read_bulk, read_put) = (snapshot.bulk, snapshot.put);
    if total.read != snapshot.rows {
        return Err(Error::corrupt("the export read another number of records than its snapshot holds"));
    }
    let exact_duplicates = (read_bulk + read_put).checked_sub(total.distinct);
    let (written, filtered) = (total.written, total.left.filtered);
    let superseded = total.distinct.checked_sub(written + filtered);
    let (Some(exact_duplicates), Some(superseded)) = (exact_duplicates, superseded) else {
        return Err(Error::corrupt("the export's ledger does not balance"));
    };
    Ok(Ledger { read_bulk, read_put, exact_duplicates, superseded, filtered, written })
}

fn check_losers(ledger: &Ledger, left: Left) -> Result<()> {
    let Ledger { exact_duplicates, superseded, filtered, .. } = *ledger;
    if left == (Left { exact_duplicates, superseded, filtered }) {
        Ok(())
    } else {
        Err(Error::corrupt("what the export left out is not what its ledger says"))
    }
}
