//! A call whose signature was verified, its body read whole.

use access::Principal;
use bytes::Bytes;
use http::{HeaderMap, Method};

/// What every operation starts from.
#[derive(Debug)]
pub struct Call {
    pub principal: Principal,
    pub request_id: String,
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}
