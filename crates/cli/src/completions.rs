//! `lade completions`: what makes a shell complete the commands and options of this very binary.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{CommandLine, say_text};

/// Options of `lade completions`.
#[derive(clap::Args)]
#[command(after_help = "\
For bash: lade completions bash > ~/.local/share/bash-completion/completions/lade
For fish: lade completions fish > ~/.config/fish/completions/lade.fish
For zsh, to a folder of $fpath: lade completions zsh > ~/.zfunc/_lade

Example:
  lade completions bash")]
pub struct Args {
    /// Whose completions
    shell: Shell,
}

pub fn run(args: &Args) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "lade", &mut script);
    say_text!("{}", String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
