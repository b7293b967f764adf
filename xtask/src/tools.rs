//! Where things lie, and how a tool is started so that its lines are both shown and read.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository and the folder for everything that is built or installed.
pub struct Tools {
    pub root: PathBuf,
    /// `CARGO_TARGET_DIR`, or `target` of the repository.
    pub target: PathBuf,
}

impl Tools {
    pub fn here() -> Tools {
        // Cargo says which checkout runs; the one that was compiled may be another that shares the target folder.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => std::path::absolute(&folder).unwrap_or_else(|_| folder.into()),
            None => root.join("target"),
        };
        Tools { root, target }
    }

    /// What the tests install, never outside the target folder.
    pub fn installed(&self) -> PathBuf {
        self.target.join("test-tools")
    }

    /// The server that the suites start.
    pub fn lade(&self) -> PathBuf {
        self.target.join("release").join("lade")
    }

    /// The same flow through the Rust SDK, built as an example.
    pub fn rust_sdk_flow(&self) -> PathBuf {
        self.target.join("release").join("examples").join("rust_sdk_flow")
    }

    /// A cargo command in the repository.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }
}

/// Runs a command, shows each line of its output and hands it on; whether it succeeded.
pub fn run(command: &mut Command, mut each_line: impl FnMut(&str)) -> bool {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("{name} could not be started: {error}");
            return false;
        }
    };
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            each_line(line.trim_end());
        }
    }
    child.wait().is_ok_and(|status| status.success())
}

/// What a command prints, if it can be run and succeeds.
pub fn answer(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Whether `stamp` does not hold this text: what it stands for has to be installed again.
pub fn is_stale(stamp: &Path, text: &str) -> bool {
    std::fs::read_to_string(stamp).map_or(true, |found| found != text)
}
