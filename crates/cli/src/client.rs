//! A small signing client for a server's doors: what the commands call is what any AWS SDK would call.

pub mod analysis;
pub mod connector;
mod dataset;
mod dataset_group;
pub mod job;
mod objects;
pub mod place;
mod refusal;
pub mod s3;
mod schedule;
pub mod schema;
pub mod server;
mod silence;

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use model::error::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use connector::Connector;

pub struct Client {
    http: Http<Connector, Full<Bytes>>,
    url: String,
    /// Who named the address; empty where it was nobody's choice.
    told_by: String,
    region: String,
    credentials: Credentials,
}

/// One request before it is signed.
struct Plain<'a> {
    service: &'a str,
    method: Method,
    path: String,
    headers: Vec<(&'a str, String)>,
    body: Bytes,
}

impl Client {
    pub fn new(url: String, region: String, access_key_id: &str, secret_access_key: &str) -> Client {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "lade");
        Client::with(Connector::default(), url, region, credentials)
    }

    pub fn with(connector: Connector, url: String, region: String, credentials: Credentials) -> Client {
        let http = Http::builder(TokioExecutor::new()).build(connector);
        Client { http, url, told_by: String::new(), region, credentials }
    }

    /// The same, and who named the address: told when nobody answers there.
    #[must_use]
    pub fn told_by(self, told_by: &str) -> Client {
        Client { told_by: told_by.to_owned(), ..self }
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Scheme, host and port of the server.
    pub fn address(&self) -> &str {
        &self.url
    }

    /// Calls an operation of the control plane.
    pub async fn personalize(&self, operation: &str, input: Value) -> Result<Value> {
        self.json("personalize", &format!("AmazonPersonalize.{operation}"), input).await
    }

    /// Calls an operation of KMS.
    pub async fn kms(&self, operation: &str, input: Value) -> Result<Value> {
        self.json("kms", &format!("TrentService.{operation}"), input).await
    }

    async fn json(&self, service: &str, target: &str, input: Value) -> Result<Value> {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", target.to_owned()),
        ];
        let body = input.to_string().into();
        let answer =
            self.send(Plain { service, method: Method::POST, path: "/".into(), headers, body }).await?;
        if answer.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(&answer).unavailable(|| target.to_owned())
        }
    }

    /// Puts records: `path` is `/events`, `/items` or `/users`.
    pub async fn put_records(&self, path: &str, input: Value) -> Result<()> {
        self.put_body(path, input.to_string().into()).await
    }

    /// As `put_records`, with the JSON as it is sent; `path` may also be `/actions` or `/action-interactions`.
    pub async fn put_body(&self, path: &str, body: Bytes) -> Result<()> {
        let headers = vec![("content-type", "application/json".to_owned())];
        self.send(Plain { service: "personalize", method: Method::POST, path: path.into(), headers, body })
            .await
            .map(drop)
    }

    /// Calls an action of IAM with its parameters; the answer's XML.
    pub async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let mut form = format!("Action={action}&Version=2010-05-08");
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        self.send(Plain {
            service: "iam",
            method: Method::POST,
            path: "/".into(),
            headers,
            body: form.into(),
        })
        .await
        .map(|answer| String::from_utf8_lossy(&answer).into_owned())
    }

    /// Puts a bucket (`/bucket`), an object (`/bucket/key`) or a bucket's policy (`/bucket?policy`).
    pub async fn s3_put(&self, path: &str, body: impl Into<Bytes>) -> Result<()> {
        let (method, path, body) = (Method::PUT, path.to_owned(), body.into());
        self.send(Plain { service: "s3", method, path, headers: vec![], body }).await.map(drop)
    }

    /// Reads an object.
    pub async fn s3_get(&self, path: &str) -> Result<Bytes> {
        let (method, path, body) = (Method::GET, path.to_owned(), Bytes::new());
        self.send(Plain { service: "s3", method, path, headers: vec![], body }).await
    }

    /// Reads the bytes of an object from `from` up to but without `to`.
    pub async fn s3_get_range(&self, path: &str, from: u64, to: u64) -> Result<Bytes> {
        let headers = vec![("range", format!("bytes={from}-{}", to.saturating_sub(1)))];
        let (method, path, body) = (Method::GET, path.to_owned(), Bytes::new());
        self.send(Plain { service: "s3", method, path, headers, body }).await
    }

    /// Deletes an object or an empty bucket.
    pub async fn s3_delete(&self, path: &str) -> Result<()> {
        let (method, path, body) = (Method::DELETE, path.to_owned(), Bytes::new());
        self.send(Plain { service: "s3", method, path, headers: vec![], body }).await.map(drop)
    }

    async fn send(&self, plain: Plain<'_>) -> Result<Bytes> {
        let asked = plain.path.clone();
        let answer = self.open(plain).await?;
        let body = answer.into_body().collect().await.unavailable(|| format!("read {asked}"))?;
        Ok(body.to_bytes())
    }

    /// Sends a request; what it answers is read by the caller, piece by piece.
    ///
    /// # Errors
    /// `Unavailable` when the server does not answer; its own words when it refuses.
    async fn open(&self, plain: Plain<'_>) -> Result<Response<Incoming>> {
        let asked = format!("{} {} {}", plain.service, plain.method, plain.path);
        let sending = || format!("call {asked} at {}", self.url);
        let request = self.signed(plain)?;
        let answer = match self.http.request(request).await {
            Ok(answer) => answer,
            Err(cause) => return Err(silence::read(&self.url, &self.told_by, cause, sending())),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.into_body().collect().await.unavailable(sending)?.to_bytes();
        Err(refusal::read(&asked, status, &body))
    }

    fn signed(&self, plain: Plain<'_>) -> Result<Request<Full<Bytes>>> {
        let signing = || "sign a request".to_owned();
        let uri = format!("{}{}", self.url, plain.path);
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(plain.service)
            .time(SystemTime::now())
            .settings(settings(plain.service))
            .build()
            .corrupt(signing)?
            .into();
        let headers = plain.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(&plain.body);
        let signable = SignableRequest::new(plain.method.as_str(), &uri, headers, body).corrupt(signing)?;
        let (instructions, _) = sign(signable, &parameters).corrupt(signing)?.into_parts();
        let mut request = Request::builder().method(&plain.method).uri(&uri);
        for (name, value) in &plain.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Full::new(plain.body.clone())).corrupt(signing)?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
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
