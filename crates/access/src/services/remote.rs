//! Small signed calls to a real service, tried again where a fault may pass.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::config::{Credentials, SharedHttpClient};
use aws_sdk_s3::primitives::SdkBody;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use model::error::Context;
use model::{Clock, Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 4;
const BACKOFF: Duration = Duration::from_millis(200);
/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The server's own keys at real services.
#[derive(Clone, Default)]
pub struct ServiceKeys {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl ServiceKeys {
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_access_key, None, None, "service")
    }
}

impl std::fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceKeys({}, hidden)", self.access_key_id)
    }
}

/// Certificates of authorities, in PEM; whoever makes this has read them once.
#[derive(Clone, Debug)]
pub struct Certificates(pub Vec<u8>);

fn tls(certificates: Option<&Certificates>) -> TlsContext {
    let trusted = certificates.map_or_else(TrustStore::default, |Certificates(pem)| {
        TrustStore::empty().with_pem_certificate(pem.clone())
    });
    TlsContext::builder().with_trust_store(trusted).build().expect("building a context checks nothing")
}

fn is_tls(url: &str) -> bool {
    url.starts_with("https://")
}

/// Connections of an SDK's client to an endpoint; no proxy is asked, whatever the environment says.
pub(crate) fn http_client(url: &str, certificates: Option<&Certificates>) -> SharedHttpClient {
    match is_tls(url) {
        true => {
            let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            builder.tls_context(tls(certificates)).build_https()
        }
        false => Builder::new().build_http(),
    }
}

fn connector(url: &str, certificates: Option<&Certificates>) -> Connector {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ANSWER_TIMEOUT)
        .build();
    let builder = Connector::builder().connector_settings(settings);
    match is_tls(url) {
        true => {
            let builder = builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            builder.tls_context(tls(certificates)).build()
        }
        false => builder.build_http(),
    }
}

/// A real service that is asked in single calls.
pub(crate) struct Remote {
    /// As signatures name it.
    service: &'static str,
    url: String,
    connector: Connector,
    clock: Arc<dyn Clock>,
}

/// One call: a POST with a text.
pub(crate) struct Post<'a> {
    pub region: &'a str,
    pub credentials: &'a Credentials,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// What a service answered, be it a refusal.
pub(crate) struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    /// A fault of the service that may pass.
    fn may_pass(&self) -> bool {
        let is_throttled = || String::from_utf8_lossy(&self.body).contains("Throttling");
        matches!(self.status, 408 | 429 | 500..) || (self.status == 400 && is_throttled())
    }
}

impl Remote {
    pub fn new(
        service: &'static str,
        url: &str,
        certificates: Option<&Certificates>,
        clock: &Arc<dyn Clock>,
    ) -> Remote {
        Remote { service, url: url.to_owned(), connector: connector(url, certificates), clock: clock.clone() }
    }

    /// Calls the service, again after faults that may pass.
    ///
    /// # Errors
    /// `Unavailable` when the service does not answer, or has answered with such faults alone.
    pub async fn post(&self, post: &Post<'_>) -> Result<Reply> {
        let mut wait = BACKOFF;
        for _ in 1..ATTEMPTS {
            if let Ok(reply) = self.try_post(post).await
                && !reply.may_pass()
            {
                return Ok(reply);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        let reply = self.try_post(post).await?;
        match reply.may_pass() {
            true => Err(self.silence().caused_by(format!("it answered with the status {}", reply.status))),
            false => Ok(reply),
        }
    }

    async fn try_post(&self, post: &Post<'_>) -> Result<Reply> {
        let answer =
            self.connector.call(self.signed(post)?).await.map_err(|e| self.silence().caused_by(e))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|e| self.silence().caused_by(e))?.to_bytes();
        Ok(Reply { status, body })
    }

    fn silence(&self) -> Error {
        Error::unavailable(format!(
            "The {} of this server's settings did not answer.",
            self.service.to_uppercase()
        ))
    }

    fn signed(&self, post: &Post<'_>) -> Result<HttpRequest> {
        let signing = || "sign a request".to_owned();
        let now = UNIX_EPOCH + Duration::from_millis(self.clock.now_ms().try_into().unwrap_or_default());
        let identity = post.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(post.region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .corrupt(signing)?
            .into();
        let body = SignableBody::Bytes(post.body.as_bytes());
        let signable = SignableRequest::new("POST", &self.url, post.headers.iter().copied(), body);
        let (instructions, _) = sign(signable.corrupt(signing)?, &parameters).corrupt(signing)?.into_parts();
        let mut request = Request::builder().method(Method::POST).uri(&self.url);
        for (name, value) in post.headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(SdkBody::from(post.body)).corrupt(signing)?;
        instructions.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).corrupt(signing)
    }
}
