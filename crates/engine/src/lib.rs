//! Import, export and deletion over opened sources, sinks and snapshots: it asks nobody's permission and knows no catalog.

pub mod analysis;
pub mod deletion;
pub mod export;
pub mod import;
mod in_order;
pub mod look;
pub mod metrics;
pub mod progress;

pub use progress::Progress;
