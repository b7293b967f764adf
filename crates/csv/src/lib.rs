//! The CSV dialect as pure code, text ⇄ fields: it waits for nothing, opens nothing, and knows no storage.
//!
//! In: bytes → [`Splitter`] → [`Record`] → [`ColumnMap::read_values`] → values. Out: [`write::write_record`].
//! What a row does wrong is a [`Violation`].

pub mod dialect;
pub mod read;
mod swar;
pub mod value;
pub mod violation;
pub mod write;

pub use dialect::Dialect;
pub use read::{ColumnMap, Header, HeaderError, Position, Record, Settings, Splitter};
pub use violation::{Rule, Violation, failure_reason};

#[cfg(test)]
mod tests;
