//! What is counted while a server runs: numbers that whoever counts changes without waiting, and their text for Prometheus.
//!
//! Each crate has a file `measured.rs` with what it counts, as statics, and the list of them. To count is to add to an
//! atomic, relaxed: nothing is locked, looked up or allocated. What is known at any time already is not counted but asked
//! for when the text is made.

mod count;
mod histogram;
mod page;

pub use count::{Counter, Counters, Gauge, Held};
pub use histogram::{Histogram, HistogramFamily, Histograms};
pub use page::{Kind, Page, label};

/// Numbers under one name.
pub trait Family: Sync {
    /// Adds the name, what it means, and the numbers as they are now.
    fn write(&self, page: &mut Page);
}

/// All that a crate counts.
pub type Families = &'static [&'static dyn Family];
