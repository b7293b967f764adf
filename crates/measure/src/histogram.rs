//! How long things took: counted by buckets, of which each has a bound.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Family, Kind, Page};

/// Most bounds of a histogram.
const BOUNDS_MAX: usize = 15;

/// Durations, in buckets.
pub struct Histogram {
    /// Upper bounds in microseconds, in ascending order.
    bounds_us: &'static [u64],
    /// As many as there are bounds, and one for what is above them all.
    counts: [AtomicU64; BOUNDS_MAX + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Bounds for what a client waits for: 0.5 ms to 10 s.
    pub const ANSWERS: &'static [u64] = &[
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        10_000_000,
    ];
    /// Bounds for what a disk or a database does: 0.1 ms to 10 s.
    pub const STEPS: &'static [u64] = &[
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000,
    ];
    /// Bounds for work of jobs: 0.1 s to 4 hours.
    pub const WORK: &'static [u64] = &[
        100_000,
        500_000,
        1_000_000,
        5_000_000,
        15_000_000,
        60_000_000,
        300_000_000,
        900_000_000,
        3_600_000_000,
        14_400_000_000,
    ];

    /// `bounds_us` are at most 15.
    pub const fn new(bounds_us: &'static [u64]) -> Histogram {
        assert!(bounds_us.len() <= BOUNDS_MAX, "there are too many bounds");
        Histogram {
            bounds_us,
            counts: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1],
            sum_ns: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let above = self.bounds_us.iter().position(|bound_us| took_ns <= bound_us * 1_000);
        self.counts[above.unwrap_or(self.bounds_us.len())].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Adds the samples of a family that was begun.
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds need not be exact to the nanosecond")]
    pub fn write(&self, page: &mut Page, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        // Read once: count and buckets agree, whatever is counted meanwhile.
        let sum_s = self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        let mut count = 0;
        for (bucket, bound_us) in self.counts.iter().zip(self.bounds_us) {
            count += bucket.load(Ordering::Relaxed);
            let bound_s = *bound_us as f64 / 1e6;
            page.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound_s}\""), count);
        }
        count += self.counts[self.bounds_us.len()].load(Ordering::Relaxed);
        page.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), count);
        page.sample(&format!("{name}_sum"), labels, sum_s);
        page.sample(&format!("{name}_count"), labels, count);
    }
}

/// One histogram under a name.
pub struct HistogramFamily {
    name: &'static str,
    help: &'static str,
    histogram: Histogram,
}

impl HistogramFamily {
    pub const fn new(name: &'static str, help: &'static str, bounds_us: &'static [u64]) -> HistogramFamily {
        HistogramFamily { name, help, histogram: Histogram::new(bounds_us) }
    }

    pub fn observe(&self, took: Duration) {
        self.histogram.observe(took);
    }
}

impl Family for HistogramFamily {
    fn write(&self, page: &mut Page) {
        page.family(self.name, Kind::Histogram, self.help);
        self.histogram.write(page, self.name, "");
    }
}

/// Histograms of one family, each under its labels.
pub struct Histograms<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    histograms: [Histogram; N],
}

impl<const N: usize> Histograms<N> {
    /// `labels` are texts such as `type="import"`; `histograms` are in their order.
    pub const fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        histograms: [Histogram; N],
    ) -> Histograms<N> {
        Histograms { name, help, labels, histograms }
    }

    /// Counts in the histogram with this place among the labels.
    pub fn observe(&self, place: usize, took: Duration) {
        self.histograms[place].observe(took);
    }
}

impl<const N: usize> Family for Histograms<N> {
    fn write(&self, page: &mut Page) {
        page.family(self.name, Kind::Histogram, self.help);
        for (labels, histogram) in self.labels.iter().zip(&self.histograms) {
            histogram.write(page, self.name, labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_all_buckets_from_its_own_on() {
        let histogram = Histogram::new(&[1_000, 10_000]);
        for took_us in [400, 1_000, 1_001, 10_000, 10_001, 5_000_000] {
            histogram.observe(Duration::from_micros(took_us));
        }
        let mut page = Page::default();
        histogram.write(&mut page, "h", "a=\"b\"");
        let text = "h_bucket{a=\"b\",le=\"0.001\"} 2\nh_bucket{a=\"b\",le=\"0.01\"} 4\nh_bucket{a=\"b\",le=\"+Inf\"} 6\n\
                    h_sum{a=\"b\"} 5.022402\nh_count{a=\"b\"} 6\n";
        assert_eq!((page.into_text().as_str(), histogram.count()), (text, 6));
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [Histogram::ANSWERS, Histogram::STEPS, Histogram::WORK] {
            assert!(bounds.is_sorted_by(|a, b| a < b));
            Histogram::new(bounds).observe(Duration::MAX);
        }
    }
}
