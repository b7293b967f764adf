//! Errors on the wire: which code and status a kind of error has in each protocol; bodies are made in `protocol`.

mod kms;

use std::borrow::Cow;

use http::StatusCode;
use model::{Error, ErrorKind};

use crate::protocol::Protocol;
use crate::sigv4::AuthErrorKind as Auth;

pub use crate::sigv4::{AuthError, AuthErrorKind};

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub status: StatusCode,
    pub message: String,
    /// The region to sign for, in the answers of S3 to requests signed for another.
    pub region: Option<String>,
}

/// The code of an error, beside the answer that bears it, for whoever keeps a record of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub Cow<'static, str>);

impl Fault {
    pub fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Fault {
        Fault { code, status, message: message.into(), region: None }
    }

    /// An error of the work; what only the operator can mend is told without details.
    pub fn of(error: &Error, protocol: Protocol) -> Fault {
        let (code, status) = code(error.kind, protocol);
        match error.kind {
            ErrorKind::Corrupt | ErrorKind::Internal => Fault::new(code, status, HIDDEN),
            _ => Fault::new(code, status, error.message()),
        }
    }

    /// A caller who could not be authenticated.
    pub fn refusal(error: &AuthError, protocol: Protocol) -> Fault {
        let (code, status) = auth_code(error.kind, protocol);
        let region = error.expected_region.clone();
        Fault { region, ..Fault::new(code, status, &error.message) }
    }

    /// Our bug, met while a request was served.
    pub fn internal(protocol: Protocol) -> Fault {
        Fault::of(&Error::internal(""), protocol)
    }
}

const HIDDEN: &str = "The server failed to do this; its log says why, under this request's id.";

type Code = (&'static str, StatusCode);

/// The code and the status of an error kind.
///
/// Source: the service model's errors, "Common errors", and those of the IAM and S3 references. The JSON 1.1
/// protocol answers nearly all of them with 400.
pub fn code(kind: ErrorKind, protocol: Protocol) -> Code {
    match protocol {
        Protocol::Json11 => (json_code(kind), json11_status(kind)),
        Protocol::Kms => kms::code(kind),
        Protocol::RestJson => (json_code(kind), rest_json_status(kind)),
        Protocol::Query => query_code(kind),
        Protocol::S3 => s3_code(kind),
    }
}

fn json_code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "InvalidInputException",
        ErrorKind::InvalidNextToken => "InvalidNextTokenException",
        ErrorKind::Serialization => "SerializationException",
        ErrorKind::AlreadyExists => "ResourceAlreadyExistsException",
        ErrorKind::NotFound => "ResourceNotFoundException",
        ErrorKind::InUse => "ResourceInUseException",
        ErrorKind::LimitExceeded => "LimitExceededException",
        ErrorKind::Denied => "AccessDeniedException",
        ErrorKind::Throttled => "ThrottlingException",
        ErrorKind::Unavailable => "ServiceUnavailableException",
        ErrorKind::Corrupt | ErrorKind::Internal => "InternalServerException",
    }
}

fn json11_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn rest_json_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::InUse => StatusCode::CONFLICT,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        kind => json11_status(kind),
    }
}

