//! A request of a visitor, signed with their keys.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};

use super::Client;

/// Stands in the Host header of requests that never leave the process.
const HOST_NAME: &str = "127.0.0.1";

/// A request before it is signed.
pub(super) struct Plain<'a> {
    pub(super) service: &'a str,
    pub(super) method: Method,
    /// Path and query, encoded.
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Content,
}

pub(super) enum Content {
    Whole(Bytes),
    /// A body whose length is known, and which is signed by no hash.
    Streamed(BoxBody<Bytes, io::Error>, u64),
}

impl Client<'_> {
    pub(super) fn signed(&self, plain: Plain<'_>) -> Option<Request<BoxBody<Bytes, io::Error>>> {
        let Plain { service, method, path, headers, body } = plain;
        let token = self.keys.session_token.clone();
        let (id, secret) = (&self.keys.access_key_id, &self.keys.secret_access_key);
        let identity = Credentials::new(id, secret, token, None, "console").into();
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now_ms()).ok()?);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.realm.region)
            .name(service)
            .time(now)
            .settings(settings(service))
            .build()
            .ok()?
            .into();
        let uri = format!("http://{HOST_NAME}{path}");
        let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = match &body {
            Content::Whole(bytes) => SignableBody::Bytes(bytes),
            Content::Streamed(..) => SignableBody::UnsignedPayload,
        };
        let signable = SignableRequest::new(method.as_str(), &uri, named, signable).ok()?;
        let (instructions, _) = sign(signable, &parameters).ok()?.into_parts();
        let mut request = Request::builder().method(method).uri(path).header(HOST, HOST_NAME);
        for (name, value) in headers {
            request = request.header(name, HeaderValue::from_str(&value).ok()?);
        }
        if let Some(peer) = self.peer {
            request = request.extension(peer);
        }
        let (body, size_bytes) = match body {
            Content::Whole(bytes) => {
                let size_bytes = bytes.len() as u64;
                (Full::new(bytes).map_err(|never| match never {}).boxed(), size_bytes)
            }
            Content::Streamed(body, size_bytes) => (body, size_bytes),
        };
        let mut request = request.header(CONTENT_LENGTH, size_bytes).body(body).ok()?;
        instructions.apply_to_request_http1x(&mut request);
        Some(request)
    }
}

fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}
