//! A client of the server's own doors: signs with the visitor's keys and reads what is answered, whatever the protocol.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, UNIX_EPOCH};

use access::Peer;
use access::bucket::{EmbeddedS3, Leaving};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use model::{Clock, Realm};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::session::Keys;
use crate::xml::Element;

/// The most that is read of an answer that is shown on a page.
const ANSWER_BYTES_MAX: usize = 8 << 20;
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');
/// Stands in the Host header of requests that never leave the process.
const HOST_NAME: &str = "127.0.0.1";

/// Why a door did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

pub type Answer<T> = Result<T, Refusal>;

/// An answer on its way.
type Opening = Pin<Box<dyn Future<Output = Answer<Leaving>> + Send>>;

/// The doors, for one visitor.
pub struct Client<'a> {
    pub server: &'a EmbeddedS3,
    pub realm: &'a Realm,
    pub clock: &'a dyn Clock,
    pub keys: &'a Keys,
    pub peer: Option<IpAddr>,
}

/// A request before it is signed.
struct Plain<'a> {
    service: &'a str,
    method: Method,
    /// Path and query, encoded.
    path: String,
    headers: Vec<(HeaderName, String)>,
    body: Content,
}

enum Content {
    Whole(Bytes),
    /// A body whose length is known, and which is signed by no hash.
    Streamed(BoxBody<Bytes, io::Error>, u64),
}

