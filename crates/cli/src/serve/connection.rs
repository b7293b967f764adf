//! One connection, from its first byte to its end: whoever keeps the server waiting is given up, whoever has sent a
//! request gets an answer.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::answer::{AnswerBody, Keeping};
use super::front::Front;
use super::linger::Lingering;
use super::measured::{self, Refusal};
use super::patience::Patient;
use super::slots::Pass;
use super::tls::{HANDSHAKE, STRICT_TRANSPORT, Tls};

/// How much of a request's head or body is read at once; how large a head may be is said in `dispatch`.
const BUFFER_BYTES_MAX: usize = 128 << 10;
/// How long whoever was refused may go on sending before the connection is gone.
const LINGER: Duration = Duration::from_secs(2);
/// For how long a connection has to be quiet after the stop until it is closed.
const LAST_CALL: Duration = Duration::from_millis(500);

/// A connection that was accepted.
pub struct Connection {
    pub pass: Pass,
    pub front: Arc<Front>,
    /// The other end; a proxy, where there is one.
    pub sender: Option<IpAddr>,
}

impl Connection {
    /// Serves until the client, a timer, the stop or a lack of places ends the connection.
    pub async fn serve(self, stream: TcpStream) {
        let _open = measured::OPEN.hold(1);
        let Some(first) = self.first_byte(&stream).await else { return };
        if let Err(cause) = stream.set_nodelay(true) {
            debug!("a connection stays slow: {cause}");
        }
        let stream = Patient::new(stream, self.front.client_timeout, self.pass.traffic());
        match &self.front.tls {
            None => self.talk(stream).await,
            Some(_) if first != HANDSHAKE => self.refuse_plain(stream).await,
            Some(tls) => {
                if let Some(stream) = self.shake_hands(tls, stream).await {
                    self.talk(stream).await;
                }
            }
        }
    }

    async fn shake_hands<S>(&self, tls: &Tls, stream: S) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::select! {
            shaken = timeout(self.front.client_timeout, tls.accept(stream)) => {
                let shaken = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                shaken.inspect_err(|cause| {
                    measured::refused(Refusal::Handshake);
                    debug!("a client shook no hands: {cause}");
                }).ok()
            }
            () = self.pass.sent_away() => None,
            () = self.last_call() => None,
        }
    }

    // Whoever took the wrong scheme is told so, whatever it asks for.
    async fn refuse_plain(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        measured::refused(Refusal::PlainHttp);
        let text = "This address speaks TLS: use https://\n";
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
        if let Err(cause) = stream.write_all(answer.as_bytes()).await {
            debug!("a client that speaks no TLS was not told so: {cause}");
        }
        // To close with unread bytes would be a reset, which may overtake the answer.
        let rest = async {
            let _ = stream.shutdown().await;
            while stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {}
        };
        let _ = timeout(LAST_CALL, rest).await;
    }

    // A client may think twice as long before it says anything as it may later.
    async fn first_byte(&self, stream: &TcpStream) -> Option<u8> {
        let mut first = [0];
        tokio::select! {
            peeked = timeout(self.front.client_timeout * 2, stream.peek(&mut first)) => match peeked {
                Ok(Ok(1)) => Some(first[0]),
                _ => None,
            },
            () = self.pass.sent_away() => None,
            () = self.last_call() => None,
        }
    }

    async fn last_call(&self) {
        self.front.stop.cancelled().await;
        sleep(LAST_CALL).await;
    }

    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let is_last = Arc::new(AtomicBool::new(false));
        let stream = Lingering::new(stream, is_last.clone(), LINGER);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.front.client_timeout)
            .max_buf_size(BUFFER_BYTES_MAX)
            // A client that has nothing more to say may still listen: what it has asked for is answered.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service_fn(|request| self.answer(request, &is_last)));
        let mut connection = pin!(connection);
        tokio::select! {
            ended = &mut connection => return debug_end(ended),
            () = self.pass.sent_away() => {}
            () = self.front.stop.cancelled() => {}
        }
        while !self.may_go() {
            let heard_bytes = self.pass.traffic().read_bytes();
            tokio::select! {
                ended = &mut connection => return debug_end(ended),
                () = sleep(LAST_CALL) => if self.is_quiet_since(heard_bytes) { break },
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_CALL, connection).await;
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        is_last: &AtomicBool,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let busy = self.pass.busy();
        if let Some(sender) = self.sender {
            self.front.proxies.settle(&mut request, sender, self.front.tls.is_some());
        }
        let has_body = !request.body().is_end_stream();
        let mut response = self.front.dispatch.answer(request).await;
        if self.front.stop.is_cancelled() || self.pass.is_sent_away() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // What is refused before its body was read ends the connection, too: a reset would take the answer away.
        let is_refused = has_body && response.status().as_u16() >= 400;
        is_last.store(is_refused || response.headers().contains_key(CONNECTION), Ordering::Relaxed);
        if self.front.tls.is_some() {
            let strict = HeaderValue::from_static(STRICT_TRANSPORT);
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, strict);
        }
        Ok(response.map(|body| Keeping::new(body, busy).boxed_unsync()))
    }

    // Sent away for others who wait, which a connection without a request does at once.
    fn may_go(&self) -> bool {
        self.pass.is_sent_away() && !self.pass.is_busy()
    }

    // After the stop, a request may be on its way on a connection that has none.
    fn is_quiet_since(&self, heard_bytes: u64) -> bool {
        !self.pass.is_busy() && self.pass.traffic().read_bytes() == heard_bytes
    }
}

// Clients leave when they like: of interest only to whoever looks for a fault in the network.
fn debug_end(ended: hyper::Result<()>) {
    if let Err(cause) = ended {
        debug!("a connection ended early: {cause}");
    }
}
