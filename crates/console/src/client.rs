//! A client of the server's own doors: signs with the visitor's keys and reads what is answered, whatever the protocol.

mod refusal;
mod request;

use std::io;
use std::pin::Pin;

use access::Peer;
use access::bucket::{EmbeddedS3, Leaving};
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use model::{Clock, Realm};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub use self::refusal::Refusal;
use self::refusal::{stopping, unreadable};
use self::request::{Content, Plain};
use crate::session::Keys;
use crate::xml::Element;

/// The most that is read of an answer that is shown on a page.
const ANSWER_BYTES_MAX: usize = 8 << 20;
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

pub type Answer<T> = Result<T, Refusal>;

/// Keeps a refusal of something that is not a page's main thing, so that the page can say it in its place; without keys
/// there is no page.
pub fn aside<T>(answer: Answer<T>) -> Answer<Answer<T>> {
    match answer {
        Err(refusal) if refusal.is_of_keys() => Err(refusal),
        answer => Ok(answer),
    }
}

/// An answer on its way.
type Opening = Pin<Box<dyn Future<Output = Answer<Leaving>> + Send>>;

/// The doors, for one visitor.
pub struct Client<'a> {
    pub server: &'a EmbeddedS3,
    pub realm: &'a Realm,
    pub clock: &'a dyn Clock,
    pub keys: &'a Keys,
    pub peer: Option<Peer>,
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

    /// Opens what is answered below `/lade/v1` piece by piece.
    pub async fn lade_open(&self, path: &str) -> Answer<Leaving> {
        let path = format!("/lade/v1{path}");
        let body = Content::Whole(Bytes::new());
        self.open(Plain { service: "personalize", method: Method::GET, path, headers: Vec::new(), body })
            .await
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
