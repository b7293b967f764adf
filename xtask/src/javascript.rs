//! The JavaScript part: the stock SDK v3, installed from the lock file, against a server that the suite starts. What else
//! comes from npm is installed here, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report::Report;
use crate::tools::{self, Tools, answer, is_stale};

/// The SDK's packages ask for this.
const NODE_MIN: u32 = 20;

/// Installs the packages, and runs every `*.test.js`.
pub fn run(tools: &Tools, report: &mut Report) {
    match answer("node", &["--version"]).as_deref().and_then(major) {
        Some(version) if version >= NODE_MIN => {}
        Some(version) => {
            let what = format!("JavaScript suite: Node.js {version} is there, {NODE_MIN} or newer is needed");
            return report.not_run(&what, "https://nodejs.org, or a newer distribution's package nodejs");
        }
        None => return report.not_run("JavaScript suite: no node", "sudo apt-get install nodejs npm"),
    }
    if answer("npm", &["--version"]).is_none() {
        return report.not_run("JavaScript suite: no npm", "sudo apt-get install npm");
    }
    let folder = folder(tools);
    report.part("JavaScript SDK", |count| {
        packages(tools) && tools::run(&mut suite(tools, &folder), |line| count.tap_line(line))
    });
}

/// Where the packages are installed, and the suite beside them.
pub fn folder(tools: &Tools) -> PathBuf {
    tools.installed().join("js")
}

/// Installs the packages if their lock file changed; whether they are there.
pub fn packages(tools: &Tools) -> bool {
    let folder = folder(tools);
    if let Err(error) = place(&tools.root.join("tests/js"), &folder) {
        println!("copy tests/js to {}: {error}", folder.display());
        return false;
    }
    install(&folder)
}

/// `v20.20.2` → 20.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Node finds packages beside the files that import them, so the suite is copied to where they are installed.
fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn install(folder: &Path) -> bool {
    let lock = fs::read_to_string(folder.join("package-lock.json")).unwrap_or_default();
    let stamp = folder.join("node_modules/.installed");
    if !is_stale(&stamp, &lock) {
        return true;
    }
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    tools::run(Command::new("npm").args(arguments).current_dir(folder), |_| {})
        && fs::write(stamp, lock).is_ok()
}

fn suite(tools: &Tools, folder: &Path) -> Command {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test.js"))
        .collect();
    files.sort();
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap"]).args(files);
    command.current_dir(folder).env("LADE_BIN", tools.lade());
    command
}
