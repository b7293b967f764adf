//! A call whose signature was verified, its body read whole.

use access::{Asking, Peer, Principal};
use bytes::Bytes;
use http::{HeaderMap, Method};

/// What every operation starts from.
#[derive(Clone, Debug)]
pub struct Call {
    pub principal: Principal,
    /// Where the caller is, as far as this is known.
    pub peer: Option<Peer>,
    /// The service that the signature is for, such as `iam`.
    pub service: String,
    /// Whether it was signed with keys of a session.
    pub is_temporary: bool,
    pub request_id: String,
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// Who asks for what the operation needs.
    pub fn asking(&self) -> Asking<'_> {
        Asking::new(&self.principal, self.peer)
    }
}
