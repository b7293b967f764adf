//! The CSV dialect as pure code, text ⇄ fields: it waits for nothing, opens nothing, and knows no storage.
//!
//! In: bytes → [`Splitter`], or [`Records`] where all of them are there → [`Record`] → [`ColumnMap::read_values`] →
//! values, or [`ColumnMap::encode`] → the canonical form. Out: [`write::write_record`].
//! What a row does wrong is a [`Violation`].

mod block;
pub mod dialect;
pub mod read;
pub mod spreadsheet;
mod swar;
pub mod value;
pub mod violation;
pub mod write;

pub use dialect::Dialect;
pub use read::{ColumnMap, Header, HeaderError, Position, Record, RecordEnds, Records, Settings, Splitter};
pub use violation::{Rule, Violation, failure_reason};

#[cfg(test)]
mod tests;
