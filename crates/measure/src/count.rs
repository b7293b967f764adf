//! Numbers that grow, and numbers that go up and down.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::{Family, Kind, Page};

/// How often something happened, or how much of it there was.
pub struct Counter {
    name: &'static str,
    help: &'static str,
    value: AtomicU64,
}

impl Counter {
    pub const fn new(name: &'static str, help: &'static str) -> Counter {
        Counter { name, help, value: AtomicU64::new(0) }
    }

    pub fn add(&self, by: u64) {
        self.value.fetch_add(by, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl Family for Counter {
    fn write(&self, page: &mut Page) {
        page.family(self.name, Kind::Counter, self.help);
        page.sample(self.name, "", self.get());
    }
}

/// Counters of one family, each under its labels.
pub struct Counters<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    values: [AtomicU64; N],
}

impl<const N: usize> Counters<N> {
    /// `labels` are texts such as `result="done"`, in the order in which they are counted.
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Counters<N> {
        Counters { name, help, labels, values: [const { AtomicU64::new(0) }; N] }
    }

    /// Adds to the counter with this place among the labels.
    pub fn add(&self, place: usize, by: u64) {
        self.values[place].fetch_add(by, Ordering::Relaxed);
    }

    pub fn get(&self, place: usize) -> u64 {
        self.values[place].load(Ordering::Relaxed)
    }
}

impl<const N: usize> Family for Counters<N> {
    fn write(&self, page: &mut Page) {
        page.family(self.name, Kind::Counter, self.help);
        for (labels, value) in self.labels.iter().zip(&self.values) {
            page.sample(self.name, labels, value.load(Ordering::Relaxed));
        }
    }
}

/// How much of something there is now.
pub struct Gauge {
    name: &'static str,
    help: &'static str,
    value: AtomicI64,
}

impl Gauge {
    pub const fn new(name: &'static str, help: &'static str) -> Gauge {
        Gauge { name, help, value: AtomicI64::new(0) }
    }

    pub fn set(&self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Adds so much, until what is given back is dropped.
    #[must_use]
    pub fn hold(&'static self, much: i64) -> Held {
        self.value.fetch_add(much, Ordering::Relaxed);
        Held { gauge: self, much }
    }
}

impl Family for Gauge {
    fn write(&self, page: &mut Page) {
        page.gauge(self.name, self.help, self.get());
    }
}

/// A part of a gauge, for as long as it lives.
pub struct Held {
    gauge: &'static Gauge,
    much: i64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.value.fetch_sub(self.much, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(family: &dyn Family) -> String {
        let mut page = Page::default();
        family.write(&mut page);
        page.into_text().lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn counts_of_many_threads_add_up() {
        let (counter, counters) = (Counter::new("c", "c"), Counters::new("d", "d", ["x=\"1\"", "x=\"2\""]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        counter.add(2);
                        counters.add(1, 1);
                    });
                });
            }
        });
        assert_eq!(
            (text(&counter), text(&counters)),
            ("c 8000".into(), "d{x=\"1\"} 0 d{x=\"2\"} 4000".into())
        );
    }

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        static GAUGE: Gauge = Gauge::new("g", "g");
        let held = GAUGE.hold(5);
        let more = GAUGE.hold(2);
        drop(held);
        assert_eq!(text(&GAUGE), "g 2");
        drop(more);
        assert_eq!(text(&GAUGE), "g 0");
    }
}
