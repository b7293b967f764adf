//! Signature Version 4, verified: headers, presigned queries, signed bodies; signing is left to clients.

mod body;
mod canonical;
mod checksum;
mod chunked;
mod digits;
mod key;
mod payload;
mod refusal;
mod scope;
mod strip;
mod timestamp;
mod trailer;
mod verify;

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;

pub use body::{Body, BodyError, BodyErrorKind, Raw};
pub use refusal::{AuthError, AuthErrorKind};
pub use scope::{Scope, scope};
pub use verify::{Rules, session_token, verify, verify_whole};

/// What a signature is checked against.
#[derive(Clone)]
pub struct Credential {
    pub secret_access_key: String,
    /// Set for temporary credentials; the request must present the same.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(hidden)")
    }
}

/// The trailing headers of a chunked body, there once the body was read to its end and found true.
#[derive(Clone, Debug, Default)]
pub struct Trailers(pub Arc<OnceLock<HeaderMap>>);

#[cfg(test)]
mod tests;
