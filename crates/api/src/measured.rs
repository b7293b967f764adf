//! What is counted of puts.

use measure::{Counter, Counters, Families};
use model::{DatasetType, Error, ErrorKind};

// In the order of `DatasetType`.
const TYPES: [&str; 5] = [
    "type=\"interactions\"",
    "type=\"items\"",
    "type=\"users\"",
    "type=\"actions\"",
    "type=\"action_interactions\"",
];

static CALLS: Counters<5> = Counters::new(
    "lade_put_calls_total",
    "Put calls that were acknowledged: their records are durable.",
    TYPES,
);

static RECORDS: Counters<5> =
    Counters::new("lade_put_records_total", "Records of put calls that were acknowledged.", TYPES);

static THROTTLED: Counters<2> = Counters::new(
    "lade_put_throttled_total",
    "Put calls that were told to come again, for the queue was full or a quota used up.",
    ["reason=\"queue\"", "reason=\"rate\""],
);

static COUNTS_LATE: Counter = Counter::new(
    "lade_put_counts_late_total",
    "How often the counts of puts by dataset could not be written to the catalog and had to wait.",
);

/// A call is acknowledged.
pub(crate) fn put(dataset_type: DatasetType, records: u32) {
    CALLS.add(dataset_type as usize, 1);
    RECORDS.add(dataset_type as usize, u64::from(records));
}

/// The log has refused a call.
pub(crate) fn queue_refused(cause: &Error) {
    if cause.kind == ErrorKind::Throttled {
        THROTTLED.add(0, 1);
    }
}

/// A quota has refused a call.
pub(crate) fn rate_refused() {
    THROTTLED.add(1, 1);
}

/// The counts of puts wait for the next time.
pub(crate) fn counts_late() {
    COUNTS_LATE.add(1);
}

/// All of it.
pub static FAMILIES: Families = &[&CALLS, &RECORDS, &THROTTLED, &COUNTS_LATE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_label() {
        for dataset_type in DatasetType::ALL {
            let label = format!("type=\"{}\"", dataset_type.as_str().to_lowercase());
            assert_eq!(TYPES[dataset_type as usize], label);
        }
    }
}
