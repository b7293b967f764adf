//! What was run, what was not, and the line that everything ends with.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::count::Count;

/// The parts that ran, in order, and those that could not.
pub struct Report {
    parts: Vec<Part>,
    not_run: Vec<NotRun>,
    strict: bool,
}

struct Part {
    name: String,
    took: Duration,
    count: Count,
}

struct NotRun {
    what: String,
    remedy: String,
}

impl Report {
    /// A strict report takes what could not be run for a failure.
    pub fn new(strict: bool) -> Report {
        Report { parts: Vec::new(), not_run: Vec::new(), strict }
    }

    /// Runs one part and notes its time and counts; a part that failed without counting a failure counts as one.
    pub fn part(&mut self, name: &str, run: impl FnOnce(&mut Count) -> bool) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let mut count = Count::default();
        let succeeded = run(&mut count);
        if !succeeded && count.failed == 0 {
            count.failed = 1;
        }
        for reason in count.skipped.drain(..) {
            self.not_run.push(NotRun { what: format!("{name}: {reason}"), remedy: String::new() });
        }
        let failed = count.failed > 0;
        self.parts.push(Part { name: name.into(), took: start.elapsed(), count });
        !failed
    }

    /// Notes that something could not be run, and the line that would install what it lacks.
    pub fn not_run(&mut self, what: &str, remedy: &str) {
        self.not_run.push(NotRun { what: what.into(), remedy: remedy.into() });
    }

    /// Prints the summary, its last line `N passed, N failed`.
    pub fn close(self) -> ExitCode {
        println!("\n== summary");
        for part in &self.parts {
            let Part { name, took, count } = part;
            println!(
                "{:>8.1} s  {:>5} passed  {:>3} failed  {name}",
                took.as_secs_f64(),
                count.passed,
                count.failed
            );
        }
        let mut refused = false;
        for item in &self.not_run {
            let NotRun { what, remedy } = item;
            refused |= self.strict;
            println!("not run: {what}{}{remedy}", if remedy.is_empty() { "" } else { "; to install it: " });
        }
        if refused {
            println!("CI=true: what was not run counts as a failure");
        }
        let passed: u64 = self.parts.iter().map(|p| p.count.passed).sum();
        let failed: u64 = self.parts.iter().map(|p| p.count.failed).sum();
        println!("{passed} passed, {failed} failed");
        if failed > 0 || refused { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
