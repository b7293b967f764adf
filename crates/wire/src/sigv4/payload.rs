//! How a body is covered by the signature, as x-amz-content-sha256 says.

use http::request::Parts;

use super::canonical::Query;
use super::refusal::{AuthError, AuthErrorKind};
use super::scope::{Claim, single};

pub(super) const HEADER: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The ways of signing a body; no other is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// The SHA-256 of the whole body.
    Hash([u8; 32]),
    /// S3 only: the body is not signed.
    Unsigned,
    /// S3 only: each chunk of the body carries a signature.
    SignedChunks,
    /// S3 only: each chunk carries a signature, and so do the trailing headers.
    SignedChunksTrailer,
    /// S3 only: unsigned chunks, followed by a checksum in a trailing header.
    UnsignedTrailer,
}

impl Payload {
    pub fn parse(text: &str) -> Option<Payload> {
        match text {
            UNSIGNED => Some(Payload::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Payload::SignedChunks),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Payload::SignedChunksTrailer),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Payload::UnsignedTrailer),
            text => {
                let mut hash = [0; 32];
                hex::decode_to_slice(text, &mut hash).ok().map(|()| Payload::Hash(hash))
            }
        }
    }

    /// Reads the way in which an S3 request signs its body, and the text that stands for it in the signature.
    pub fn of_s3(parts: &Parts, claim: &Claim) -> Result<(Payload, String), AuthError> {
        let text = match (single(&parts.headers, HEADER)?, claim.is_presigned()) {
            (Some(text), _) => text.to_owned(),
            (None, true) => {
                let query = Query::parse(parts.uri.query().unwrap_or_default());
                query.optional("X-Amz-Content-Sha256")?.unwrap_or_else(|| UNSIGNED.to_owned())
            }
            (None, false) => {
                let text = format!("Missing required header for this request: {HEADER}");
                return Err(AuthError::new(AuthErrorKind::MissingPayloadHash, text));
            }
        };
        let payload = Payload::parse(&text).filter(|payload| !(claim.is_presigned() && payload.is_chunked()));
        Ok((payload.ok_or_else(unknown)?, text))
    }

    pub fn is_chunked(&self) -> bool {
        match self {
            Payload::Hash(_) | Payload::Unsigned => false,
            Payload::SignedChunks | Payload::SignedChunksTrailer | Payload::UnsignedTrailer => true,
        }
    }
}

pub(super) fn unknown() -> AuthError {
    let text = format!(
        "{HEADER} must be a valid SHA-256 of the body, or a mode of signing bodies that this service knows."
    );
    AuthError::new(AuthErrorKind::UnknownPayload, text)
}

pub(super) fn mismatch() -> AuthError {
    let text = format!("The provided '{HEADER}' header does not match what was computed.");
    AuthError::new(AuthErrorKind::PayloadMismatch, text)
}
