//! Request bodies: what became of a broken one, and those that are small enough to be read at once.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use s3s::{S3Error, S3ErrorCode, S3Result, StdError};
use wire::sigv4::{BodyError, BodyErrorKind, Trailers};

use crate::checksum::Algorithm;
use crate::digest::Digests;
use crate::error::{refuse, refuse_as};
use crate::integrity::{Stated, header};

/// The most bytes of an XML or JSON body.
const SMALL_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Reads a small body whole and compares it with the hashes that its headers state; trailers were verified on the way.
///
/// # Errors
/// `MaxMessageLengthExceeded`, `BadDigest`, and those of [`broken`].
pub async fn read_small<B>(body: B, headers: &HeaderMap, stated: &Stated) -> S3Result<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<StdError>,
{
    let length = header(headers, "content-length").and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > SMALL_BYTES_MAX) {
        return Err(too_large());
    }
    let body = std::pin::pin!(body);
    let bytes = Limited::new(body, SMALL_BYTES_MAX).collect().await.map_err(broken)?.to_bytes();
    if length.is_some_and(|length| length != bytes.len()) {
        return Err(incomplete());
    }
    let mut digests = Digests::new(&stated.algorithms());
    digests.update(&bytes);
    stated.check(&digests.finish())?;
    Ok(bytes)
}

/// The refusal for a body that could not be read to its end.
pub fn broken(cause: StdError) -> S3Error {
    if cause.is::<http_body_util::LengthLimitError>() {
        return too_large();
    }
    let Some(error) = cause.downcast_ref::<BodyError>() else { return incomplete() };
    let bad = StatusCode::BAD_REQUEST;
    match error.kind {
        BodyErrorKind::Incomplete if is_timeout(error) => {
            let text = "Your socket connection to the server was not read from or written to within the timeout period.";
            refuse(S3ErrorCode::RequestTimeout, text)
        }
        BodyErrorKind::Incomplete => refuse(S3ErrorCode::IncompleteBody, error.to_string()),
        BodyErrorKind::Malformed => refuse(S3ErrorCode::InvalidRequest, error.to_string()),
        BodyErrorKind::HashMismatch => refuse_as("XAmzContentSHA256Mismatch", bad, error.to_string()),
        BodyErrorKind::SignatureMismatch => refuse(S3ErrorCode::SignatureDoesNotMatch, error.to_string()),
        BodyErrorKind::ChecksumMismatch => refuse(S3ErrorCode::BadDigest, error.to_string()),
    }
}

// The sender was given up; clients try such a request again.
fn is_timeout(error: &BodyError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A trailing header of a body that was read to its end and found true.
pub fn trailer(extensions: &http::Extensions, algorithm: Algorithm) -> Option<String> {
    let trailers = extensions.get::<Trailers>()?.0.get()?;
    header(trailers, algorithm.header()).map(str::to_owned)
}

pub fn incomplete() -> S3Error {
    refuse(
        S3ErrorCode::IncompleteBody,
        "You did not provide the number of bytes specified by Content-Length.",
    )
}

fn too_large() -> S3Error {
    let text = format!("The request's body is too large; {SMALL_BYTES_MAX} bytes are allowed.");
    refuse(S3ErrorCode::MaxMessageLengthExceeded, text)
}
