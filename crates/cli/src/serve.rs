//! `lade serve`: puts a server together, runs it until it is told to stop, and stops it in good order.

mod admin;
mod answer;
pub mod audit;
mod body;
mod compose;
mod connection;
mod cors;
mod counting;
mod dispatch;
mod doors;
mod engine;
pub mod folder;
mod formats;
mod front;
mod house;
mod linger;
mod log;
pub mod master_key;
mod measured;
mod metrics;
mod node;
mod objects;
mod otlp;
mod patience;
mod proxies;
mod ready;
mod slots;
pub mod tls;
mod unsigned;
pub mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::RootKey;
use catalog::Catalog;
use model::clock::SystemClock;
use model::error::{Context, Result};
use model::{Clock, Error, Realm};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::logs;
use crate::settings::{Given, Settings};
use folder::Folder;
use front::Front;
use house::House;
use proxies::Proxies;
use tls::Tls;
pub use unsigned::{LIVE, READY};

/// How long requests that were accepted may take once the server is told to stop; jobs get the rest of 30 s.
const FINISH: Duration = Duration::from_secs(20);

/// Options of `lade serve`.
#[derive(clap::Args)]
#[command(after_help = "All settings: docs/operating.md.

Examples:
  lade serve
  lade serve --data-dir ./data --listen 127.0.0.1:0
  lade serve --config lade.toml")]
pub struct Args {
    /// File with settings (TOML)
    #[arg(long, env = "LADE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    given: Given,
}

/// Runs a server until SIGTERM or SIGINT.
pub fn run(args: Args) -> ExitCode {
    let served = args.given.settle(args.config.as_deref()).and_then(|settings| {
        logs::start(&settings.logs);
        runtime()?.block_on(serve(&settings))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::failed(&error),
    }
}

/// The threads that a server runs on.
///
/// # Errors
/// `Unavailable` when the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.unavailable(|| "start the server's threads".to_owned())
}

/// A running server; it runs until `stop`.
pub struct Server {
    /// With the real port.
    pub address: SocketAddr,
    pub root: RootKey,
    pub realm: Realm,
    pub folder: Folder,
    house: House,
    stopping: CancellationToken,
    accepting: JoinHandle<()>,
    tls: Option<Arc<Tls>>,
    /// Where operators ask, with the real port, and who answers them, until the very end.
    admin: Option<(SocketAddr, JoinHandle<()>)>,
}

/// Starts a server and gives it back as soon as it answers.
///
/// # Errors
/// When the data folder or the address can't be had, or what is in the folder can't be read.
pub async fn start(settings: &Settings) -> Result<Server> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let folder = Folder::open(&settings.data_dir)?;
    settings.check_shared()?;
    formats::check(settings, folder.path()).await?;
    let catalog = compose::open_catalog(settings, &folder, &clock).await?;
    let started = start_on(settings, folder, catalog.clone(), clock).await;
    // Whoever starts in its place need not wait until it is given up.
    if started.is_err()
        && let Err(cause) = catalog.end_session().await
    {
        tracing::warn!("the session of this node was not ended: {}", cause.chain());
    }
    started
}

async fn start_on(
    settings: &Settings,
    folder: Folder,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
) -> Result<Server> {
    let realm = realm(settings, &folder, &catalog).await?;
    let given = settings.root_key.as_ref().map(|(id, secret)| (id.clone(), secret.0.clone()));
    let roots = folder.root_keys(given, &*clock)?;
    let root = roots.current.clone();
    let tls = settings.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
    let listener = listen(settings.listen, "listen").await?;
    let admin_listener = match settings.admin_listen {
        Some(address) => Some(listen(address, "admin-listen").await?),
        None => None,
    };
    let address = listener.local_addr().unavailable(|| "ask for the address that was taken".to_owned())?;
    // Jobs take a shorter way than this address, on which nothing needs to be encrypted.
    let url = format!("http://{}", reachable(address));
    let house =
        compose::compose(settings, &folder, catalog, (&realm, roots, &url, tls.as_ref()), clock).await?;
    let stopping = CancellationToken::new();
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().watch(stopping.clone()));
    }
    let front = Front {
        dispatch: house.dispatch.clone(),
        connections_max: settings.connections_max,
        client_timeout: settings.client_timeout,
        tls: tls.clone(),
        proxies: Proxies {
            trusted: settings.trusted_proxies.clone(),
            is_public_secure: settings.is_secure(),
        },
        stop: stopping.clone(),
    };
    let accepting = tokio::spawn(front.accept(listener, FINISH));
    let ca_bundle = tls.as_ref().map(|tls| tls.ca_bundle());
    folder.announce(reachable(address), &root.access_key_id, ca_bundle)?;
    let admin = admin_listener.map(|listener| serve_operators(listener, &house)).transpose()?;
    Ok(Server { address, root, realm, folder, house, stopping, accepting, tls, admin })
}

