//! The proof of an export: its files, read from their first byte to their last, are those of its manifest.
//!
//! Takes bytes from whoever has them, and waits for nothing: where an export lies is known to the caller.

pub mod difference;
pub mod file;
pub mod plan;
pub mod rows;

pub use difference::{Difference, Differences};
pub use file::Reading;
pub use plan::Expected;
