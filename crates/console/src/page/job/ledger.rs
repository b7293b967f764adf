//! Where every record of a job went: what came in, what was taken out and why, and what went on.

use serde_json::Value;

use crate::markup::number;
use crate::shares::{percent, widths};

/// The width of the bars, in units of their own.
const WIDTH: u64 = 1000;
/// The width below which nobody sees a part.
const LEAST: u64 = 6;

/// Two bars of the same length: what came in, and what became of it.
pub struct Ledger {
    pub came: Vec<Part>,
    pub went: Vec<Part>,
    /// Whether the two are equal, as they have to be.
    pub is_even: bool,
    pub total: String,
}

/// A part of a bar, and its row in the table.
pub struct Part {
    pub label: &'static str,
    pub class: &'static str,
    pub count: String,
    pub share: String,
    pub x: u64,
    pub width: u64,
}

type Kind = (&'static str, &'static str, &'static str);

/// The member of the ledger, what it is called, and its class.
const CAME: [Kind; 3] = [
    ("readBulk", "Bulk records read", "bulk"),
    ("readPut", "Put records read", "put"),
    ("rowsRead", "Rows read", "bulk"),
];
const WENT: [Kind; 9] = [
    ("written", "Written", "kept"),
    ("rowsKept", "Kept", "kept"),
    ("rowsValid", "Valid: an import would keep them", "kept"),
    ("recordsDeleted", "Records deleted", "kept"),
    ("exactDuplicates", "Left out: equal to another record in all columns", "duplicate"),
    ("superseded", "Left out: a newer record has the same ID", "superseded"),
    ("filtered", "Left out: not what the options asked for", "filtered"),
    ("rowsRejected", "Left out: wrong rows", "rejected"),
    ("rejected", "Left out: rejected", "rejected"),
];

impl Ledger {
    /// `None` for a job that has no ledger, or none yet.
    pub fn read(ledger: &Value) -> Option<Ledger> {
        let found = |kinds: &[Kind]| -> Vec<(Kind, u64)> {
            kinds.iter().filter_map(|kind| Some((*kind, ledger[kind.0].as_u64()?))).collect()
        };
        let (came, went) = (found(&CAME), found(&WENT));
        let sum =
            |parts: &[(Kind, u64)]| parts.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        let total = sum(&came).max(sum(&went));
        (!went.is_empty()).then(|| Ledger {
            is_even: came.is_empty() || sum(&came) == sum(&went),
            came: parts(&came, total),
            went: parts(&went, total),
            total: number(total),
        })
    }
}

fn parts(found: &[(Kind, u64)], total: u64) -> Vec<Part> {
    let counts: Vec<u64> = found.iter().map(|(_, count)| *count).collect();
    let mut x = 0;
    let part = |((_, label, class), count): &(Kind, u64), width: u64| {
        let part = Part { label, class, count: number(*count), share: percent(*count, total), x, width };
        x += width;
        part
    };
    let mut part = part;
    found.iter().zip(widths(&counts, WIDTH, LEAST)).map(|(found, width)| part(found, width)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_export_shows_what_came_in_and_where_it_went() {
        let ledger = json!({ "readBulk": 6, "readPut": 4, "exactDuplicates": 1, "superseded": 0, "filtered": 0, "written": 9 });
        let ledger = Ledger::read(&ledger).unwrap();
        assert!(ledger.is_even);
        let shown = |parts: &[Part]| parts.iter().map(|p| (p.class, p.share.clone())).collect::<Vec<_>>();
        assert_eq!(shown(&ledger.came), [("bulk", "60 %".to_owned()), ("put", "40 %".to_owned())]);
        assert_eq!(shown(&ledger.went)[..2], [("kept", "90 %".to_owned()), ("duplicate", "10 %".to_owned())]);
        let ends: Vec<u64> = ledger.went.iter().map(|part| part.x + part.width).collect();
        assert_eq!(ends.last(), Some(&WIDTH));
    }

    #[test]
    fn a_ledger_that_does_not_add_up_says_so() {
        let uneven = json!({ "rowsRead": 5, "exactDuplicates": 1, "rowsRejected": 1, "rowsKept": 2 });
        assert!(!Ledger::read(&uneven).unwrap().is_even);
        assert!(Ledger::read(&json!(null)).is_none());
        assert!(Ledger::read(&json!({ "recordsDeleted": 7 })).unwrap().is_even);
    }
}
