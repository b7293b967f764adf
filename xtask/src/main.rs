//! `cargo xtask test`: everything that has to hold before a change goes in, run in order, summed up at the end.
//! `cargo xtask bench`: the server measured beside its peers.

mod bench;
mod count;
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
    if let Some((command, rest)) = arguments.split_first()
        && command == "bench"
    {
        return if bench::run(&Tools::here(), rest) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
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
    if !options.fast && (options.takes("rust") || options.takes("python")) {
        rust::cluster(&tools, &mut report);
    }
    if options.takes("js") || options.takes("python") {
        rust::build_what_suites_start(&tools, &mut report);
    }
    if options.takes("js") {
        javascript::run(&tools, &mut report);
    }
    if options.takes("python") {
        python::run(&tools, options.fast, &mut report);
    }
    report.close()
}
