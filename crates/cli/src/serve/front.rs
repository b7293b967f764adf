//! The front: takes connections, as many as there are places, and closes in good order.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connection::Connection;
use super::dispatch::Dispatch;
use super::measured::{self, Refusal};
use super::proxies::Proxies;
use super::slots::{Pass, Slots};
use super::tls::Tls;

const CONNECTIONS_MAX: usize = 1024;
/// How long the next client may take that had connected before the stop.
const BACKLOG_GAP: Duration = Duration::from_millis(20);
const BACKLOG_MAX: Duration = Duration::from_millis(500);

/// What all connections have in common.
pub struct Front {
    pub dispatch: Arc<Dispatch>,
    /// `None`: as many as files allow.
    pub connections_max: Option<usize>,
    /// For how long a client may keep the server waiting.
    pub client_timeout: Duration,
    /// `None`: plain HTTP.
    pub tls: Option<Arc<Tls>>,
    pub proxies: Proxies,
    pub stop: CancellationToken,
}

impl Front {
    /// Takes connections until `stop`, then finishes the requests that were accepted, for at most `finish`.
    pub async fn accept(self, listener: TcpListener, finish: Duration) {
        let front = Arc::new(self);
        let connections = TaskTracker::new();
        let most = connections_max(front.connections_max);
        measured::MOST.set(i64::try_from(most).unwrap_or(i64::MAX));
        let slots = Slots::new(most);
        let abandon = CancellationToken::new();
        let begin = |(stream, pass): (TcpStream, Pass)| {
            let sender = stream.peer_addr().ok().map(|address| address.ip());
            let connection = Connection { pass, front: front.clone(), sender };
            let abandon = abandon.clone();
            connections.spawn(async move { abandon.run_until_cancelled(connection.serve(stream)).await });
        };
        while let Some(arrived) = front.stop.run_until_cancelled(next(&listener, &slots)).await {
            begin(arrived);
        }
        // The system has let in clients that nobody has looked at yet: to close now would reset their requests.
        let end = Instant::now() + BACKLOG_MAX;
        while let Ok(Ok(arrived)) = timeout_at(end, timeout(BACKLOG_GAP, next(&listener, &slots))).await {
            begin(arrived);
        }
        drop(listener);
        connections.close();
        if timeout(finish, connections.wait()).await.is_err() {
            warn!(connections = connections.len(), "requests were not finished in time and are given up");
            abandon.cancel();
            connections.wait().await;
        }
    }
}

// Half of what the system lets this process open is for files.
fn connections_max(given: Option<usize>) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|columns| columns.split_whitespace().next()?.parse::<usize>().ok());
    let max = given.unwrap_or(CONNECTIONS_MAX);
    files.map_or(max, |files| max.min(files / 2).max(16))
}

async fn next(listener: &TcpListener, slots: &Slots) -> (TcpStream, Pass) {
    let pass = slots.enter().await;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                measured::ACCEPTED.add(1);
                return (stream, pass);
            }
            // Out of file descriptors, or the client left at once: the next try may fare better.
            Err(cause) => {
                measured::refused(Refusal::Accept);
                warn!("can't take a connection: {cause}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
