//! Which of the chosen records are written: those that are new enough and meet the condition.

use model::IngestionMode;
use model::export::Condition;
use store::Rows;
use store::merge::Past;

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub condition: Condition,
    pub newness: Newness,
}

/// What makes a record new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Newness {
    /// Nobody asked.
    #[default]
    Any,
    /// None of the equal records came before: what is written was never written.
    Record,
    /// One of them came since: the newest record of an item or user is what it is since then.
    Arrival,
}

/// What becomes of a chosen record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Written,
    /// It was there before.
    Earlier,
    Filtered,
}

impl Newness {
    /// What is asked of an export that begins where another one ended.
    pub fn of(mode: IngestionMode, is_keyed: bool) -> Newness {
        if is_keyed && mode == IngestionMode::All { Newness::Arrival } else { Newness::Record }
    }
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        self.condition.is_empty() && self.newness == Newness::Any
    }

    pub fn fate(&self, rows: &Rows, row: usize, past: impl FnOnce() -> Past) -> Fate {
        let is_new = match self.newness {
            Newness::Any => true,
            Newness::Record => !past().began_before,
            Newness::Arrival => past().went_on_since,
        };
        match is_new {
            false => Fate::Earlier,
            true if self.condition.holds(|column| rows.columns[column].get(row)) => Fate::Written,
            true => Fate::Filtered,
        }
    }
}
