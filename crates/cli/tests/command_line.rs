//! The binary as a person or a script meets it first: help, version, exit codes.

use std::process::{Command, Output};

fn lade(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lade"));
    command
        .args(arguments)
        .env_remove("LADE_DATA_DIR")
        .output()
        .expect("the binary was built by this test run")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn help_names_the_commands() {
    let output = lade(&["--help"]);
    assert!(output.status.success());
    for command in ["serve", "demo", "env", "import", "export", "status", "cancel", "verify"] {
        assert!(text(&output).contains(command), "{command} is not in {}", text(&output));
    }
}

#[test]
fn usage_errors_exit_with_two() {
    for arguments in [&["no-such-command"][..], &["serve", "--no-such-flag"], &["serve", "--listen"]] {
        let output = lade(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn a_data_folder_that_cannot_be_made_exits_with_one_and_is_named() {
    let output = lade(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "/proc/no-such-folder"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("/proc/no-such-folder"), "{}", text(&output));
}

#[test]
fn env_without_a_server_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let output = lade(&["env", "--data-dir", &folder.path().to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("lade serve"), "{}", text(&output));
    assert!(output.stdout.is_empty(), "what a shell would run must be nothing");
}
