//! policy rows.

pub(crate) const TABLES: &str = "";
