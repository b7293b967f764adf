//! The address for operators: `/metrics` and health, without a signature, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::metrics::Metrics;
use super::unsigned;

/// So many connections are served at once; probes and Prometheus need few.
const CONNECTIONS_MAX: usize = 32;
/// For so long a client may take to ask, or may stay without asking.
const HEAD_MAX: Duration = Duration::from_secs(20);
/// No connection is kept for longer; whoever watches makes another one.
const CONNECTION_MAX: Duration = Duration::from_secs(300);

/// Takes connections until it is dropped.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    talk(stream, metrics).await;
                    drop(place);
                });
            }
            Err(cause) => {
                warn!("can't take a connection of an operator: {cause}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, metrics: Arc<Metrics>) {
    let service = service_fn(|request| {
        let metrics = metrics.clone();
        async move { Ok::<_, Infallible>(answer(request, &metrics).await.map(Full::new)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(cause)) = timeout(CONNECTION_MAX, connection).await {
        debug!("a connection of an operator ended early: {cause}");
    }
}

async fn answer(request: Request<Incoming>, metrics: &Metrics) -> Response<Bytes> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        unsigned::METRICS | unsigned::LIVE | unsigned::READY if !is_read => {
            let mut refused = status(StatusCode::METHOD_NOT_ALLOWED, "This is only for reading.\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refused
        }
        unsigned::METRICS => unsigned::metrics(metrics.text().await),
        unsigned::LIVE => unsigned::text("ok\n"),
        unsigned::READY => unsigned::ready(metrics.ready.reason().await),
        _ => status(
            StatusCode::NOT_FOUND,
            "There is /metrics, /health/live and /health/ready here, and no more.\n",
        ),
    }
}

fn status(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = unsigned::text(text);
    *response.status_mut() = status;
    response
}
