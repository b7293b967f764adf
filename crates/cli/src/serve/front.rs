//! The front: takes connections, gives slow ones up, and closes in good order.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use access::Peer;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::answer::Keeping;
use super::dispatch::Dispatch;
use super::patience::Patient;
use super::slots::{Pass, Slots};

const CONNECTIONS_MAX: usize = 1024;
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// Also how long a connection may idle between two requests.
const HEADERS: Duration = Duration::from_secs(30);
/// Also how much of a body is read at once; how large a request's head may be is said in `dispatch`.
const BUFFER_BYTES_MAX: usize = 128 << 10;
/// How long a connection without a request may still bring one after the stop.
const LAST_CALL: Duration = Duration::from_millis(500);

/// Takes connections until `stop`, then finishes the requests that were accepted, for at most `finish`.
pub async fn accept(
    listener: TcpListener,
    dispatch: Arc<Dispatch>,
    stop: CancellationToken,
    finish: Duration,
) {
    let connections = TaskTracker::new();
    let slots = Slots::new(connections_max());
    let abandon = CancellationToken::new();
    while let Some((stream, pass)) = next(&listener, &slots, &stop).await {
        let served = serve(stream, pass, dispatch.clone(), stop.clone());
        let abandon = abandon.clone();
        connections.spawn(async move { abandon.run_until_cancelled(served).await });
    }
    drop(listener);
    connections.close();
    if timeout(finish, connections.wait()).await.is_err() {
        warn!(connections = connections.len(), "requests were not finished in time and are given up");
        abandon.cancel();
        connections.wait().await;
    }
}

// Half of what the system lets this process open is for files.
fn connections_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|columns| columns.split_whitespace().next()?.parse::<usize>().ok());
    files.map_or(CONNECTIONS_MAX, |files| CONNECTIONS_MAX.min(files / 2).max(16))
}

async fn next(listener: &TcpListener, slots: &Slots, stop: &CancellationToken) -> Option<(TcpStream, Pass)> {
    let arrival = async {
        let pass = slots.enter().await;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return (stream, pass),
                // Out of file descriptors, or the client left at once: the next try may fare better.
                Err(cause) => {
                    warn!("can't take a connection: {cause}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    stop.run_until_cancelled(arrival).await
}

async fn serve(stream: TcpStream, pass: Pass, dispatch: Arc<Dispatch>, stop: CancellationToken) {
    let mut first = [0];
    tokio::select! {
        peeked = timeout(FIRST_BYTE, stream.peek(&mut first)) => if !matches!(peeked, Ok(Ok(1))) { return },
        () = pass.sent_away() => return,
        () = async { stop.cancelled().await; sleep(LAST_CALL).await } => return,
    }
    if let Err(cause) = stream.set_nodelay(true) {
        debug!("a connection stays slow: {cause}");
    }
    let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
    let answer = |mut request: http::Request<hyper::body::Incoming>| {
        let (busy, dispatch) = (pass.busy(), dispatch.clone());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        async move {
            let response = dispatch.answer(request).await;
            Ok::<_, Infallible>(response.map(|body| Keeping::new(body, busy).boxed_unsync()))
        }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), service_fn(answer));
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return debug_end(ended),
        () = pass.sent_away() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    loop {
        tokio::select! {
            ended = &mut connection => return debug_end(ended),
            () = sleep(LAST_CALL) => if !pass.is_busy() { return },
        }
    }
}

// Clients leave when they like: of interest only to whoever looks for a fault in the network.
fn debug_end(ended: hyper::Result<()>) {
    if let Err(cause) = ended {
        debug!("a connection ended early: {cause}");
    }
}

#[cfg(test)]
mod tests;
