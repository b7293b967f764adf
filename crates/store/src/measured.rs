//! What is counted of the log.

use measure::{Counter, Families, Gauge, Histogram, HistogramFamily, Histograms};

/// Each write of a log in a folder ends with one.
pub(crate) static FSYNC: HistogramFamily = HistogramFamily::new(
    "lade_log_fsync_duration_seconds",
    "How long the disk took to make a group of put calls durable.",
    Histogram::STEPS,
);

/// What a segment of a log in a bucket needs: see [`PUT`] and [`PLACE`].
pub(crate) static OBJECT: Histograms<2> = Histograms::new(
    "lade_log_object_duration_seconds",
    "How long a group of put calls took to be put into the bucket, and to get its place in the catalog.",
    ["step=\"put\"", "step=\"place\""],
    [Histogram::new(Histogram::ANSWERS), Histogram::new(Histogram::ANSWERS)],
);
pub(crate) const PUT: usize = 0;
pub(crate) const PLACE: usize = 1;

pub(crate) static WRITTEN: Counter =
    Counter::new("lade_log_written_bytes_total", "Bytes of put calls that were written to the log.");

/// 1 while it is so.
pub(crate) static REFUSING: Gauge = Gauge::new(
    "lade_log_refusing",
    "1 while put calls are refused because the disk is full, or the store or the catalog does not answer.",
);

/// All of it.
pub static FAMILIES: Families = &[&FSYNC, &OBJECT, &WRITTEN, &REFUSING];
