//! role rows.

pub(crate) const TABLES: &str = "";
