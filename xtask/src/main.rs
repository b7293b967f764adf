//! `cargo xtask test`: everything that has to hold before a change goes in, run in order, summed up at the end.
//! `cargo xtask bench`: the server measured beside its peers.
//! `cargo xtask drill`: several nodes that are broken while jobs run. `cargo xtask bench-nodes`: what more of them give.

mod bench;
mod count;
mod drill;
mod javascript;
mod options;
mod python;
mod report;
mod rust;
mod tools;

use std::process::ExitCode;

use options::Options;
use report::Report;
use tools::Tools;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((command, rest)) if command == "bench" => Some(bench::run(&Tools::here(), rest)),
        Some((command, rest)) if command == "drill" => Some(drill::run(&Tools::here(), "drill", rest)),
        Some((command, rest)) if command == "bench-nodes" => {
            Some(drill::run(&Tools::here(), "bench.nodes", rest))
        }
        _ => None,
    };
    if let Some(is_right) = done {
        return if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let options = match Options::parse(arguments.into_iter()) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let tools = Tools::here();
    let mut report = Report::new(options.ci);
    if options.takes("rust") {
        rust::run(&tools, &mut report);
    }
    if options.takes("js") || options.takes("python") {
        rust::build_what_suites_start(&tools, &mut report);
    }
    if options.takes("js") {
        javascript::run(&tools, &mut report);
    }
    if options.takes("python") {
        python::run(&tools, &options, &mut report);
    }
    report.close()
}
