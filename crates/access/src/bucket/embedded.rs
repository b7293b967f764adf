//! The way to the S3 of this very process: requests and answers are handed over, with no connection between them.
//!
//! Only the transport is left out: a request is signed by the client and verified, permitted and answered by the server
//! like any other.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::config::RuntimeComponents;
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};

use crate::Peer;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A request on its way to the server; it carries its `Peer`.
pub type Arriving = Request<BoxBody<Bytes, io::Error>>;

/// The server's answer; its body is read piece by piece.
pub type Leaving = Response<UnsyncBoxBody<Bytes, Failure>>;

/// The answer in the making, `None` from a server that is gone; whoever drops it hangs up.
pub type Answering = Pin<Box<dyn Future<Output = Option<Leaving>> + Send>>;

/// Answers a request as the server does that listens at the S3 endpoint.
pub type EmbeddedS3 = Box<dyn Fn(Arriving) -> Answering + Send + Sync>;

/// An HTTP client of the SDK that talks to the server in this process.
#[derive(Clone)]
pub(crate) struct EmbeddedClient {
    s3: Arc<EmbeddedS3>,
    /// Whether requests count as such over TLS, as those of clients do.
    is_secure: bool,
}

impl EmbeddedClient {
    pub fn new(s3: EmbeddedS3, is_secure: bool) -> EmbeddedClient {
        EmbeddedClient { s3: Arc::new(s3), is_secure }
    }
}

impl fmt::Debug for EmbeddedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedClient")
    }
}

impl HttpClient for EmbeddedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let answer_timeout = settings.read_timeout().unwrap_or(Duration::MAX);
        SharedHttpConnector::new(Connector { client: self.clone(), answer_timeout })
    }
}

#[derive(Debug)]
struct Connector {
    client: EmbeddedClient,
    /// How long an answer may take to begin.
    answer_timeout: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.answer_timeout);
        HttpConnectorFuture::new(async move {
            let request = arriving(request, client.is_secure).map_err(ConnectorError::user)?;
            let is_head = request.method() == Method::HEAD;
            let answer = tokio::time::timeout(limit, (client.s3)(request)).await;
            let answer = answer.map_err(|cause| ConnectorError::timeout(cause.into()))?;
            let answer = answer.ok_or_else(|| ConnectorError::io("the server is gone".into()))?;
            let answer = answer.map(|body| {
                if is_head { SdkBody::empty() } else { SdkBody::from_body_1_x(Shared::new(body)) }
            });
            HttpResponse::try_from(answer).map_err(|cause| ConnectorError::other(cause.into(), None))
        })
    }
}

/// The request as a connection would bring it: addressed to a path, with a Host header, from the address that it goes to.
fn arriving(request: HttpRequest, is_secure: bool) -> Result<Arriving, Failure> {
    let (mut parts, body) = request.try_into_http1x()?.into_parts();
    let host = parts.uri.authority().ok_or("a request names no host")?.as_str().to_owned();
    if let Some(address) = address(&parts.uri) {
        parts.extensions.insert(Peer { address, is_secure });
    }
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    parts.headers.entry(HOST).or_insert(HeaderValue::from_str(&host)?);
    Ok(Request::from_parts(parts, body.map_err(io::Error::other).boxed()))
}

fn address(uri: &Uri) -> Option<IpAddr> {
    uri.host()?.trim_matches(['[', ']']).parse().ok()
}

/// A body that threads may share, as the SDK wants it, because nobody reads it but through `&mut`.
struct Shared(Mutex<UnsyncBoxBody<Bytes, Failure>>);

impl Shared {
    fn new(body: UnsyncBoxBody<Bytes, Failure>) -> Shared {
        Shared(Mutex::new(body))
    }
}

impl Body for Shared {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Pin::new(self.0.get_mut().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    /// Two pieces, then a failure.
    struct Breaking(u32);

    impl Body for Breaking {
        type Data = Bytes;
        type Error = Failure;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
            self.0 += 1;
            Poll::Ready(Some(match self.0 {
                1 | 2 => Ok(Frame::data(Bytes::from(format!("piece {}", self.0)))),
                _ => Err("broken".into()),
            }))
        }
    }

    fn connector(answer_timeout: Duration, s3: EmbeddedS3) -> Connector {
        Connector { client: EmbeddedClient::new(s3, false), answer_timeout }
    }

    fn whole(text: String) -> Option<Leaving> {
        Some(Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()))
    }

    fn request(method: &str, uri: &str, body: &'static str) -> HttpRequest {
        let request = Request::builder().method(method).uri(uri).body(SdkBody::from(body)).unwrap();
        HttpRequest::try_from(request).unwrap()
    }

    #[tokio::test]
    async fn a_request_arrives_as_a_connection_would_bring_it() {
        let s3: EmbeddedS3 = Box::new(|request| {
            Box::pin(async move {
                let (parts, body) = request.into_parts();
                let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
                let (host, peer) = (&parts.headers["host"], parts.extensions.get::<Peer>().unwrap().address);
                whole(format!("{} {} {host:?} {peer} {body}", parts.method, parts.uri))
            })
        });
        let request = request("PUT", "http://127.0.0.1:8080/out/k?partNumber=1", "hello");
        let answer = connector(Duration::MAX, s3).call(request).await.unwrap();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "PUT /out/k?partNumber=1 \"127.0.0.1:8080\" 127.0.0.1 hello");
    }

    #[tokio::test]
    async fn an_answer_is_read_piece_by_piece_until_it_breaks_off() {
        let s3: EmbeddedS3 =
            Box::new(|_| Box::pin(async { Some(Response::new(Breaking(0).boxed_unsync())) }));
        let answer = connector(Duration::MAX, s3).call(request("GET", "http://localhost/b", "")).await;
        let mut body = answer.unwrap().into_body();
        for text in ["piece 1", "piece 2"] {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), text);
        }
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn an_answer_to_head_has_no_body() {
        let s3: EmbeddedS3 = Box::new(|_| Box::pin(async { whole("hello".into()) }));
        let answer = connector(Duration::MAX, s3).call(request("HEAD", "http://localhost/b/k", "")).await;
        assert_eq!(answer.unwrap().into_body().bytes(), Some(&b""[..]));
    }

    #[tokio::test]
    async fn silence_and_a_server_that_is_gone_are_faults_that_pass() {
        let silent: EmbeddedS3 = Box::new(|_| Box::pin(std::future::pending()));
        let limit = Duration::from_millis(20);
        let error =
            connector(limit, silent).call(request("GET", "http://localhost/b", "")).await.unwrap_err();
        assert!(error.is_timeout());
        let gone: EmbeddedS3 = Box::new(|_| Box::pin(async { None }));
        let error = connector(limit, gone).call(request("GET", "http://localhost/b", "")).await.unwrap_err();
        assert!(error.is_io());
    }
}
