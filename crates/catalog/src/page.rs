//! One page of a list: newest first, then by ARN.

use model::Arn;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The last row of the page before: its creation time and ARN; of a metric, its number and name.
    pub after: Option<(i64, String)>,
    /// The most rows to return; one more than shown tells whether another page follows.
    pub limit: usize,
}

impl Page {
    pub fn first(limit: usize) -> Page {
        Page { after: None, limit }
    }

    pub(crate) fn before_ms(&self) -> i64 {
        self.after.as_ref().map_or(i64::MAX, |(ms, _)| *ms)
    }

    pub(crate) fn after_arn(&self) -> &str {
        self.after.as_ref().map_or("", |(_, arn)| arn)
    }

    pub(crate) fn after_number(&self) -> i64 {
        self.after.as_ref().map_or(0, |(number, _)| *number)
    }

    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }
}

/// A filter by ARN as a query takes it: null lets every row through.
pub(crate) fn filter(arn: Option<&Arn>) -> Option<&str> {
    arn.map(Arn::as_str)
}
