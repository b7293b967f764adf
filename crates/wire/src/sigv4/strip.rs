//! Takes the signature off a verified request, so that no door can mistake it for something to act on.

use http::Uri;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;

use super::canonical::Query;
use super::payload;
use super::refusal::{AuthError, AuthErrorKind};
use super::scope::single;

const DECODED_LENGTH: &str = "x-amz-decoded-content-length";

/// Removes the headers and the query parameters of the signature.
pub(super) fn signature(parts: &mut Parts) -> Result<(), AuthError> {
    for name in [AUTHORIZATION.as_str(), "x-amz-security-token", payload::HEADER] {
        parts.headers.remove(name);
    }
    // Most requests are a path and nothing else.
    if parts.uri.query().is_none() && parts.uri.scheme().is_none() && parts.uri.authority().is_none() {
        return Ok(());
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default()).without_signature();
    let path = parts.uri.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let unreadable = |_| AuthError::incomplete("The request target can't be read.");
    // A host in the target is not signed, unlike that in the Host header: it goes.
    parts.uri = Uri::from(PathAndQuery::try_from(target).map_err(unreadable)?);
    Ok(())
}

/// Presents a chunked body as the plain one that it holds, and gives its length in bytes.
///
/// # Errors
/// When the request does not say how long the decoded body is.
pub(super) fn chunked(parts: &mut Parts) -> Result<u64, AuthError> {
    let length =
        single(&parts.headers, DECODED_LENGTH)?.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let text = format!("Chunked uploads must state their length in {DECODED_LENGTH}.");
    let missing = || AuthError::new(AuthErrorKind::UnknownPayload, text);
    let length: u64 = length.and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    parts.headers.remove(DECODED_LENGTH);
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    encoding(parts);
    Ok(length)
}

// `aws-chunked` is undone here; other encodings are the object's own.
fn encoding(parts: &mut Parts) {
    let sent: Vec<HeaderValue> = parts.headers.get_all(CONTENT_ENCODING).iter().cloned().collect();
    parts.headers.remove(CONTENT_ENCODING);
    let texts = sent.iter().filter_map(|value| value.to_str().ok());
    let names = texts.flat_map(|text| text.split(',')).map(str::trim);
    let kept: Vec<&str> =
        names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("aws-chunked")).collect();
    if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_str(&kept.join(","))) {
        parts.headers.insert(CONTENT_ENCODING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_presigned_address_becomes_a_plain_one() {
        let mut parts = parts("/b/k%20?versionId=&X-Amz-Signature=ff&partNumber=2&X-Amz-Expires=1&acl", &[]);
        signature(&mut parts).unwrap();
        assert_eq!(parts.uri.to_string(), "/b/k%20?versionId&partNumber=2&acl");
    }

    #[test]
    fn a_host_that_nobody_signed_is_dropped() {
        let mut parts = parts("http://other.localhost/b?X-Amz-Date=1", &[]);
        signature(&mut parts).unwrap();
        assert_eq!(parts.uri.to_string(), "/b");
    }

    #[test]
    fn a_chunked_body_is_presented_with_its_own_length_and_encoding() {
        let sent =
            [("content-encoding", "aws-chunked,gzip"), (DECODED_LENGTH, "7"), ("content-length", "99")];
        let mut parts = parts("/b/k", &sent);
        assert_eq!(chunked(&mut parts).unwrap(), 7);
        assert_eq!(parts.headers["content-encoding"], "gzip");
        assert_eq!(parts.headers["content-length"], "7");
        assert!(!parts.headers.contains_key(DECODED_LENGTH));
    }

    #[test]
    fn lengths_that_are_no_numbers_are_refused() {
        for length in ["", "-1", "+1", "1e3", "99999999999999999999999"] {
            assert!(chunked(&mut parts("/b/k", &[(DECODED_LENGTH, length)])).is_err(), "{length}");
        }
    }
}
