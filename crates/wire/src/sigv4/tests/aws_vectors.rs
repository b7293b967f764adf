//! The signing test suite of AWS: all its cases, signed in the header and in the query.

use serde_json::Value;

use super::super::canonical::{self, EmptyPairs};
use super::super::scope::Claim;
use super::*;

/// 30 August 2015, 12:36 UTC.
const THEN_MS: i64 = 1_440_938_160_000;
/// No HTTP library sends these: a target holds no blank.
const UNSENDABLE: [&str; 2] = ["get-space-normalized", "get-space-unnormalized"];

/// Its token is put behind the signed query, as no service here has it: nothing in a query stays unsigned.
const TOKEN_LATER: (&str, &str) = ("post-sts-header-after", "query");

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/aws_vectors.json")).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn sent(signed: &Value) -> Option<Parts> {
    let method = text(&signed["method"]);
    let mut request = Request::builder().method(method.as_str()).uri(text(&signed["target"]).as_bytes());
    for header in signed["headers"].as_array().unwrap() {
        request = request.header(text(&header[0]), text(&header[1]).trim());
    }
    Some(request.body(()).ok()?.into_parts().0)
}

#[test]
fn every_canonical_request_hashes_as_published() {
    let (mut checked, mut unsendable) = (0, Vec::new());
    for case in cases() {
        for kind in ["header", "query"] {
            let (name, signed) = (text(&case["name"]), &case[kind]);
            let Some(parts) = sent(signed) else {
                unsendable.push(name);
                continue;
            };
            let mut claim = Claim::read(&parts).unwrap().unwrap();
            // Of all services S3 alone leaves a path as it is.
            if case["normalize"] == false {
                claim.scope.service = "s3".to_owned();
            }
            let hash = canonical::hash(&parts, &claim, &text(&signed["payload"]), EmptyPairs::Dropped);
            let is_as_published = hash == text(&signed["hash"]);
            assert_eq!(is_as_published, (name.as_str(), kind) != TOKEN_LATER, "{name} {kind}");
            checked += 1;
        }
    }
    unsendable.dedup();
    assert_eq!((checked, unsendable), (2 * 36, UNSENDABLE.map(str::to_owned).to_vec()));
}

#[test]
fn what_is_signed_in_the_header_is_verified_but_for_an_unsigned_token() {
    let mut refused = Vec::new();
    for case in cases().iter().filter(|case| case["normalize"] == true) {
        let (name, signed) = (text(&case["name"]), &case["header"]);
        let Some(mut parts) = sent(signed) else { continue };
        let credential = Credential {
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: case["token"].as_str().map(str::to_owned),
        };
        let rules = Rules { now_ms: THEN_MS, region: "us-east-1" };
        let body = Bytes::from(text(&signed["body"]));
        match verify_whole(&mut parts, &credential, &rules, &body) {
            Ok(()) => {}
            Err(error) => refused.push((name, error.kind)),
        }
    }
    assert_eq!(refused, [("post-sts-header-after".to_owned(), AuthErrorKind::UnsignedHeader)]);
}
