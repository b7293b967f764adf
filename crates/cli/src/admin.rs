//! `lade admin`: what whoever operates a server does beside it: back it up, restore it, look after it.

mod backup;
mod copying;
mod doctor;
mod manifest;
mod restore;

use std::process::ExitCode;

/// Options of `lade admin`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Back a data folder up, also while its server runs.
    Backup(backup::Args),
    /// Restore a backup into a new data folder.
    Restore(restore::Args),
    /// Look at settings, disk, catalog, records, keys and services, and tell what to mend.
    Doctor(Box<doctor::Args>),
}

pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Doctor(args) => doctor::run(*args),
    }
}
