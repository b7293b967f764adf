//! What is counted of the catalog.

use measure::{Families, Histogram, HistogramFamily};

pub(crate) static WAIT: HistogramFamily = HistogramFamily::new(
    "lade_catalog_wait_duration_seconds",
    "How long a change waited until it was its turn to write to the catalog.",
    Histogram::STEPS,
);

pub(crate) static COMMIT: HistogramFamily = HistogramFamily::new(
    "lade_catalog_commit_duration_seconds",
    "How long the catalog took to make a change durable.",
    Histogram::STEPS,
);

/// All of it.
pub static FAMILIES: Families = &[&WAIT, &COMMIT];
