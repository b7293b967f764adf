//! Requests that are refused for their size or their end, whatever they ask for.

use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use wire::error::Fault;

/// The most that a request's target and headers may hold together.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Refuses a request with too much in front of its body.
pub fn large_head(parts: &Parts) -> Option<Fault> {
    (head_bytes(parts) > HEAD_BYTES_MAX).then(too_large_a_head)
}

fn head_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    target + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

fn too_large_a_head() -> Fault {
    let text = "Your request header section exceeds the maximum allowed size.";
    Fault::new("RequestHeaderSectionTooLarge", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text)
}

/// A body that could not be read.
pub fn unread(status: StatusCode) -> Fault {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Fault::new("RequestEntityTooLargeException", status, "The request is larger than 2 MiB.")
        }
        StatusCode::REQUEST_TIMEOUT => {
            Fault::new("RequestTimeoutException", status, "The request's body came too slowly.")
        }
        status => Fault::new("IncompleteBodyException", status, "The request's body broke off."),
    }
}

/// Ends the connection with this answer: what was refused may still be on its way.
pub fn closing<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
