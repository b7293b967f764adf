//! The binary `lade`: reads the command line and hands over to one of its commands.

mod admin;
mod apply;
mod bench;
mod cancel;
mod client;
mod completions;
mod datasets;
mod demo;
mod diff;
mod env;
#[cfg(test)]
mod examples;
mod executor;
mod export;
mod health;
mod import;
mod insights;
mod inspect;
mod job;
mod logs;
mod migrate;
mod nodes;
mod out;
mod put;
mod records;
mod scheduler;
mod schedules;
mod serve;
mod settings;
mod status;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Gives back what a job has freed, also across threads that come and go.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What `lade --version` tells: executors are there or not.
const VERSION: &str = if cfg!(feature = "cluster") {
    concat!(env!("CARGO_PKG_VERSION"), " (with the feature cluster)")
} else {
    env!("CARGO_PKG_VERSION")
};

/// A self-hosted server that speaks the data side of Amazon Personalize, with its own S3, IAM, STS and KMS.
#[derive(Parser)]
#[command(name = "lade", version = VERSION, arg_required_else_help = true, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(Box<serve::Args>),
    /// Run the scheduler that gives the tasks of jobs to executors on other machines.
    Scheduler(scheduler::Args),
    /// Run an executor that does tasks of jobs for the servers of a scheduler.
    Executor(Box<executor::Args>),
    /// Back up, restore and look after a server, change its keys, remove old jobs.
    Admin(admin::Args),
    /// Print the lines that make a shell's AWS clients use the running server: eval "$(lade env)"
    Env(env::Args),
    /// Start a server on a scratch folder and show an import, live events and exports.
    Demo(demo::Args),
    /// Put load on a running server and prove that nothing of it was lost.
    Bench(bench::Args),
    /// Make what a file declares: schemas, dataset groups, roles, buckets, keys, export schedules.
    Apply(apply::Args),
    /// Import CSV files from S3 into a dataset.
    Import(import::Args),
    /// Export a dataset to CSV files in S3.
    Export(export::Args),
    /// Put the records of files into a dataset, live.
    Put(Box<put::Args>),
    /// Show how far jobs are and what became of them.
    Status(status::Args),
    /// Tell by the exit code whether the running server can do what it is asked.
    Health(health::Args),
    /// Show what datasets hold and what is put to them.
    Datasets(datasets::Args),
    /// Show some records of a dataset.
    Records(records::Args),
    /// Analyze the data of a dataset group and tell what to mend.
    Insights(insights::Args),
    /// Show, run, pause and delete exports that are made again and again.
    Schedules(schedules::Args),
    /// Show the servers that work on one catalog.
    Nodes(nodes::Args),
    /// End a job before its work is done.
    Cancel(cancel::Args),
    /// Prove that the files of an export are those that its manifest describes.
    Verify(verify::Args),
    /// Tell what changed between two exports.
    Diff(diff::Args),
    /// Move dataset groups in from Amazon Personalize or another Lade, or out to it.
    Migrate(Box<migrate::Args>),
    /// Show what a run, a segment of the log or a manifest on the disk holds.
    Inspect(inspect::Args),
    /// Print what makes a shell complete these commands.
    Completions(completions::Args),
}

/// Exits with 0 when it is done, 1 when it failed, 2 when the command line can't be read.
fn main() -> ExitCode {
    out::end_quietly_without_reader();
    match CommandLine::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Scheduler(args) => scheduler::run(args),
        Command::Executor(args) => executor::run(*args),
        Command::Admin(args) => admin::run(args),
        Command::Env(args) => env::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Apply(args) => apply::run(&args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Status(args) => status::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Datasets(args) => datasets::run(&args),
        Command::Records(args) => records::run(&args),
        Command::Insights(args) => insights::run(&args),
        Command::Schedules(args) => schedules::run(&args),
        Command::Nodes(args) => nodes::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Verify(args) => verify::run(args),
        Command::Diff(args) => diff::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Put(args) => put::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Tells a person what failed, with all its causes.
fn failed(error: &model::Error) -> ExitCode {
    // Whoever read this may have gone.
    let _ = writeln!(io::stderr(), "lade: {}", error.chain());
    ExitCode::FAILURE
}
