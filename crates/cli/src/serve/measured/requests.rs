//! Requests by service, operation and class of answer, and how long they took.
//!
//! The five operations that put records have places of their own, which are found by their paths. All others share a table
//! that only grows: whoever is there is found without a lock. Operations are those that this program names, never what a
//! client makes up, and when the table is full nonetheless, the rest is counted as `other`.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use measure::{Family, Histogram, Kind, Page, label};

const REQUESTS_NAME: &str = "lade_requests_total";
const DURATION_NAME: &str = "lade_request_duration_seconds";
const ANSWERS: [&str; 4] = ["ok", "refused", "throttled", "failed"];
/// More than three times the operations that there are.
const PLACES: usize = 1024;
/// A place that is not near where it should be is not looked for further on.
const STEPS_MAX: usize = 32;

/// The operations that put records, and their paths.
const PUTS: [(&str, &str); 5] = [
    ("/events", "PutEvents"),
    ("/items", "PutItems"),
    ("/users", "PutUsers"),
    ("/actions", "PutActions"),
    ("/action-interactions", "PutActionInteractions"),
];

/// All requests of this process.
pub static REQUESTS: Requests = Requests {
    puts: [const { Numbers::new() }; PUTS.len()],
    places: [const { OnceLock::new() }; PLACES],
    others: Numbers::new(),
};

/// A request that was answered.
pub struct Answered<'a> {
    /// One of those that are served, or what stands for them.
    pub service: &'static str,
    /// As this program calls it.
    pub operation: &'a str,
    pub status: u16,
    /// Whether the caller was told to come again later.
    pub is_throttled: bool,
    pub took: Duration,
}

pub struct Requests {
    puts: [Numbers; PUTS.len()],
    places: [OnceLock<Box<Place>>; PLACES],
    others: Numbers,
}

struct Place {
    service: &'static str,
    operation: String,
    numbers: Numbers,
}

struct Numbers {
    answers: [AtomicU64; ANSWERS.len()],
    took: Histogram,
}

impl Numbers {
    const fn new() -> Numbers {
        Numbers {
            answers: [const { AtomicU64::new(0) }; ANSWERS.len()],
            took: Histogram::new(Histogram::ANSWERS),
        }
    }

    fn count(&self, answered: &Answered<'_>) {
        let answer = match answered.status {
            _ if answered.is_throttled => 2,
            500.. => 3,
            400.. => 1,
            _ => 0,
        };
        self.answers[answer].fetch_add(1, Ordering::Relaxed);
        self.took.observe(answered.took);
    }
}

impl Requests {
    /// Counts a call that puts records, by its path.
    pub fn count_put(&self, path: &str, answered: &Answered<'_>) {
        if let Some(place) = PUTS.iter().position(|(known, _)| *known == path) {
            self.puts[place].count(answered);
        }
    }

    pub fn count(&self, answered: &Answered<'_>) {
        self.place(answered.service, answered.operation).count(answered);
    }

    fn place(&self, service: &'static str, operation: &str) -> &Numbers {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((service, operation));
        let first = usize::try_from(hash % PLACES as u64).unwrap_or(0);
        for step in 0..STEPS_MAX {
            let place = self.places[(first + step) % PLACES].get_or_init(|| {
                let (operation, numbers) = (operation.to_owned(), Numbers::new());
                Box::new(Place { service, operation, numbers })
            });
            if place.service == service && place.operation == operation {
                return &place.numbers;
            }
        }
        &self.others
    }

    /// Labels and numbers of all operations that were ever called, and of those that put.
    fn all(&self) -> Vec<(String, &Numbers)> {
        let labels = |service: &str, operation: &str| {
            format!("{},{}", label("service", service), label("operation", operation))
        };
        let puts = PUTS.iter().zip(&self.puts);
        let puts = puts.map(|((_, operation), numbers)| (labels("personalize", operation), numbers));
        let places = self.places.iter().filter_map(OnceLock::get);
        let places = places.map(|place| (labels(place.service, &place.operation), &place.numbers));
        let others = (self.others.took.count() > 0).then(|| (labels("other", "other"), &self.others));
        let mut all: Vec<_> = puts.chain(places).chain(others).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

impl Family for Requests {
    fn write(&self, page: &mut Page) {
        let all = self.all();
        page.family(REQUESTS_NAME, Kind::Counter, "Requests that were answered, by how.");
        for (labels, numbers) in &all {
            for (answer, number) in ANSWERS.iter().zip(&numbers.answers) {
                let labels = format!("{labels},answer=\"{answer}\"");
                page.sample(REQUESTS_NAME, &labels, number.load(Ordering::Relaxed));
            }
        }
        page.family(DURATION_NAME, Kind::Histogram, "How long requests took until their answer began.");
        for (labels, numbers) in &all {
            numbers.took.write(page, DURATION_NAME, labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Requests {
        Requests {
            puts: [const { Numbers::new() }; PUTS.len()],
            places: [const { OnceLock::new() }; PLACES],
            others: Numbers::new(),
        }
    }

    fn answered(operation: &str, status: u16, is_throttled: bool) -> Answered<'_> {
        Answered { service: "iam", operation, status, is_throttled, took: Duration::from_millis(3) }
    }

    fn counts(requests: &Requests) -> Vec<String> {
        let mut page = Page::default();
        requests.write(&mut page);
        let text = page.into_text();
        let counts =
            text.lines().filter(|line| line.starts_with("lade_requests_total{") && !line.ends_with(" 0"));
        counts.map(|line| line.trim_start_matches("lade_requests_total").to_owned()).collect()
    }

    #[test]
    fn requests_are_told_apart_by_operation_and_answer() {
        let requests = requests();
        for (status, is_throttled) in [(200, false), (302, false), (404, false), (400, true), (503, false)] {
            requests.count(&answered("ListUsers", status, is_throttled));
        }
        requests.count_put("/events", &answered("", 200, false));
        requests.count_put("/nothing", &answered("", 200, false));
        assert_eq!(
            counts(&requests),
            [
                r#"{service="iam",operation="ListUsers",answer="ok"} 2"#,
                r#"{service="iam",operation="ListUsers",answer="refused"} 1"#,
                r#"{service="iam",operation="ListUsers",answer="throttled"} 1"#,
                r#"{service="iam",operation="ListUsers",answer="failed"} 1"#,
                r#"{service="personalize",operation="PutEvents",answer="ok"} 1"#,
            ]
        );
    }

    #[test]
    fn what_finds_no_place_is_counted_with_the_others() {
        let requests = requests();
        let names: Vec<String> = (0..PLACES + 500).map(|n| format!("Operation{n}")).collect();
        names.iter().for_each(|name| requests.count(&answered(name, 200, false)));
        let counted = counts(&requests);
        assert!(counted.iter().any(|line| line.contains("operation=\"other\"")));
        assert!(counted.len() <= PLACES + 1);
        let sum: u64 =
            counted.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(sum, (PLACES + 500) as u64);
    }
}
