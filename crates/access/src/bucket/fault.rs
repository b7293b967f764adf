//! What a store's refusals and silences mean.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use model::error::chain;
use model::{Error, ErrorKind};

use super::Bucket;

impl Bucket {
    /// An error that names what was being done, and to what; the store's own text is in it, its address is not.
    pub(super) fn fault<E>(&self, error: SdkError<E, HttpResponse>, doing: &str, key: &str) -> Error
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default();
        let kind = kind(code, status);
        let at = self.at(key);
        let text = error.message().filter(|text| !text.is_empty());
        let said = text.unwrap_or(match (kind, code) {
            (ErrorKind::Denied, "") => "the store denies access",
            (ErrorKind::NotFound, "") => "there is no such bucket or object",
            (ErrorKind::Unavailable, "") => "the store did not answer",
            (_, "") => "the store refused the request",
            (_, code) => code,
        });
        let said = match kind {
            ErrorKind::Denied => self.explained(doing, key, said),
            _ => format!("{}{said}", reason(code, status).unwrap_or_default()),
        };
        let text = if key.is_empty() {
            format!("can't {doing} the bucket {}: {said}", self.name)
        } else {
            format!("can't {doing} {at}: {said}")
        };
        // The error itself can't be kept: it holds the whole answer. Its texts can.
        Error::new(kind, text).caused_by(chain(&error))
    }
}

fn kind(code: &str, status: Option<u16>) -> ErrorKind {
    match (code, status) {
        ("NoSuchKey" | "NoSuchBucket" | "NoSuchUpload" | "NotFound", _) => ErrorKind::NotFound,
        // A session that has run out gets new keys when the job opens the bucket again.
        ("ExpiredToken" | "InvalidAccessKeyId" | "InvalidToken", _) => ErrorKind::Unavailable,
        // What was sent was changed or cut off on its way.
        ("RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch", _) => {
            ErrorKind::Unavailable
        }
        // Clocks are put right.
        ("RequestTimeTooSkewed" | "RequestExpired", _) => ErrorKind::Unavailable,
        ("SlowDown" | "InternalError" | "ServiceUnavailable", _) => ErrorKind::Unavailable,
        ("AccessDenied", _) | (_, Some(401 | 403)) => ErrorKind::Denied,
        (_, Some(404)) => ErrorKind::NotFound,
        (_, Some(408 | 409 | 429)) => ErrorKind::Unavailable,
        (_, Some(300..=499)) => ErrorKind::Invalid,
        // A completion that failed may come as an answer of 200 with an error in it.
        (code, Some(200..=299)) if !code.is_empty() => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// What a person has to know who reads the store's own text, before it.
fn reason(code: &str, status: Option<u16>) -> Option<&'static str> {
    match (code, status) {
        ("RequestTimeTooSkewed" | "RequestExpired", _) => {
            Some("the clocks of the store and of this server are too far apart: ")
        }
        (_, Some(300..=399)) => Some(
            "the store sends the request on to another address or region, which is not followed; the bucket's own must \
             be set: ",
        ),
        _ => None,
    }
}
