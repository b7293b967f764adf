//! `lade scheduler`: gives the tasks of jobs to executors, until it is told to stop.

use std::process::ExitCode;

use model::error::Result;

use crate::logs::{self, LogSettings};

/// Options of `lade scheduler`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  lade scheduler --listen 10.0.0.1:50050 --allow-plain-http")]
pub struct Args {
    /// Address to listen on for servers and executors; port 0 takes a free one
    #[arg(long, env = "LADE_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    listen: String,

    /// Seconds after which an executor that is not heard of is taken for lost, and its tasks are done elsewhere
    #[arg(long, env = "LADE_EXECUTOR_TIMEOUT_S", value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(3..=600))]
    executor_timeout_s: u64,

    /// Listen beyond this machine: on a private network, where nobody else can listen or call
    #[arg(long, env = "LADE_ALLOW_PLAIN_HTTP", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new(), default_value = "false")]
    allow_plain_http: bool,

    /// How much is logged: a level, or levels by area, such as info,cluster=debug [default: info]
    #[arg(long, env = "LADE_LOG", value_name = "LEVEL|AREA=LEVEL,...")]
    log: Option<String>,

    /// The form of the log: text, or json for an object a line [default: text]
    #[arg(long, env = "LADE_LOG_FORMAT", value_name = "text|json")]
    log_format: Option<String>,
}

/// Runs a scheduler until SIGTERM or SIGINT.
pub fn run(args: Args) -> ExitCode {
    match LogSettings::parse(args.log.as_deref(), args.log_format.as_deref()).and_then(|logs| {
        logs::start(&logs);
        schedule(args)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::failed(&error),
    }
}

#[cfg(not(feature = "cluster"))]
fn schedule(args: Args) -> Result<()> {
    crate::settings::listen_in_private(&args.listen, args.allow_plain_http)?;
    let _ = args.executor_timeout_s;
    Err(model::Error::invalid(crate::settings::NO_CLUSTER))
}

#[cfg(feature = "cluster")]
fn schedule(args: Args) -> Result<()> {
    use std::io::Write;

    let listen = crate::settings::listen_in_private(&args.listen, args.allow_plain_http)?;
    let settings = cluster::SchedulerSettings { listen, executor_timeout_s: args.executor_timeout_s };
    // A reader that has gone away is no reason to stop.
    let ready = |address: std::net::SocketAddr| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "Address      {address}").and_then(|()| out.flush());
    };
    crate::serve::runtime()?.block_on(async {
        let stop = crate::serve::told_to_stop()?;
        cluster::scheduler::serve(settings, Box::new(ready), stop).await
    })
}
