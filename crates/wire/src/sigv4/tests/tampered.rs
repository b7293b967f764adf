//! Each claim of a request made false.

use super::*;

const SIGNATURE: &str = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
const TEXT: &str = "Welcome to Amazon S3.";

fn put() -> Parts {
    let signed = authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", SIGNATURE);
    let headers = format!(
        "date:Fri, 24 May 2013 00:00:00 GMT
         host:examplebucket.s3.amazonaws.com
         x-amz-content-sha256:44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072
         x-amz-date:20130524T000000Z
         x-amz-storage-class:REDUCED_REDUNDANCY
         {signed}"
    );
    parts("PUT", "/test$file.text", &headers)
}

fn set(parts: &mut Parts, name: &'static str, value: &str) {
    parts.headers.insert(name, value.parse().unwrap());
}

/// How the request fares when `change` was done to it on its way.
fn fares(change: impl FnOnce(&mut Parts)) -> AuthErrorKind {
    let mut parts = put();
    change(&mut parts);
    verify_s3(&mut parts, TEXT).unwrap_err().kind
}

fn authorized(from: &str, to: &str) -> AuthErrorKind {
    fares(|parts| {
        let text = parts.headers["authorization"].to_str().unwrap().replace(from, to);
        set(parts, "authorization", &text);
    })
}

#[test]
fn each_signed_part_is_covered() {
    assert_eq!(fares(|p| p.method = http::Method::POST), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| p.uri = "/test$file.texT".parse().unwrap()), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| p.uri = "/test$file.text?acl".parse().unwrap()), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| set(p, "host", "other")), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| set(p, "x-amz-storage-class", "STANDARD")), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| set(p, "x-amz-content-sha256", EMPTY)), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| set(p, "x-amz-content-sha256", "UNSIGNED-PAYLOAD")), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| set(p, "x-amz-date", "20130524T000001Z")), AuthErrorKind::Mismatch);
    assert_eq!(fares(|p| set(p, "x-amz-date", "20130525T000000Z")), AuthErrorKind::Mismatch);
}

#[test]
fn headers_that_must_be_signed_are_missed() {
    assert_eq!(fares(|p| set(p, "x-amz-acl", "public-read")), AuthErrorKind::UnsignedHeader);
    assert_eq!(fares(|p| set(p, "x-amz-security-token", "t")), AuthErrorKind::UnsignedHeader);
    assert_eq!(authorized("host;", ""), AuthErrorKind::UnsignedHeader);
    assert_eq!(fares(|p| drop(p.headers.remove("x-amz-storage-class"))), AuthErrorKind::Incomplete);
}

#[test]
fn headers_that_nobody_signs_are_let_through() {
    let mut parts = put();
    for name in [
        "amz-sdk-request",
        "amz-sdk-invocation-id",
        "user-agent",
        "x-amzn-trace-id",
        "content-type",
        "expect",
    ] {
        set(&mut parts, name, "x");
    }
    assert!(verify_s3(&mut parts, TEXT).is_ok());
}

#[test]
fn a_broken_authorization_header_is_named_so() {
    assert_eq!(authorized(&SIGNATURE[..8], "00000000"), AuthErrorKind::Mismatch);
    assert_eq!(authorized(SIGNATURE, ""), AuthErrorKind::Incomplete);
    assert_eq!(authorized("aws4_request", "aws5_request"), AuthErrorKind::Incomplete);
    assert_eq!(authorized("Signature=", "Signatur="), AuthErrorKind::Incomplete);
    assert_eq!(authorized("SignedHeaders=", "SignedHeaders=Host;"), AuthErrorKind::Incomplete);
    assert_eq!(authorized("Signature=", "Signature=x,Signature="), AuthErrorKind::Incomplete);
    assert_eq!(authorized("/us-east-1/", "/us-west-2/"), AuthErrorKind::WrongRegion);
    assert_eq!(authorized("/20130524/", "/20130523/"), AuthErrorKind::Mismatch);
    assert_eq!(authorized("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"), AuthErrorKind::UnsupportedAlgorithm);
    assert_eq!(fares(|p| set(p, "authorization", "AWS AKID:signature")), AuthErrorKind::UnsupportedAlgorithm);
    assert_eq!(fares(|p| set(p, "authorization", "")), AuthErrorKind::UnsupportedAlgorithm);
    assert_eq!(fares(|p| drop(p.headers.remove("authorization"))), AuthErrorKind::MissingToken);
}

#[test]
fn the_old_signature_version_is_named_so() {
    let old = parts("GET", "/b/k?AWSAccessKeyId=AKID&Signature=x&Expires=1", "host: h");
    assert_eq!(scope(&old).unwrap_err().kind, AuthErrorKind::UnsupportedAlgorithm);
    assert_eq!(scope(&parts("GET", "/b/k?versionId=1", "host: h")).unwrap(), None);
}

#[test]
fn credentials_in_two_places_are_refused() {
    let twice = fares(|p| {
        p.headers.append("authorization", p.headers["authorization"].clone());
    });
    assert_eq!(twice, AuthErrorKind::Incomplete);
    let both = fares(|p| p.uri = "/test$file.text?X-Amz-Credential=x".parse().unwrap());
    assert_eq!(both, AuthErrorKind::Ambiguous);
}

#[test]
fn a_quarter_of_an_hour_is_the_most_that_clocks_may_differ() {
    for (minutes, is_fine) in [(0, true), (15, true), (-15, true), (16, false), (-16, false)] {
        let rules = Rules { now_ms: NOW_MS + minutes * 60_000, ..rules() };
        let outcome = verify(&mut put(), &credential(), &rules, raw(TEXT)).map_err(|e| e.kind);
        assert_eq!(outcome.err(), (!is_fine).then_some(AuthErrorKind::Skewed), "{minutes}");
    }
}

#[test]
fn session_tokens_are_asked_for() {
    let with_token = Credential { session_token: Some("token".into()), ..credential() };
    let outcome = verify(&mut put(), &with_token, &rules(), raw(TEXT));
    assert_eq!(outcome.unwrap_err().kind, AuthErrorKind::InvalidToken);
}

#[test]
fn a_changed_body_never_reaches_its_end() {
    for body in ["Welcome to Amazon S4.", "Welcome to Amazon S3", "Welcome to Amazon S3.."] {
        let error = read(verify_s3(&mut put(), body).unwrap()).unwrap_err();
        assert_eq!(error.kind, BodyErrorKind::HashMismatch);
    }
    assert_eq!(verify_s3(&mut put(), "").unwrap_err().kind, AuthErrorKind::PayloadMismatch);
}

#[test]
fn services_keep_to_their_own_rules() {
    let whole = verify_whole(&mut put(), &credential(), &rules(), &Bytes::from_static(TEXT.as_bytes()));
    assert_eq!(whole.unwrap_err().kind, AuthErrorKind::UnknownPayload);
    let mut other = put();
    let text = other.headers["authorization"].to_str().unwrap().replace("/s3/", "/iam/");
    set(&mut other, "authorization", &text);
    assert!(verify_s3(&mut other, TEXT).is_err());
}

#[test]
fn a_secret_is_never_shown() {
    assert!(!format!("{:?}", credential()).contains(SECRET));
}
