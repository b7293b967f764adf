//! An executor: asks the scheduler for tasks, does them, and keeps their results until the client has fetched them.
//!
//! It asks by itself rather than by Ballista's own loop, which forgets the outcome of a task when the call that tells it
//! fails, and goes on with tasks whose job was cancelled: both would leave a job waiting for ever, or work for nobody.

mod session;
mod task;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::utils::{GrpcServerConfig, create_grpc_server};
use ballista_executor::flight_service::BallistaFlightService;
use futures_util::future::BoxFuture;
use futures_util::stream;
use model::error::{Context, Result};
use model::{Clock, Error};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::session::{End, Session};
use crate::{MESSAGE_SIZE_MAX, Work, about};

/// How long an executor waits before it turns to a scheduler again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct ExecutorSettings {
    /// `host:port`.
    pub scheduler: String,
    /// Where results are fetched from.
    pub listen: SocketAddr,
    /// What the scheduler calls this machine; `None`: the address that its calls come from.
    pub host: Option<String>,
    pub tasks_concurrent: usize,
    /// A folder of its own, emptied.
    pub work_dir: PathBuf,
    pub clock: Arc<dyn Clock>,
}

/// Does tasks until `stop`; then takes no more, ends those it has, and waits until their results were fetched: for 25
/// seconds at most, after which the scheduler has the rest done elsewhere.
///
/// A scheduler that does not answer, or is of another build, is told of in the log and asked again.
///
/// # Errors
/// `Unavailable` when the address can't be bound or the folder not be made.
pub fn serve(
    settings: ExecutorSettings,
    work: Work,
    stop: CancellationToken,
) -> BoxFuture<'static, Result<()>> {
    // Boxed: async code is compiled where it is polled, and belongs to this crate.
    Box::pin(work_until(settings, work, stop))
}

async fn work_until(settings: ExecutorSettings, work: Work, stop: CancellationToken) -> Result<()> {
    let work_dir = settings.work_dir.clone();
    empty(&work_dir).await?;
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.unavailable(|| format!("listen on {}", settings.listen))?;
    let port = listener.local_addr().unavailable(|| "read the port bound".into())?.port();
    let closed = CancellationToken::new();
    let results = tokio::spawn(serve_results(listener, work_dir.clone(), closed.clone()));
    let ended = ask_for_tasks(&settings, port, &work, &stop).await;
    closed.cancel();
    results.await.unavailable(|| "end the serving of results".into())?;
    empty(&work_dir).await?;
    ended
}

async fn ask_for_tasks(
    settings: &ExecutorSettings,
    port: u16,
    work: &Work,
    stop: &CancellationToken,
) -> Result<()> {
    let mut told = String::new();
    while !stop.is_cancelled() {
        match one_session(settings, port, work, stop).await {
            Ok(End::Stopped) => return Ok(()),
            Ok(End::Lost(why)) => warn!("left the scheduler, and begin anew: {why}"),
            // A scheduler that is away for long is told of once.
            Err(error) if told != error.chain() => {
                told = error.chain();
                warn!("{told}");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    Ok(())
}

async fn one_session(
    settings: &ExecutorSettings,
    port: u16,
    work: &Work,
    stop: &CancellationToken,
) -> Result<End> {
    let about = about::ask(&settings.scheduler).await?;
    empty(&settings.work_dir).await?;
    let session = Session::begin(settings, port, work.clone(), about.executor_timeout).await?;
    info!(executor = session.id(), scheduler = settings.scheduler, "executor asks for tasks");
    Ok(session.run(stop).await)
}

async fn serve_results(listener: TcpListener, work_dir: PathBuf, closed: CancellationToken) {
    let service = FlightServiceServer::new(BallistaFlightService::new(work_dir.to_string_lossy().into()))
        .max_decoding_message_size(MESSAGE_SIZE_MAX)
        .max_encoding_message_size(MESSAGE_SIZE_MAX);
    let accepted = stream::unfold(listener, |listener| async {
        let connection = listener.accept().await.map(|(connection, _)| connection);
        Some((connection, listener))
    });
    let serving =
        create_grpc_server(&GrpcServerConfig::default()).add_service(service).serve_with_incoming(accepted);
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                warn!("results can't be fetched any more: {error}");
            }
        }
        () = closed.cancelled() => {}
    }
}

async fn empty(work_dir: &Path) -> Result<()> {
    let doing = || format!("empty the folder {}", work_dir.display());
    match tokio::fs::remove_dir_all(work_dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::unavailable(doing()).caused_by(error));
        }
        _ => {}
    }
    tokio::fs::create_dir_all(work_dir).await.unavailable(doing)
}
