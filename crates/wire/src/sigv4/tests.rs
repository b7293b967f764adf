//! The published examples of Signature Version 4, and each part of a request tampered with.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::{BodyExt, Full};

use super::*;

mod aws_vectors;
mod chunked;
mod published;
mod tampered;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 24 May 2013, 00:00 UTC: the day of all S3 examples.
const NOW_MS: i64 = 1_369_353_600_000;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn credential() -> Credential {
    Credential { secret_access_key: SECRET.to_owned(), session_token: None }
}

fn rules() -> Rules<'static> {
    Rules { now_ms: NOW_MS, region: "us-east-1" }
}

fn raw(bytes: impl Into<Bytes>) -> Raw {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// A request; `uri` is its target, and `headers` stand one a line.
fn parts(method: &str, uri: &str, headers: &str) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for line in headers.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        request = request.header(name, value.trim());
    }
    request.body(()).unwrap().into_parts().0
}

/// The Authorization header of the S3 examples.
fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={signed_headers},Signature={signature}"
    )
}

fn verify_s3(parts: &mut Parts, body: impl Into<Bytes>) -> Result<Body, AuthError> {
    verify(parts, &credential(), &rules(), raw(body))
}

/// Reads a body that never waits.
fn read(mut body: Body) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(None) => return Ok(bytes),
            Poll::Ready(Some(frame)) => bytes.extend_from_slice(&frame?.into_data().unwrap()),
            Poll::Pending => panic!("a body in memory never waits"),
        }
    }
}
