//! Import, export and deletion over opened sources, sinks and snapshots: it asks nobody's permission and knows no catalog.

pub mod analysis;
pub mod deletion;
mod distinct;
pub mod export;
pub mod import;
mod in_order;
pub mod look;
pub mod metrics;
pub mod progress;

pub use distinct::count_distinct;
pub use progress::Progress;
