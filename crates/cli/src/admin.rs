//! `lade admin`: what whoever operates a server does beside it: back it up, restore it, look after it, change its keys.

mod backup;
mod copying;
mod doctor;
mod manifest;
mod prune_jobs;
mod restore;
mod rotate_master_key;
mod rotate_root_key;
mod span;

use std::process::ExitCode;

/// Options of `lade admin`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade admin backup /backups/monday --data-dir /srv/lade
  lade admin doctor --data-dir /srv/lade")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Remove jobs that ended long ago.
    PruneJobs(prune_jobs::Args),
    /// Give the root another key, while the server runs.
    RotateRootKey(rotate_root_key::Args),
    /// Seal everything under another master key, while no server runs.
    RotateMasterKey(Box<rotate_master_key::Args>),
    /// Back a data folder up, also while its server runs.
    Backup(backup::Args),
    /// Restore a backup into a new data folder.
    Restore(restore::Args),
    /// Look at settings, disk, catalog, records, keys and services, and tell what to mend.
    Doctor(Box<doctor::Args>),
}

pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::PruneJobs(args) => prune_jobs::run(&args),
        Command::RotateRootKey(args) => rotate_root_key::run(&args),
        Command::RotateMasterKey(args) => rotate_master_key::run(*args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Doctor(args) => doctor::run(*args),
    }
}
