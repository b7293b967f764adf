//! How many tests passed and failed, read from the lines that cargo, node and pytest print.

/// The counts of one part.
#[derive(Debug, Default, PartialEq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    /// Why tests were skipped, as pytest tells it.
    pub skipped: Vec<String>,
}

impl Count {
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …`, one line for each test binary.
    pub fn cargo_line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += before(counts, "passed").unwrap_or(0);
            self.failed += before(counts, "failed").unwrap_or(0);
        }
    }

    /// `# pass 3` and `# fail 0` (and `# cancelled 0`), once at the end of a TAP stream.
    pub fn tap_line(&mut self, line: &str) {
        match line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) {
            Some(("pass", n)) => self.passed += n.trim().parse().unwrap_or(0),
            Some(("fail" | "cancelled", n)) => self.failed += n.trim().parse().unwrap_or(0),
            _ => {}
        }
    }

    /// `==== 2 failed, 30 passed, 1 error in 4.20s ====` and `SKIPPED [1] tests/a.py:3: reason`.
    pub fn pytest_line(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("SKIPPED ") {
            self.skipped.push(reason.into());
        } else if line.starts_with('=') && line.contains(" in ") {
            self.passed += before(line, "passed").unwrap_or(0);
            self.failed += before(line, "failed").unwrap_or(0);
            self.failed += before(line, "error").or_else(|| before(line, "errors")).unwrap_or(0);
        }
    }
}

/// The number that stands before a word.
fn before(line: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = line.split([' ', ',', ';']).filter(|w| !w.is_empty()).collect();
    let at = words.iter().position(|w| *w == word)?;
    words[..at].last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn cargo_binaries_add_up() {
        let mut count = Count::default();
        count.cargo_line("running 3 tests");
        count.cargo_line(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        count.cargo_line("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((count.passed, count.failed), (7, 2));
    }

    #[test]
    fn tap_totals_are_taken_once() {
        let mut count = Count::default();
        for line in ["ok 1 - puts", "# tests 4", "# pass 3", "# fail 1", "# cancelled 0"] {
            count.tap_line(line);
        }
        assert_eq!((count.passed, count.failed), (3, 1));
    }

    #[test]
    fn pytest_errors_are_failures_and_skips_are_told() {
        let mut count = Count::default();
        count.pytest_line("SKIPPED [1] tests/test_a.py:3: no data");
        count.pytest_line("== 2 failed, 30 passed, 1 skipped, 1 error in 4.20s ==");
        assert_eq!((count.passed, count.failed), (30, 3));
        assert_eq!(count.skipped, ["[1] tests/test_a.py:3: no data"]);
    }

    #[test]
    fn other_pytest_rules_are_not_totals() {
        let mut count = Count::default();
        count.pytest_line("===== test session starts =====");
        count.pytest_line("===== 5 errors =====");
        assert_eq!(count, Count::default());
    }
}