impl Client<'_> {
    /// Calls an operation of Personalize.
    pub async fn personalize(&self, operation: &str, input: Value) -> Answer<Value> {
        self.json11("personalize", format!("AmazonPersonalize.{operation}"), input).await
    }

    /// Calls an operation of KMS.
    pub async fn kms(&self, operation: &str, input: Value) -> Answer<Value> {
        self.json11("kms", format!("TrentService.{operation}"), input).await
    }

    /// Asks for what this server has beyond the service, below `/lade/v1`.
    pub async fn lade(&self, method: Method, path: &str) -> Answer<Value> {
        let path = format!("/lade/v1{path}");
        let body = Content::Whole(Bytes::new());
        self.json(Plain { service: "personalize", method, path, headers: Vec::new(), body }).await
    }

    /// Sends something to what this server has beyond the service, below `/lade/v1`.
    pub async fn lade_post(&self, path: &str, input: Value) -> Answer<Value> {
        let path = format!("/lade/v1{path}");
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        let body = Content::Whole(input.to_string().into());
        self.json(Plain { service: "personalize", method: Method::POST, path, headers, body }).await
    }

    /// Puts records: `path` is `/events`, `/items`, `/users` and their like.
    pub async fn put_records(&self, path: &str, input: Value) -> Answer<Value> {
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        let body = Content::Whole(input.to_string().into());
        self.json(Plain {
            service: "personalize",
            method: Method::POST,
            path: path.to_owned(),
            headers,
            body,
        })
        .await
    }

    /// Calls an action of IAM; gives what stands in its result.
    pub async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Answer<Element> {
        self.query("iam", "2010-05-08", action, parameters).await
    }

    /// Calls an action of STS; gives what stands in its result.
    pub async fn sts(&self, action: &str, parameters: &[(&str, &str)]) -> Answer<Element> {
        self.query("sts", "2011-06-15", action, parameters).await
    }

    /// Asks S3, with a body in memory; the answer's body is XML, or empty.
    pub async fn s3(&self, method: Method, path: String, body: impl Into<Bytes>) -> Answer<Element> {
        let body = Content::Whole(body.into());
        let answer = self.open(Plain { service: "s3", method, path, headers: Vec::new(), body }).await?;
        let text = read(answer).await?;
        Ok(Element::parse(&text).unwrap_or_default())
    }

    /// Asks S3 for something that is no XML, such as a bucket's policy.
    pub async fn s3_text(&self, path: String) -> Answer<String> {
        let body = Content::Whole(Bytes::new());
        let plain = Plain { service: "s3", method: Method::GET, path, headers: Vec::new(), body };
        read(self.open(plain).await?).await
    }

    /// Opens an object; its bytes are read piece by piece.
    pub async fn s3_open(&self, bucket: &str, key: &str) -> Answer<Leaving> {
        let body = Content::Whole(Bytes::new());
        let path = object_path(bucket, key);
        self.open(Plain { service: "s3", method: Method::GET, path, headers: Vec::new(), body }).await
    }

    /// Puts an object of so many bytes.
    pub async fn s3_put(
        &self,
        path: String,
        content_type: &str,
        body: BoxBody<Bytes, io::Error>,
        size_bytes: u64,
    ) -> Answer<Leaving> {
        let headers = vec![(CONTENT_TYPE, content_type.to_owned())];
        let body = Content::Streamed(body, size_bytes);
        self.open(Plain { service: "s3", method: Method::PUT, path, headers, body }).await
    }

    async fn json11(&self, service: &str, target: String, input: Value) -> Answer<Value> {
        let headers = vec![
            (CONTENT_TYPE, "application/x-amz-json-1.1".to_owned()),
            (HeaderName::from_static("x-amz-target"), target),
        ];
        let (method, path, body) = (Method::POST, "/".to_owned(), Content::Whole(input.to_string().into()));
        self.json(Plain { service, method, path, headers, body }).await
    }

    async fn json(&self, plain: Plain<'_>) -> Answer<Value> {
        let text = read(self.open(plain).await?).await?;
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(|_| unreadable()) }
    }

    async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Answer<Element> {
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", segment(value)));
        }
        let headers = vec![(CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
        let (method, path, body) = (Method::POST, "/".to_owned(), Content::Whole(form.into()));
        let text = read(self.open(Plain { service, method, path, headers, body }).await?).await?;
        let answer = Element::parse(&text).ok_or_else(unreadable)?;
        Ok(answer.child(&format!("{action}Result")).cloned().unwrap_or_default())
    }

    /// Sends a request, and reads why where it is refused.
    fn open(&self, plain: Plain<'_>) -> Opening {
        let answering = self.signed(plain).map(|request| (self.server)(request));
        Box::pin(async move {
            let answer = answering.ok_or_else(unreadable)?.await.ok_or_else(stopping)?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            let status = answer.status();
            Err(Refusal::read(status, &read(answer).await.unwrap_or_default()))
        })
    }

    fn signed(&self, plain: Plain<'_>) -> Option<Request<BoxBody<Bytes, io::Error>>> {
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
            request = request.extension(Peer(peer));
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

impl Refusal {
    /// What the visitor is told, code last.
    pub fn text(&self) -> String {
        if self.code.is_empty() { self.message.clone() } else { format!("{} ({})", self.message, self.code) }
    }

    /// Whether the keys are not, or no longer, known.
    pub fn is_of_keys(&self) -> bool {
        const OF_KEYS: [&str; 8] = [
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidToken",
        ];
        OF_KEYS.contains(&self.code.as_str())
    }

    fn read(status: StatusCode, text: &str) -> Refusal {
        let (code, message) = match serde_json::from_str::<Value>(text) {
            Ok(body) => {
                let member = |name: &str| body[name].as_str().map(str::to_owned);
                (member("__type"), member("message").or_else(|| member("Message")))
            }
            Err(_) => {
                let body = Element::parse(text).unwrap_or_default();
                // Query puts the error into an answer, S3 makes it the answer.
                let error = body.child("Error").unwrap_or(&body);
                let of = |name: &str| error.child(name).map(|child| child.text.clone());
                (of("Code"), of("Message"))
            }
        };
        let code = code.unwrap_or_default();
        let message = message.filter(|text| !text.is_empty());
        let message = message.unwrap_or_else(|| format!("The server answered {status}."));
        Refusal { status: status.as_u16(), code, message }
    }
}

/// A path of S3, encoded.
pub fn object_path(bucket: &str, key: &str) -> String {
    format!("/{}/{}", segment(bucket), utf8_percent_encode(key, PATH))
}

/// One segment of a path, or a value of a query, encoded.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

async fn read(answer: Leaving) -> Answer<String> {
    let (mut body, mut text) = (answer.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| unreadable())?;
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        if text.len() > ANSWER_BYTES_MAX {
            return Err(unreadable());
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn stopping() -> Refusal {
    let message = "The server is about to stop.".to_owned();
    Refusal { status: 503, code: "ServiceUnavailable".to_owned(), message }
}

fn unreadable() -> Refusal {
    let message = "The answer of the server can't be read.".to_owned();
    Refusal { status: 500, code: "InternalFailure".to_owned(), message }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: StatusCode, text: &str) -> (String, String) {
        let refusal = Refusal::read(status, text);
        (refusal.code, refusal.message)
    }

    #[test]
    fn a_refusal_is_read_in_each_protocol() {
        let expected = ("NoSuchThing".to_owned(), "There is <none>.".to_owned());
        let status = StatusCode::BAD_REQUEST;
        let json = r#"{"__type":"NoSuchThing","message":"There is <none>."}"#;
        let s3 = "<?xml version=\"1.0\"?><Error><Code>NoSuchThing</Code><Message>There is &lt;none&gt;.</Message></Error>";
        let query = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>NoSuchThing</Code>\
            <Message>There is &lt;none&gt;.</Message></Error></ErrorResponse>";
        for text in [json, s3, query] {
            assert_eq!(told(status, text), expected);
        }
        assert_eq!(told(status, ""), (String::new(), "The server answered 400 Bad Request.".to_owned()));
    }
}
