//! Why a caller could not be authenticated; `error` turns each reason into the codes of the protocols.

use std::fmt;

/// What was wrong with a request's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthErrorKind {
    /// Nothing in the request says who sends it.
    MissingToken,
    /// The Authorization header lacks a part, or a part can't be read.
    Incomplete,
    /// A parameter of a presigned address is missing or can't be read.
    MalformedQuery,
    /// Credentials in several places at once.
    Ambiguous,
    /// Another algorithm than AWS4-HMAC-SHA256.
    UnsupportedAlgorithm,
    /// No live key bears this access key id.
    UnknownKey,
    /// The signature does not fit the request.
    Mismatch,
    /// The request was signed more than 15 minutes before or after now.
    Skewed,
    /// A presigned address is past its time.
    Expired,
    /// The session token is not the one that was given out with the key.
    InvalidToken,
    /// The session is past its time.
    ExpiredToken,
    /// Signed for another region than the server's.
    WrongRegion,
    /// Signed for a service that is not served here.
    WrongService,
    /// A header that has to be signed is not.
    UnsignedHeader,
    /// S3 only: x-amz-content-sha256 is missing.
    MissingPayloadHash,
    /// x-amz-content-sha256 names no way of signing bodies that is known here, or lacks what that way needs.
    UnknownPayload,
    /// The body is not the one that was signed.
    PayloadMismatch,
}

/// A refusal, with the text for whoever sent the request.
#[derive(Clone, Debug)]
pub struct AuthError {
    pub kind: AuthErrorKind,
    pub message: String,
    /// The region that the request should have been signed for, when that was the trouble.
    pub expected_region: Option<String>,
}

impl AuthError {
    pub fn new(kind: AuthErrorKind, message: impl Into<String>) -> AuthError {
        AuthError { kind, message: message.into(), expected_region: None }
    }

    /// The answer to requests that carry no signature.
    pub fn missing() -> AuthError {
        AuthError::new(AuthErrorKind::MissingToken, "Request is missing Authentication Token")
    }

    /// The answer to access key ids that nobody bears.
    pub fn unknown_key() -> AuthError {
        let text = "The security token included in the request is invalid: this server knows no such access key id. \
                    Run `eval \"$(lade env)\"` to use the server's own key.";
        AuthError::new(AuthErrorKind::UnknownKey, text)
    }

    /// The answer to services that are not behind this server's doors.
    pub fn wrong_service(service: &str, served: &[&str]) -> AuthError {
        let served = served.join(", ");
        let text = format!(
            "Credential is scoped to the service '{service}', which is not served here; served are: {served}."
        );
        AuthError::new(AuthErrorKind::WrongService, text)
    }

    /// The answer to services that the operator has put elsewhere by a setting.
    pub fn served_elsewhere(service: &str, setting: &str) -> AuthError {
        let text = format!(
            "Credential is scoped to the service '{service}', which this server leaves to the one that its setting \
             `{setting}` names: send the request there."
        );
        AuthError::new(AuthErrorKind::WrongService, text)
    }

    pub(super) fn incomplete(message: impl Into<String>) -> AuthError {
        AuthError::new(AuthErrorKind::Incomplete, message)
    }

    pub(super) fn wrong_region(found: &str, expected: &str) -> AuthError {
        let text = format!(
            "Credential should be scoped to a valid region: the region '{found}' is wrong; expecting '{expected}'. \
             This server has one region, its setting `region`; set AWS_REGION={expected}."
        );
        let kind = AuthErrorKind::WrongRegion;
        AuthError { kind, message: text, expected_region: Some(expected.to_owned()) }
    }

    pub(super) fn mismatch() -> AuthError {
        let text = "The request signature we calculated does not match the signature you provided. Check your AWS \
                    Secret Access Key and signing method. Consult the service documentation for details.";
        AuthError::new(AuthErrorKind::Mismatch, text)
    }

    /// The answer to session tokens that were not given out with the key.
    pub fn invalid_token() -> AuthError {
        AuthError::new(AuthErrorKind::InvalidToken, "The security token included in the request is invalid.")
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AuthError {}
