//! The Rust part: formatting, lints, dependencies and the tests of all crates, and the programs the suites start.

use crate::report::Report;
use crate::tools::{self, Tools, answer};

/// All crates, with executors: what is tested is one build, so that what both builds share is compiled once.
const ALL: [&str; 5] = ["--release", "--workspace", "--features", "lade/cluster", "--locked"];

/// Formatting, lints, dependency rules, and the tests of all crates.
pub fn run(tools: &Tools, report: &mut Report) {
    check(tools, report);
    let test = [&["test"], &ALL[..], &["--no-fail-fast"]].concat();
    report.part("cargo test", |count| tools::run(&mut tools.cargo(&test), |line| count.cargo_line(line)));
}

/// Builds the server and the Rust SDK flow, which the other parts start.
pub fn build_what_suites_start(tools: &Tools, report: &mut Report) {
    report.part("build", |_| build(tools));
}

/// Builds all targets as `cargo test` does, so that features unify in the same way and nothing is built twice.
pub fn build(tools: &Tools) -> bool {
    let build = [&["build"], &ALL[..], &["--all-targets"]].concat();
    tools::run(&mut tools.cargo(&build), |_| {})
}

fn check(tools: &Tools, report: &mut Report) {
    let mut lint = |name: &str, tool: &str, arguments: &[&str]| {
        if answer(tool, &["--version"]).is_some() {
            report.part(name, |_| tools::run(&mut tools.cargo(arguments), |_| {}));
        } else {
            report.not_run(name, &format!("rustup component add {name}"));
        }
    };
    lint("rustfmt", "rustfmt", &["fmt", "--all", "--check"]);
    let clippy = ["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    lint("clippy", "cargo-clippy", &clippy);
}
