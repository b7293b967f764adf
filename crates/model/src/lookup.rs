//! A look at some records of a dataset: what is asked for, and what was found.

use serde::Serialize;

use crate::{IngestionMode, Origin};

/// Which records are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Of this user, item or action; none: some of the newest put ones, and some of those that were imported.
    pub id: Option<String>,
    pub mode: IngestionMode,
    /// The most records that are wanted.
    pub limit: usize,
}

/// Records as texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The names of the columns, in the schema's order.
    pub columns: Vec<String>,
    /// Of one id, newest first; else put ones, newest first, then imported ones as they lie.
    pub records: Vec<FoundRecord>,
    /// Whether there are more than these.
    pub has_more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundRecord {
    /// As in CSV but without quotes; null where there is no value.
    pub values: Vec<Option<String>>,
    pub origin: Origin,
    /// Of its last arrival: newer ones have larger numbers.
    pub sequence: u64,
}
