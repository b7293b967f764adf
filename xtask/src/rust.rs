//! The Rust part: formatting, lints, dependencies and the tests of all crates, and the programs the suites start.

use crate::report::Report;
use crate::tools::{self, Tools, answer};

/// Formatting, lints, dependency rules, and the tests of all crates.
pub fn run(tools: &Tools, report: &mut Report) {
    check(tools, report);
    let test = ["test", "--release", "--workspace", "--locked", "--no-fail-fast"];
    report.part("cargo test", |count| tools::run(&mut tools.cargo(&test), |line| count.cargo_line(line)));
}

/// Tests what only the feature `cluster` brings, and keeps a server that has it for the suites.
///
/// Comes before the suites' own build, which puts the server without the feature back in its place.
pub fn cluster(tools: &Tools, report: &mut Report) {
    let with = ["--release", "--locked", "--config", "xtask/cluster.toml"];
    let what = ["-p", "lade", "-p", "cluster", "--features", "lade/cluster"];
    let cargo =
        |first: &str, rest: &[&str]| tools.cargo(&[&[first][..], &with[..], &what[..], rest].concat());
    report.part("cluster: build", |_| {
        tools::run(&mut cargo("build", &["--bin", "lade"]), |_| {})
            && tools::copy(&tools.lade(), &tools.lade_cluster())
    });
    report.part("cluster: cargo test", |count| {
        tools::run(&mut cargo("test", &["--lib", "--test", "tasks"]), |line| count.cargo_line(line))
    });
}

/// Builds the server and the Rust SDK flow, which the other parts start.
pub fn build_what_suites_start(tools: &Tools, report: &mut Report) {
    report.part("build", |_| build(tools));
}

/// Builds all targets as `cargo test` does, so that features unify in the same way and nothing is built twice.
pub fn build(tools: &Tools) -> bool {
    let build = ["build", "--release", "--workspace", "--all-targets", "--locked"];
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
