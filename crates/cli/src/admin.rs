//! `lade admin`: what an operator does to a server now and then.

mod prune_jobs;
mod rotate_master_key;
mod rotate_root_key;
mod span;

use std::process::ExitCode;

/// Options of `lade admin`.
#[derive(clap::Args)]
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
}

pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::PruneJobs(args) => prune_jobs::run(&args),
        Command::RotateRootKey(args) => rotate_root_key::run(&args),
        Command::RotateMasterKey(args) => rotate_master_key::run(*args),
    }
}
