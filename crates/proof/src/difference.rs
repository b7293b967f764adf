//! One difference between a manifest and what is there: the file, what of it, what was expected, what was found.

use std::fmt;

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub file: String,
    /// Such as `bytes`, `blake3`, `rows`.
    pub what: &'static str,
    pub expected: String,
    pub found: String,
}

impl Difference {
    pub fn new(
        file: &str,
        what: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Difference {
        Difference { file: file.to_owned(), what, expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: expected {}, found {}", self.file, self.what, self.expected, self.found)
    }
}

/// Collects differences of one file.
pub struct Differences<'a> {
    file: &'a str,
    found: Vec<Difference>,
}

impl<'a> Differences<'a> {
    pub fn of(file: &'a str) -> Differences<'a> {
        Differences { file, found: Vec::new() }
    }

    /// Notes a difference where the two are not the same.
    pub fn compare<T: PartialEq + ToString>(&mut self, what: &'static str, expected: T, found: T) {
        if expected != found {
            self.found.push(Difference::new(self.file, what, expected.to_string(), found.to_string()));
        }
    }

    pub fn into_vec(self) -> Vec<Difference> {
        self.found
    }
}
