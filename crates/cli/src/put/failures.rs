//! What went wrong while records were put: the first one that the server refused, and what ended all before its time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::error::Error;

use super::gather::Call;

pub struct Failures {
    /// The number of the first record that was refused; none is sent from there on.
    limit: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    ended: Option<Error>,
    /// With the number of the record.
    refused: Option<(u64, Error)>,
}

impl Failures {
    pub fn new() -> Failures {
        Failures { limit: AtomicU64::new(u64::MAX), found: Mutex::default() }
    }

    /// Records of this number and above are not sent any more.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Notes that the server has refused a call for one of its records; the one that comes first of all counts.
    pub fn refuse(&self, call: &Call, cause: &Error) {
        let (number, cause) = placed(call, cause);
        self.limit.fetch_min(number, Ordering::Relaxed);
        let mut found = self.found();
        if found.refused.as_ref().is_none_or(|(first, _)| number < *first) {
            found.refused = Some((number, cause));
        }
    }

    /// Notes what ended all.
    pub fn end(&self, cause: Error) {
        self.found().ended.get_or_insert(cause);
    }

    /// What is to be told.
    pub fn take(&self) -> Option<Error> {
        let Found { ended, refused } = std::mem::take(&mut *self.found());
        let Some((_, refused)) = refused else { return ended };
        let text = match ended {
            None => format!(
                "{}; all rows before it are put, and some behind it may be: mend it and put the file again, whole or from \
                 that line on",
                refused.message()
            ),
            Some(ended) => format!(
                "{}; not all rows before it are put, because then this happened: {}; mend the row and put the whole file again",
                refused.message(),
                ended.chain()
            ),
        };
        Some(Error::new(refused.kind, text))
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The server names the record by its number in the call. Where it names none, it may be any of them.
fn placed(call: &Call, cause: &Error) -> (u64, Error) {
    let parts = cause.message().split('.').zip(cause.message().split('.').skip(1));
    let mut parts = parts.filter(|(_, next)| next.starts_with("member"));
    let named = parts.find_map(|(n, _)| n.parse::<usize>().ok());
    let named = named.and_then(|n| call.records.get(n.checked_sub(1)?));
    let Some(record) = named.or(call.records.first()) else {
        return (0, Error::new(cause.kind, cause.message()));
    };
    let others = match call.records.len() {
        2.. if named.is_none() => format!(", or one of the {} rows sent with it", call.records.len() - 1),
        _ => String::new(),
    };
    (record.number, Error::new(cause.kind, format!("{}{others}: {}", record.place, cause.message())))
}

#[cfg(test)]
mod tests {
    use super::super::gather::{Gather, tests::record};
    use super::*;

    /// A call of the records 7, 8 and 9, which stood in the lines of these numbers.
    fn call() -> Call {
        let (mut gather, mut call) = (Gather::new(1, "list"), None);
        for n in 0..10 {
            let (record, place) = record(if n < 7 { "a" } else { "b" }, n, 0);
            gather.add(record, place, &mut |_, _| Ok(())).unwrap();
        }
        let mut last = |_, sent| {
            call = Some(sent);
            Ok(())
        };
        gather.finish(&mut last).unwrap();
        call.unwrap()
    }

    #[test]
    fn a_refusal_is_told_with_the_place_of_its_record() {
        let told = |text: &str| {
            let (number, cause) = placed(&call(), &Error::invalid(text));
            (number, cause.message().to_owned())
        };
        let text = "An event needs an itemId. (at eventList.2.member) (InvalidInputException)";
        assert_eq!(told(text), (8, format!("f, line 8: {text}")));
        let text = "Value at 'items.3.member.itemId' failed";
        assert_eq!(told(text), (9, format!("f, line 9: {text}")));
        for text in ["It is too large.", "at items.4.member", "at items.0.member", "3.5 is no member"] {
            assert_eq!(told(text), (7, format!("f, line 7, or one of the 2 rows sent with it: {text}")));
        }
    }

    #[test]
    fn the_first_record_that_was_refused_is_told() {
        let failures = Failures::new();
        assert!(failures.take().is_none());
        assert_eq!(failures.limit(), u64::MAX);
        for (n, limit) in [(2, 8), (3, 8), (1, 7)] {
            failures.refuse(&call(), &Error::invalid(format!("at l.{n}.member")));
            assert_eq!(failures.limit(), limit);
        }
        let told = failures.take().unwrap().message().to_owned();
        assert!(told.starts_with("f, line 7: at l.1.member; all rows before it are put"), "{told}");
        failures.refuse(&call(), &Error::invalid("at l.1.member"));
        failures.end(Error::unavailable("gone"));
        failures.end(Error::unavailable("later"));
        let told = failures.take().unwrap().message().to_owned();
        assert!(
            told.contains("not all rows before it are put, because then this happened: gone; mend"),
            "{told}"
        );
    }
}
