//! `lade bench`: load on a running server, and the proof that nothing of it was lost.

mod connection;
mod latency;
mod load;
mod numbers;
mod pace;
mod proof;
mod put;
mod records;
mod report;
mod sign;

use std::process::ExitCode;

use clap::Subcommand;

/// Options of `lade bench`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  lade bench put --tracking-id 11111111-2222-4333-8444-555555555555 --seconds 10")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Put records one by one, as many as the server takes or at a rate
    Put(Box<put::Args>),
}

/// Exits with 0 when every call was answered well and nothing is missing, with 1 otherwise.
pub fn run(args: Args) -> ExitCode {
    match args.what {
        What::Put(args) => put::run(&args),
    }
}