fn query_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid | ErrorKind::InvalidNextToken => ("ValidationError", StatusCode::BAD_REQUEST),
        ErrorKind::Serialization => ("MalformedQueryString", StatusCode::BAD_REQUEST),
        ErrorKind::AlreadyExists => ("EntityAlreadyExists", StatusCode::CONFLICT),
        ErrorKind::NotFound => ("NoSuchEntity", StatusCode::NOT_FOUND),
        ErrorKind::InUse => ("DeleteConflict", StatusCode::CONFLICT),
        ErrorKind::LimitExceeded => ("LimitExceeded", StatusCode::CONFLICT),
        ErrorKind::Denied => ("AccessDenied", StatusCode::FORBIDDEN),
        ErrorKind::Throttled => ("Throttling", StatusCode::BAD_REQUEST),
        ErrorKind::Unavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Corrupt | ErrorKind::Internal => ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn s3_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid | ErrorKind::InvalidNextToken => ("InvalidArgument", StatusCode::BAD_REQUEST),
        ErrorKind::Serialization => ("MalformedXML", StatusCode::BAD_REQUEST),
        ErrorKind::AlreadyExists => ("BucketAlreadyOwnedByYou", StatusCode::CONFLICT),
        ErrorKind::NotFound => ("NoSuchKey", StatusCode::NOT_FOUND),
        ErrorKind::InUse => ("OperationAborted", StatusCode::CONFLICT),
        ErrorKind::LimitExceeded => ("TooManyBuckets", StatusCode::BAD_REQUEST),
        ErrorKind::Denied => ("AccessDenied", StatusCode::FORBIDDEN),
        ErrorKind::Throttled => ("SlowDown", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Unavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Corrupt | ErrorKind::Internal => ("InternalError", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The code and the status with which a protocol refuses a caller.
pub fn auth_code(kind: Auth, protocol: Protocol) -> Code {
    match protocol {
        Protocol::Json11 | Protocol::Kms => auth_json_code(kind, StatusCode::BAD_REQUEST),
        Protocol::RestJson => auth_json_code(kind, StatusCode::FORBIDDEN),
        Protocol::Query => auth_query_code(kind),
        Protocol::S3 => auth_s3_code(kind),
    }
}

fn auth_json_code(kind: Auth, refused: StatusCode) -> Code {
    match kind {
        Auth::MissingToken => ("MissingAuthenticationTokenException", StatusCode::FORBIDDEN),
        Auth::Incomplete | Auth::MalformedQuery | Auth::Ambiguous | Auth::UnsupportedAlgorithm => {
            ("IncompleteSignatureException", StatusCode::BAD_REQUEST)
        }
        Auth::UnknownKey | Auth::InvalidToken => ("UnrecognizedClientException", refused),
        Auth::ExpiredToken => ("ExpiredTokenException", refused),
        Auth::Mismatch
        | Auth::Skewed
        | Auth::Expired
        | Auth::WrongRegion
        | Auth::WrongService
        | Auth::UnsignedHeader
        | Auth::MissingPayloadHash
        | Auth::UnknownPayload
        | Auth::PayloadMismatch => ("InvalidSignatureException", refused),
    }
}

fn auth_query_code(kind: Auth) -> Code {
    match kind {
        Auth::MissingToken => ("MissingAuthenticationToken", StatusCode::FORBIDDEN),
        Auth::Incomplete | Auth::MalformedQuery | Auth::Ambiguous | Auth::UnsupportedAlgorithm => {
            ("IncompleteSignature", StatusCode::BAD_REQUEST)
        }
        Auth::UnknownKey | Auth::InvalidToken => ("InvalidClientTokenId", StatusCode::FORBIDDEN),
        Auth::ExpiredToken => ("ExpiredToken", StatusCode::FORBIDDEN),
        Auth::Mismatch
        | Auth::Skewed
        | Auth::Expired
        | Auth::WrongRegion
        | Auth::WrongService
        | Auth::UnsignedHeader
        | Auth::MissingPayloadHash
        | Auth::UnknownPayload
        | Auth::PayloadMismatch => ("SignatureDoesNotMatch", StatusCode::FORBIDDEN),
    }
}

fn auth_s3_code(kind: Auth) -> Code {
    match kind {
        Auth::MissingToken | Auth::Expired | Auth::UnsignedHeader => ("AccessDenied", StatusCode::FORBIDDEN),
        Auth::Incomplete | Auth::WrongRegion | Auth::WrongService => {
            ("AuthorizationHeaderMalformed", StatusCode::BAD_REQUEST)
        }
        Auth::MalformedQuery => ("AuthorizationQueryParametersError", StatusCode::BAD_REQUEST),
        Auth::Ambiguous | Auth::UnknownPayload => ("InvalidArgument", StatusCode::BAD_REQUEST),
        Auth::UnsupportedAlgorithm | Auth::MissingPayloadHash => ("InvalidRequest", StatusCode::BAD_REQUEST),
        Auth::UnknownKey => ("InvalidAccessKeyId", StatusCode::FORBIDDEN),
        Auth::Mismatch => ("SignatureDoesNotMatch", StatusCode::FORBIDDEN),
        Auth::Skewed => ("RequestTimeTooSkewed", StatusCode::FORBIDDEN),
        Auth::InvalidToken => ("InvalidToken", StatusCode::BAD_REQUEST),
        Auth::ExpiredToken => ("ExpiredToken", StatusCode::BAD_REQUEST),
        Auth::PayloadMismatch => ("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST),
    }
}

/// The code and the status with which S3 refuses a body that is not what was signed.
pub fn body_code(kind: crate::sigv4::BodyErrorKind) -> Code {
    use crate::sigv4::BodyErrorKind as Body;
    match kind {
        Body::Incomplete => ("IncompleteBody", StatusCode::BAD_REQUEST),
        Body::Malformed => ("InvalidRequest", StatusCode::BAD_REQUEST),
        Body::HashMismatch => ("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST),
        Body::SignatureMismatch => ("SignatureDoesNotMatch", StatusCode::FORBIDDEN),
        Body::ChecksumMismatch => ("BadDigest", StatusCode::BAD_REQUEST),
    }
}
