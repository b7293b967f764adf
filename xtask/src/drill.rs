//! Whole clusters on this machine: one that is broken while jobs run (the Python module `drill`), and those whose throughput
//! is measured (`bench.nodes`).

use std::path::Path;
use std::process::Command;

use crate::python;
use crate::rust;
use crate::tools::{self, Tools};

/// Whether all jobs of the module ended and were exact. `LADE_BIN` names a server that is built already.
pub fn run(tools: &Tools, module: &str, arguments: &[String]) -> bool {
    let venv = tools.installed().join("venv");
    let is_built = std::env::var_os("LADE_BIN").is_some();
    python::make(&venv)
        && python::requirements(tools, &venv, "tests/requirements.txt", &[])
        && python::requirements(tools, &venv, "tests/requirements-stores.txt", &["--no-deps"])
        && (is_built || rust::build(tools))
        && tools::run(&mut module_of(tools, &venv, module, arguments), |_| {})
}

fn module_of(tools: &Tools, venv: &Path, module: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(venv.join("bin/python"));
    command.args(["-u", "-B", "-m", module]).args(arguments);
    command.current_dir(&tools.root).env("PYTHONPATH", "tests");
    if std::env::var_os("LADE_BIN").is_none() {
        command.env("LADE_BIN", tools.lade());
    }
    command
}
