//! Requests that botocore signed (sign_requests.py): all are accepted, and none with any byte changed.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use model::Clock;
use model::clock::SimulatedClock;
use serde::Deserialize;
use wire::sigv4::{Credential, Rules, scope, verify, verify_whole};

#[derive(Deserialize)]
struct Fixture {
    access_key_id: String,
    secret: String,
    region: String,
    now_ms: i64,
    requests: Vec<Signed>,
}

#[derive(Clone, Deserialize)]
struct Signed {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    token: Option<String>,
}

impl Signed {
    /// `None` when a changed byte leaves no request at all.
    fn parts(&self) -> Option<Parts> {
        let uri = Uri::try_from(self.target.as_str()).ok()?;
        let mut parts =
            Request::builder().method(self.method.as_str()).uri(uri).body(()).ok()?.into_parts().0;
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            parts.headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
        }
        Some(parts)
    }

    fn body(&self) -> Bytes {
        STANDARD.decode(&self.body).unwrap().into()
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("botocore.json")).unwrap()
}

/// The decoded body when the whole request was found true; anything else says why not.
fn accepted(fixture: &Fixture, signed: &Signed) -> Result<Vec<u8>, String> {
    let mut parts = signed.parts().ok_or("no request")?;
    let found = scope(&parts).map_err(|e| e.message)?.ok_or("unsigned")?;
    if found.access_key_id != fixture.access_key_id {
        return Err("unknown key".into());
    }
    let credential =
        Credential { secret_access_key: fixture.secret.clone(), session_token: signed.token.clone() };
    let rules = Rules { now_ms: fixture.now_ms, region: &fixture.region };
    if found.service != "s3" {
        let body = signed.body();
        verify_whole(&mut parts, &credential, &rules, &body).map_err(|e| e.message)?;
        return Ok(body.to_vec());
    }
    let raw = Full::new(signed.body()).map_err(|never| match never {}).boxed();
    let mut body = verify(&mut parts, &credential, &rules, raw).map_err(|e| e.message)?;
    let mut bytes = Vec::new();
    loop {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => return Ok(bytes),
            Poll::Ready(Some(frame)) => {
                bytes.extend_from_slice(&frame.map_err(|e| e.to_string())?.into_data().unwrap())
            }
            Poll::Pending => panic!("a body in memory never waits"),
        }
    }
}

#[test]
fn requests_of_botocore_are_accepted() {
    let fixture = fixture();
    for signed in &fixture.requests {
        let outcome = accepted(&fixture, signed);
        assert!(outcome.is_ok(), "{}: {}", signed.name, outcome.unwrap_err());
    }
}

#[test]
fn trailing_checksums_of_botocore_are_undone() {
    let fixture = fixture();
    let trailing: Vec<&Signed> =
        fixture.requests.iter().filter(|r| r.name.starts_with("s3 trailing")).collect();
    assert_eq!(trailing.len(), 3);
    for signed in trailing {
        assert_eq!(accepted(&fixture, signed).unwrap(), b"0123456789".repeat(30));
    }
}

#[test]
fn no_request_is_accepted_with_a_byte_changed() {
    let mut fixture = fixture();
    // Outside S3 a path is normalised: what stands before `..` is nothing.
    fixture.requests.retain(|r| r.name != "rest raw /a/./b/../c");
    let chance = SimulatedClock::new(0, 4711);
    let pick = |below: usize| {
        let mut bytes = [0; 8];
        chance.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    };
    for _ in 0..20_000 {
        let mut signed = fixture.requests[pick(fixture.requests.len())].clone();
        let (place, byte) = change(&mut signed, &pick);
        assert!(accepted(&fixture, &signed).is_err(), "{} with byte {byte:?} in {place}", signed.name);
    }
}

/// Changes one byte of what is signed, and says where.
fn change(signed: &mut Signed, pick: &impl Fn(usize) -> usize) -> (String, char) {
    let byte = char::from(u8::try_from(33 + pick(94)).unwrap());
    let is_signed = signed_headers(signed);
    let mut places: Vec<(String, &mut String)> =
        vec![("method".into(), &mut signed.method), ("target".into(), &mut signed.target)];
    for (name, value) in &mut signed.headers {
        if (is_signed.contains(name) || name == "authorization") && !value.trim().is_empty() {
            places.push((name.clone(), value));
        }
    }
    let mut body = STANDARD.decode(&signed.body).unwrap();
    let is_body_signed = !body.is_empty() && !signed.name.starts_with("s3 presigned");
    let n = pick(places.len() + usize::from(is_body_signed));
    if n == places.len() {
        let at = pick(body.len());
        // Sizes of chunks and names of trailers have no case.
        body[at] ^= [1, 2, 4, 8, 16, 64, 128][pick(7)];
        signed.body = STANDARD.encode(body);
        return ("body".into(), byte);
    }
    let (place, text) = &mut places[n];
    let found: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| c.is_ascii() && *c != ' ').collect();
    let (at, old) = found[pick(found.len())];
    // A fragment never arrives, and nothing between two ampersands is nothing.
    let is_void = place == "target" && "#&".contains(byte);
    let new = if is_void || byte == old { char::from(b'0' + u8::from(old == '0')) } else { byte };
    text.replace_range(at..=at, &new.to_string());
    (place.clone(), new)
}

fn signed_headers(signed: &Signed) -> Vec<String> {
    let header = signed.headers.iter().find(|(name, _)| name == "authorization");
    let list = header.and_then(|(_, value)| value.split("SignedHeaders=").nth(1)?.split(',').next());
    list.map(|list| list.split(';').map(str::to_owned).collect()).unwrap_or_default()
}
