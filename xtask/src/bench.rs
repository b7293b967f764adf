//! The benchmarks: builds the server, installs its peers and runs the Python package `bench`, which measures and checks.

use std::path::Path;
use std::process::Command;

use crate::python;
use crate::rust;
use crate::tools::{self, Tools};

/// Whether all answers were right; times never fail a run. `LADE_BIN` names a server that is built already.
pub fn run(tools: &Tools, arguments: &[String]) -> bool {
    let venv = tools.installed().join("venv");
    let is_built = std::env::var_os("LADE_BIN").is_some() || !measures(arguments);
    python::make(&venv)
        && python::requirements(tools, &venv, "tests/requirements.txt", &[])
        && python::requirements(tools, &venv, "bench/requirements.txt", &[])
        && (is_built || rust::build(tools))
        && tools::run(&mut bench(tools, &venv, arguments), |_| {})
}

fn measures(arguments: &[String]) -> bool {
    !arguments.iter().any(|argument| ["-h", "--help", "--from"].contains(&argument.as_str()))
}

fn bench(tools: &Tools, venv: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(venv.join("bin/python"));
    command.args(["-u", "-B", "-m", "bench", "--folder"]).arg(tools.target.join("bench")).args(arguments);
    command.current_dir(&tools.root).env("PYTHONPATH", "tests");
    if std::env::var_os("LADE_BIN").is_none() {
        command.env("LADE_BIN", tools.lade());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::measures;

    #[test]
    fn help_and_earlier_runs_need_no_server() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        assert!(measures(&words("--quick --rows 1M")) && measures(&[]));
        assert!(!measures(&words("--from last.json --write")) && !measures(&words("--help")));
    }
}
