//! Which of the distinct records an export writes, in which order, and the ledger of the others.

use model::manifest::Ledger;
use model::{IngestionMode, Layout};
use store::Merged;

/// Applies the rules of a mode to distinct records in record order.
pub struct Chooser {
    id_column: usize,
    /// Items and Users: the records of one id come out in order of arrival, or only the newest does.
    groups: Option<Group>,
    ledger: Ledger,
}

struct Group {
    keeps_newest: bool,
    members: Vec<Merged>,
}

impl Chooser {
    pub fn new(layout: &Layout, mode: IngestionMode) -> Chooser {
        let keeps_newest = mode == IngestionMode::All;
        let groups = layout.dataset_type.is_keyed().then(|| Group { keeps_newest, members: Vec::new() });
        Chooser { id_column: layout.id_column(), groups, ledger: Ledger::default() }
    }

    /// Takes the next record, or none at the end; `chosen` gets what is to be written.
    pub fn push(&mut self, record: Option<Merged>, chosen: &mut Vec<Merged>) {
        if let Some(record) = &record {
            self.ledger.read_bulk += record.bulk_copies;
            self.ledger.read_put += record.put_copies;
            self.ledger.exact_duplicates += record.arrivals.copies - 1;
        }
        let before = chosen.len();
        match &mut self.groups {
            None => chosen.extend(record),
            Some(group) => group.push(record, self.id_column, &mut self.ledger, chosen),
        }
        self.ledger.written += (chosen.len() - before) as u64;
    }

    pub fn ledger(&self) -> Ledger {
        self.ledger
    }
}

impl Group {
    fn push(
        &mut self,
        record: Option<Merged>,
        id_column: usize,
        ledger: &mut Ledger,
        chosen: &mut Vec<Merged>,
    ) {
        let Some(record) = record else {
            self.end(chosen);
            return;
        };
        let belongs = |member: &Merged| record.rows.same_id(record.row, &member.rows, member.row, id_column);
        if !self.members.last().is_some_and(belongs) {
            self.end(chosen);
        } else if self.keeps_newest {
            ledger.superseded += 1;
            let newest = &mut self.members[0];
            if record.arrivals.sequence_max > newest.arrivals.sequence_max {
                *newest = record;
            }
            return;
        }
        self.members.push(record);
    }

    // Exact duplicates stand where the first of them arrived.
    fn end(&mut self, chosen: &mut Vec<Merged>) {
        self.members.sort_by_key(|m| m.arrivals.sequence_min);
        chosen.append(&mut self.members);
    }
}
