//! The canonical request: the bytes that both sides hash, built from a request as it came in.

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use super::digits::digits;
use super::refusal::{AuthError, AuthErrorKind};
use super::scope::Claim;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Which of the readings that signers disagree on is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmptyPairs {
    /// botocore signs the nothing between two ampersands as `=`.
    Kept,
    /// The common runtime of the other SDKs leaves it out.
    Dropped,
}

/// The hash of the canonical request, in hexadecimal digits.
pub(super) fn hash(parts: &Parts, claim: &Claim, payload: &str, empty: EmptyPairs) -> String {
    let mut text = Vec::with_capacity(1024);
    let mut line = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        text.push(b'\n');
    };
    line(parts.method.as_str().as_bytes());
    line(path(parts.uri.path(), claim.scope.service == "s3").as_bytes());
    line(Query::parse(parts.uri.query().unwrap_or_default()).canonical(empty).as_bytes());
    line(&headers(&parts.headers, &claim.signed_headers));
    line(claim.signed_headers.join(";").as_bytes());
    text.extend_from_slice(payload.as_bytes());
    digits(&Sha256::digest(&text))
}

/// The path as it is signed: S3 encodes it once and keeps its dots and slashes; elsewhere it is normalised and
/// encoded twice.
fn path(path: &str, is_s3: bool) -> String {
    match (path, is_s3) {
        ("", _) => "/".to_owned(),
        (path, true) => encode(path, PATH),
        (path, false) => percent_encode(normalised(path).as_bytes(), PATH).to_string(),
    }
}

// Source: RFC 3986 5.2.4, and the SDKs, which drop repeated slashes at the same time.
fn normalised(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

// Escapes stay as they were sent, so that one signature fits one spelling; what came raw is encoded.
fn encode(text: &str, set: &'static AsciiSet) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(n) = rest.find('%') {
        out.extend(percent_encode(&rest.as_bytes()[..n], set));
        let is_escape =
            rest.as_bytes()[n + 1..].iter().take(2).filter(|b| b.is_ascii_hexdigit()).count() == 2;
        out.push_str(if is_escape { "%" } else { "%25" });
        rest = &rest[n + 1..];
    }
    out.extend(percent_encode(rest.as_bytes(), set));
    out
}

/// The query of a request, in its parts, still encoded.
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    pub fn parse(text: &'a str) -> Query<'a> {
        if text.is_empty() {
            return Query(Vec::new());
        }
        Query(text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect())
    }

    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    pub fn has_empty_pairs(&self) -> bool {
        self.0.contains(&("", ""))
    }

    /// The decoded value of a parameter that has to stand exactly once.
    pub fn single(&self, name: &str) -> Result<String, AuthError> {
        self.optional(name)?.ok_or_else(|| {
            AuthError::new(
                AuthErrorKind::MalformedQuery,
                format!("A presigned address needs the query parameter {name}."),
            )
        })
    }

    /// The decoded value of a parameter that may stand at most once.
    pub fn optional(&self, name: &str) -> Result<Option<String>, AuthError> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() {
            let text = format!("The query parameter {name} stands more than once.");
            return Err(AuthError::new(AuthErrorKind::MalformedQuery, text));
        }
        Ok(first.map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned()))
    }

    /// The query without the parameters of the signature and of the session, as it came.
    pub fn without_signature(&self) -> String {
        let is_kept = |name: &str| {
            let name = percent_decode_str(name).decode_utf8_lossy();
            !SIGNATURE_PARAMETERS.iter().any(|p| name.eq_ignore_ascii_case(p))
        };
        let kept = self.0.iter().filter(|(name, _)| is_kept(name));
        // A name without `=` is kept as such: `?acl` and `?acl=` are the same to S3.
        let pairs: Vec<String> =
            kept.map(|(n, v)| if v.is_empty() { (*n).to_owned() } else { format!("{n}={v}") }).collect();
        pairs.join("&")
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| percent_decode_str(n).eq(name.bytes())).map(|(_, value)| *value)
    }

    fn canonical(&self, empty: EmptyPairs) -> String {
        let is_signed = |pair: &&(&str, &str)| {
            !(percent_decode_str(pair.0).eq("X-Amz-Signature".bytes())
                || empty == EmptyPairs::Dropped && **pair == ("", ""))
        };
        // A blank may be sent as a plus sign, but is always signed as %20.
        let encoded = |text: &str| encode(&text.replace('+', "%20"), UNRESERVED);
        let signed = self.0.iter().filter(is_signed);
        let mut pairs: Vec<(String, String)> = signed.map(|(n, v)| (encoded(n), encoded(v))).collect();
        pairs.sort();
        pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&")
    }
}

const SIGNATURE_PARAMETERS: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

fn headers(headers: &HeaderMap, signed: &[String]) -> Vec<u8> {
    let mut names: Vec<&String> = signed.iter().collect();
    names.sort();
    let mut text = Vec::new();
    for name in names {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        for (n, value) in headers.get_all(name.as_str()).iter().enumerate() {
            if n > 0 {
                text.push(b',');
            }
            push_folded(&mut text, value.as_bytes());
        }
        text.push(b'\n');
    }
    text
}

// Blanks around a value are dropped, and those inside it become one space.
fn push_folded(text: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    for (n, word) in words.enumerate() {
        if n > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_paths_keep_their_shape() {
        for (sent, signed) in [
            ("", "/"),
            ("/b//a/../c/./", "/b//a/../c/./"),
            ("/b/a%20b", "/b/a%20b"),
            ("/b/a+b=c@d", "/b/a%2Bb%3Dc%40d"),
            ("/b/100%", "/b/100%25"),
            ("/b/%e4%zz", "/b/%e4%25zz"),
        ] {
            assert_eq!(path(sent, true), signed);
        }
    }

    #[test]
    fn other_paths_are_normalised_and_encoded_twice() {
        for (sent, signed) in [
            ("/", "/"),
            ("//", "/"),
            ("/a/./b/../c//", "/a/c/"),
            ("/a%20b", "/a%2520b"),
            ("/../..", "/"),
            ("/ü", "/%C3%BC"),
        ] {
            assert_eq!(path(sent, false), signed);
        }
    }

    #[test]
    fn queries_are_sorted_with_their_empty_and_double_keys() {
        let canonical = |text| Query::parse(text).canonical(EmptyPairs::Dropped);
        assert_eq!(canonical("b=2&a=2&a=1&acl"), "a=1&a=2&acl=&b=2");
        assert_eq!(canonical("a=b=c&x=%2F/&=v"), "=v&a=b%3Dc&x=%2F%2F");
        assert_eq!(canonical("a=1&X-Amz-Signature=ff&&p=a+b"), "a=1&p=a%20b");
        assert_eq!(Query::parse("a=1&&b=2").canonical(EmptyPairs::Kept), "=&a=1&b=2");
        assert_eq!(canonical(""), "");
    }

    #[test]
    fn blanks_in_header_values_are_folded() {
        let mut map = HeaderMap::new();
        map.append("x-amz-meta-a", "  a   b\t c ".parse().unwrap());
        map.append("x-amz-meta-a", "d".parse().unwrap());
        map.append("host", "h".parse().unwrap());
        let signed = ["x-amz-meta-a".to_owned(), "host".to_owned()];
        assert_eq!(headers(&map, &signed), b"host:h\nx-amz-meta-a:a b c,d\n");
    }
}
