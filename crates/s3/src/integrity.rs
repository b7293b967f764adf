//! The hashes that a request states for its body, and whether the body has them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::body::trailer;
use crate::checksum::{Algorithm, Checksum};
use crate::digest::Digested;
use crate::error::refuse;

/// What a request says about its body before the body comes.
#[derive(Clone, Debug, Default)]
pub struct Stated {
    md5: Option<Vec<u8>>,
    /// The algorithm, and its value unless that follows in a trailer.
    checksum: Option<(Algorithm, Option<Vec<u8>>)>,
    in_trailer: bool,
}

impl Stated {
    /// Reads `Content-MD5`, `x-amz-checksum-*`, `x-amz-trailer` and `x-amz-sdk-checksum-algorithm`.
    ///
    /// # Errors
    /// `InvalidDigest`, or `InvalidRequest` for a checksum that cannot be read, is unknown or comes twice.
    pub fn new(headers: &HeaderMap) -> S3Result<Stated> {
        let md5 = header(headers, "content-md5").map(read_md5).transpose()?;
        let announced = header(headers, "x-amz-trailer").map(read_announced).transpose()?.flatten();
        let mut values = stated_values(headers)?;
        if values.len() + usize::from(announced.is_some()) > 1 {
            return Err(invalid(
                "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.",
            ));
        }
        let named = header(headers, "x-amz-sdk-checksum-algorithm").map(read_name).transpose()?;
        let in_trailer = announced.is_some();
        let checksum = match values.pop() {
            Some((algorithm, raw)) => Some((algorithm, Some(raw))),
            None => announced.or(named).map(|algorithm| (algorithm, None)),
        };
        Ok(Stated { md5, checksum, in_trailer })
    }

    /// Reads `Content-MD5` alone, where the other headers speak of something else than the body.
    pub fn md5_only(headers: &HeaderMap) -> S3Result<Stated> {
        let md5 = header(headers, "content-md5").map(read_md5).transpose()?;
        Ok(Stated { md5, ..Stated::default() })
    }

    /// The algorithm that the client chose.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }

    /// Whether the body's MD5 is needed to check it.
    pub fn has_md5(&self) -> bool {
        self.md5.is_some()
    }

    /// What has to be computed to check the body.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.algorithm().into_iter().collect()
    }

    /// Takes the value that came behind the body.
    ///
    /// # Errors
    /// `InvalidRequest` when it was announced and did not come.
    pub fn take_trailer(&mut self, extensions: &http::Extensions) -> S3Result<()> {
        let Some((algorithm, value)) = self.checksum.as_mut().filter(|_| self.in_trailer) else {
            return Ok(());
        };
        let text = trailer(extensions, *algorithm).ok_or_else(|| {
            invalid(&format!("The trailer {} was announced and did not come.", algorithm.header()))
        })?;
        *value = Some(algorithm.decode(&text).ok_or_else(|| unreadable(*algorithm))?);
        Ok(())
    }

    /// # Errors
    /// `BadDigest`.
    pub fn check(&self, found: &Digested) -> S3Result<()> {
        if self.md5.as_ref().is_some_and(|md5| found.md5().is_none_or(|found| found != md5.as_slice())) {
            return Err(bad_digest("The Content-MD5 you specified did not match what we received."));
        }
        if let Some((algorithm, Some(value))) = &self.checksum
            && found.sum(*algorithm).as_ref() != Some(value)
        {
            let name = algorithm.as_str();
            return Err(bad_digest(&format!(
                "The {name} you specified did not match the calculated checksum."
            )));
        }
        Ok(())
    }
}

/// The checksum of a body by an algorithm that was computed.
pub fn full_checksum(found: &Digested, algorithm: Algorithm) -> Checksum {
    Checksum::full(algorithm, &found.sum(algorithm).unwrap_or_default())
}

/// A header's text, when it is there and readable.
pub fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn stated_values(headers: &HeaderMap) -> S3Result<Vec<(Algorithm, Vec<u8>)>> {
    let mut values = Vec::new();
    for name in headers.keys().map(http::HeaderName::as_str) {
        let Some(suffix) = name.strip_prefix("x-amz-checksum-") else { continue };
        if matches!(suffix, "algorithm" | "mode" | "type") {
            continue;
        }
        let algorithm = read_name(suffix)?;
        let value = header(headers, name).and_then(|text| algorithm.decode(text));
        values.push((algorithm, value.ok_or_else(|| unreadable(algorithm))?));
    }
    Ok(values)
}

fn read_md5(text: &str) -> S3Result<Vec<u8>> {
    let raw = STANDARD.decode(text).ok().filter(|raw| raw.len() == 16);
    raw.ok_or_else(|| refuse(S3ErrorCode::InvalidDigest, "The Content-MD5 you specified is not valid."))
}

// Trailers that are no checksums, such as the trailer's own signature, are the verifier's business.
fn read_announced(text: &str) -> S3Result<Option<Algorithm>> {
    let names = text.split(',').filter_map(|name| name.trim().strip_prefix("x-amz-checksum-"));
    let mut algorithms = names.map(read_name).collect::<S3Result<Vec<_>>>()?;
    Ok(algorithms.pop())
}

fn read_name(name: &str) -> S3Result<Algorithm> {
    Algorithm::parse(name).ok_or_else(|| {
        let text = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
                    [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
        invalid(text)
    })
}

fn unreadable(algorithm: Algorithm) -> S3Error {
    invalid(&format!("Value for {} header is invalid.", algorithm.header()))
}

fn invalid(text: &str) -> S3Error {
    refuse(S3ErrorCode::InvalidRequest, text)
}

fn bad_digest(text: &str) -> S3Error {
    refuse(S3ErrorCode::BadDigest, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digests;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn digested(algorithm: Algorithm, bytes: &[u8]) -> Digested {
        let mut digests = Digests::new(&[algorithm]);
        digests.update(bytes);
        digests.finish()
    }

    #[test]
    fn a_body_is_compared_with_what_its_headers_state() {
        let stated = Stated::new(&headers(&[
            ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="),
            ("x-amz-checksum-crc32", "DUoRhQ=="),
        ]))
        .unwrap();
        stated.check(&digested(Algorithm::Crc32, b"hello world")).unwrap();
        let error = stated.check(&digested(Algorithm::Crc32, b"hello")).unwrap_err();
        assert_eq!(error.code().as_str(), "BadDigest");
    }

    #[test]
    fn statements_that_cannot_be_checked_are_refused() {
        for pairs in [
            vec![("content-md5", "short")],
            vec![("x-amz-checksum-crc32", "AAAA")],
            vec![("x-amz-checksum-md5", "AAAA")],
            vec![("x-amz-checksum-crc32", "DUoRhQ=="), ("x-amz-trailer", "x-amz-checksum-crc32c")],
            vec![("x-amz-sdk-checksum-algorithm", "ADLER32")],
        ] {
            assert!(Stated::new(&headers(&pairs)).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn an_announced_trailer_must_come() {
        let mut stated = Stated::new(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")])).unwrap();
        assert_eq!(stated.algorithm(), Some(Algorithm::Crc32));
        assert!(stated.take_trailer(&http::Extensions::new()).is_err());
    }
}
