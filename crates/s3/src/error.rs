//! Refusals and failures as S3 errors: which code they get, and the sentence that goes with it.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError};

/// A refusal with a sentence for whoever made the request.
pub fn refuse(code: S3ErrorCode, message: impl Into<String>) -> S3Error {
    S3Error::with_message(code, message.into())
}

/// A refusal whose code s3s has no name for.
pub fn refuse_as(code: &str, status: StatusCode, message: impl Into<String>) -> S3Error {
    let mut error = refuse(code.parse().unwrap_or(S3ErrorCode::InvalidRequest), message);
    error.set_status_code(status);
    error
}

/// What is not offered is refused by name, never ignored.
pub fn not_offered(message: impl Into<String>) -> S3Error {
    refuse(S3ErrorCode::NotImplemented, message)
}

/// Stored data is damaged; the operator reads the cause in the log.
pub fn damaged(what: &str) -> S3Error {
    refuse(S3ErrorCode::InternalError, format!("The stored data of {what} is damaged."))
}

/// Names what was being done when a disk, the index or a task failed.
pub trait Doing<T> {
    /// The failure becomes the cause of a `ServiceUnavailable`, which clients try again by themselves.
    fn doing(self, what: &'static str) -> S3Result<T>;
}

impl<T, E: Into<StdError>> Doing<T> for Result<T, E> {
    fn doing(self, what: &'static str) -> S3Result<T> {
        self.map_err(|cause| {
            let text = format!("The object store could not {what}; try again.");
            let mut error = refuse(S3ErrorCode::ServiceUnavailable, text);
            error.set_source(cause.into());
            error
        })
    }
}

/// The whole chain in one line, for the log.
pub fn chain(error: &S3Error) -> String {
    let mut text = format!("{}: {}", error.code().as_str(), error.message().unwrap_or_default());
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source().map(|e| e as _);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The sentence for a code that came without one.
pub fn sentence(code: &str) -> &'static str {
    match code {
        "InvalidBucketName" => "The specified bucket is not valid.",
        "KeyTooLongError" => "Your key is too long: it may have 1024 bytes.",
        "InvalidURI" => "The request's address could not be read.",
        "MalformedXML" => "The XML in the request's body could not be read, or it lacks a required element.",
        "MissingRequestBodyError" => "The request's body is empty.",
        "MethodNotAllowed" => "This method is not allowed on this resource.",
        "MissingContentLength" => "The request must state its Content-Length.",
        "MaxMessageLengthExceeded" => "The request's body is too large.",
        "IncompleteBody" => "The body ended before the number of bytes that Content-Length states.",
        "InvalidAccessKeyId" => "The request's credentials were not verified.",
        "InternalError" => "The server met an internal error; try again.",
        _ => "The request could not be served.",
    }
}
