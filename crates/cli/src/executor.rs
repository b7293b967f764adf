//! `lade executor`: does tasks of jobs for the servers of a scheduler, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use model::error::Result;

use crate::settings::{Given, listen_in_private};

/// Options of `lade executor`: those of the servers that it works for, of which `--listen` is where results are fetched.
#[derive(clap::Args)]
#[command(
    mut_arg("listen", |arg| arg.help("Address where results are fetched, never taken from the file, which may be a server's \
        [default: a free port of 127.0.0.1]")),
    after_help = "Example:
  lade executor --scheduler 10.0.0.1:50050 --listen 10.0.0.2:50051 --config lade.toml --allow-plain-http"
)]
pub struct Args {
    /// File with settings (TOML)
    #[arg(long, env = "LADE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Tasks at the same time, each with its share of jobs_memory [default: one for each processor]
    #[arg(long, env = "LADE_TASKS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    tasks: Option<u16>,

    /// What the scheduler calls this machine [default: the address that its calls come from]
    #[arg(long, env = "LADE_EXECUTOR_HOST", value_name = "HOST")]
    host: Option<String>,

    #[command(flatten)]
    given: Given,
}

/// Runs an executor until SIGTERM or SIGINT.
pub fn run(args: Args) -> ExitCode {
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::failed(&error),
    }
}

#[cfg(not(feature = "cluster"))]
fn work(args: Args) -> Result<()> {
    let Args { config: _, tasks: _, host: _, given } = args;
    listen_in_private(
        given.listen.as_deref().unwrap_or("127.0.0.1:0"),
        given.allow_plain_http == Some(true),
    )?;
    Err(model::Error::invalid(crate::settings::NO_CLUSTER))
}

#[cfg(feature = "cluster")]
fn work(args: Args) -> Result<()> {
    use std::sync::Arc;

    use crate::serve;

    let (settings, scheduler, listen) = settle(args.given, args.config.as_deref())?;
    crate::logs::start(&settings.logs);
    let tasks_concurrent = args.tasks.map_or_else(processors, usize::from);
    let executor = cluster::ExecutorSettings {
        scheduler,
        listen,
        host: args.host,
        tasks_concurrent,
        work_dir: settings.data_dir.join("results"),
        clock: Arc::new(model::clock::SystemClock),
    };
    serve::runtime()?.block_on(async {
        let stop = serve::told_to_stop()?;
        let server = serve::start(&settings).await?;
        let parts = server.parts_for_tasks(tasks_concurrent);
        let work: cluster::Work = Arc::new(move |task| {
            let parts = parts.clone();
            Box::pin(async move { jobs::task::run(&parts, task).await })
        });
        let expelled = server.expelled().clone();
        let worked = cluster::executor::serve(executor, work, either(stop, expelled.clone())).await;
        server.stop().await;
        match expelled.is_cancelled() {
            true => Err(model::Error::unavailable("other nodes have taken the catalog over")),
            false => worked,
        }
    })
}

/// The settings of a server that takes no jobs and is found on this machine alone, the scheduler, and where results are
/// fetched.
#[cfg(feature = "cluster")]
fn settle(
    mut given: Given,
    file: Option<&std::path::Path>,
) -> Result<(crate::settings::Settings, String, std::net::SocketAddr)> {
    use crate::settings::Engine;

    // The file may be that of a server on this machine, whose address is not this one's.
    let listen = given.listen.replace("127.0.0.1:0".into()).unwrap_or_else(|| "127.0.0.1:0".into());
    given.engine = Some("ballista".into());
    let admin_listen = given.admin_listen.clone();
    let mut settings = given.settle(file)?;
    let is_allowed = settings.allows_plain_http;
    settings.admin_listen =
        admin_listen.map(|text| crate::settings::admin_listen(&text, is_allowed)).transpose()?;
    let listen = listen_in_private(&listen, settings.allows_plain_http)?;
    settings.check_shared()?;
    let Engine::Ballista { scheduler } = std::mem::replace(&mut settings.engine, Engine::Local) else {
        return Err(model::Error::internal("an executor has a scheduler"));
    };
    if listen.ip().is_loopback() && !is_here(&scheduler) {
        return Err(model::Error::invalid(format!(
            "the scheduler at {scheduler} can't fetch results from {listen}: give --listen with this machine's address"
        )));
    }
    (settings.takes_jobs, settings.cuts_jobs, settings.tls) = (false, false, None);
    Ok((settings, scheduler, listen))
}

// A name that can't be resolved now may be resolved later.
#[cfg(feature = "cluster")]
fn is_here(scheduler: &str) -> bool {
    use std::net::ToSocketAddrs;
    scheduler.to_socket_addrs().map_or(true, |mut all| all.all(|address| address.ip().is_loopback()))
}

/// Cancelled with the first of two.
#[cfg(feature = "cluster")]
fn either(
    one: tokio_util::sync::CancellationToken,
    other: tokio_util::sync::CancellationToken,
) -> tokio_util::sync::CancellationToken {
    let both = one.child_token();
    let first = both.clone();
    tokio::spawn(async move {
        other.cancelled().await;
        first.cancel();
    });
    both
}

#[cfg(feature = "cluster")]
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