fn serve_operators(listener: TcpListener, house: &House) -> Result<(SocketAddr, JoinHandle<()>)> {
    let address = listener.local_addr().unavailable(|| "ask for the address that was taken".to_owned())?;
    Ok((address, tokio::spawn(admin::serve(listener, house.metrics.clone()))))
}

// What the catalog says holds for a new data folder too.
async fn realm(settings: &Settings, folder: &Folder, catalog: &Catalog) -> Result<Realm> {
    let known = catalog.realm().await?;
    let region = settings.region.as_deref().or(known.as_ref().map(|known| known.region.as_str()));
    let account = settings.account_id.as_deref().or(known.as_ref().map(|known| known.account.as_str()));
    let realm = folder.realm(region, account)?;
    catalog.settle_realm(&realm).await?;
    Ok(realm)
}

impl Server {
    /// What tasks work with, of which so many are done at once.
    #[cfg(feature = "cluster")]
    pub fn parts_for_tasks(&self, tasks_concurrent: usize) -> Arc<jobs::Parts> {
        let parts = &self.house.parts;
        let memory = parts.settings.jobs_memory_bytes / tasks_concurrent.max(1);
        let job_memory_bytes = parts.settings.job_memory_bytes.min(memory);
        let settings = jobs::Settings { threads: 1, job_memory_bytes, ..parts.settings };
        Arc::new(jobs::Parts { settings, ..parts.clone() })
    }

    /// Cancelled when the server can't go on beside others that share its catalog.
    pub fn expelled(&self) -> &CancellationToken {
        &self.house.expelled
    }

    /// Where clients on this machine find the server, `http://HOST:PORT` or `https://HOST:PORT`.
    pub fn url(&self) -> String {
        folder::url(self.tls.is_some(), reachable(self.address))
    }

    /// Reads again what may be replaced while the server runs.
    fn reload(&self) {
        if let Some(audit) = &self.house.audit {
            audit.reopen();
        }
        if let Some(Err(error)) = self.tls.as_ref().map(|tls| tls.reload()) {
            tracing::warn!("the certificate stays as it was: {}", error.chain());
        }
    }

    /// Hands jobs back, stops accepting, finishes what was accepted, and closes the stores; takes at most 30 s.
    pub async fn stop(mut self) {
        self.folder.retract();
        self.house.hand_back().await;
        self.stopping.cancel();
        if let Err(error) = self.accepting.await {
            tracing::error!("the front stopped badly: {error}");
        }
        self.house.close().await;
        if let Some((_, answering)) = self.admin {
            answering.abort();
        }
    }
}

async fn serve(settings: &Settings) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).unavailable(|| "wait for signals".to_owned())?;
    let mut interrupt = signal(SignalKind::interrupt()).unavailable(|| "wait for signals".to_owned())?;
    let mut hang_up = signal(SignalKind::hangup()).unavailable(|| "wait for signals".to_owned())?;
    let server = start(settings).await?;
    greet(&server);
    loop {
        tokio::select! {
            () = server.expelled().cancelled() => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => server.reload(),
        }
    }
    info!("stopping: requests that were accepted are finished first");
    let is_expelled = server.expelled().is_cancelled();
    server.stop().await;
    info!("stopped");
    if is_expelled { Err(Error::unavailable("other nodes have taken the catalog over")) } else { Ok(()) }
}

/// Cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// `Unavailable` when the system gives no signals.
#[cfg(feature = "cluster")]
pub fn told_to_stop() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).unavailable(|| "wait for signals".to_owned())?;
    let mut interrupt = signal(SignalKind::interrupt()).unavailable(|| "wait for signals".to_owned())?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}

// A reader that has gone away is no reason to stop serving.
fn greet(server: &Server) {
    use std::io::Write;
    let folder = &server.folder;
    let age = if folder.is_new { "new" } else { "existing" };
    let mut text =
        format!("Data folder  {} ({age})\nAddress      {}\n", folder.path().display(), server.url());
    if let Some((address, _)) = &server.admin {
        text.push_str(&format!("Metrics      http://{}/metrics\n", reachable(*address)));
    }
    if folder.has_new_key() {
        text.push_str(&format!(
            "Root key     {} {}\n             shown this once, and kept in {}\n",
            server.root.access_key_id,
            server.root.secret_access_key,
            folder.key_file().display()
        ));
    }
    let option = if folder.is_default() {
        String::new()
    } else {
        format!(" --data-dir '{}'", folder.path().display())
    };
    text.push_str(&format!("AWS clients  eval \"$(lade env{option})\"\n"));
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|cause| {
        let text = match cause.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("{address} is taken by another program: choose another address with --{flag}, such as --{flag} 127.0.0.1:0")
            }
            _ => format!("can't listen on {address}: choose another address with --{flag}"),
        };
        Error::unavailable(text).caused_by(cause)
    })
}

// Nobody can connect to "all addresses", so this machine's own stands for them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        address => address.ip(),
    };
    SocketAddr::new(ip, address.port())
}
