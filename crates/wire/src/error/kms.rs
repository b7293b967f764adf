//! The codes of KMS, which has other names for the same kinds of errors.

use http::StatusCode;
use model::ErrorKind;

use super::{Code, json11_status};

/// Source: the KMS reference, "Common errors" and those of its operations.
pub(super) fn code(kind: ErrorKind) -> Code {
    let name = match kind {
        ErrorKind::Invalid => "ValidationException",
        ErrorKind::InvalidNextToken => "InvalidMarkerException",
        ErrorKind::Serialization => "SerializationException",
        ErrorKind::AlreadyExists => "AlreadyExistsException",
        ErrorKind::NotFound => "NotFoundException",
        ErrorKind::InUse => "KMSInvalidStateException",
        ErrorKind::LimitExceeded => "LimitExceededException",
        ErrorKind::Denied => "AccessDeniedException",
        ErrorKind::Throttled => "ThrottlingException",
        ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal => "KMSInternalException",
    };
    (name, status(kind))
}

// Clients try KMSInternalException again by its status.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        kind => json11_status(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_codes_of_kms() {
        for (kind, name, status) in [
            (ErrorKind::Invalid, "ValidationException", 400),
            (ErrorKind::NotFound, "NotFoundException", 400),
            (ErrorKind::Denied, "AccessDeniedException", 400),
            (ErrorKind::Unavailable, "KMSInternalException", 500),
        ] {
            let (found, found_status) = code(kind);
            assert_eq!((found, found_status.as_u16()), (name, status));
        }
    }
}
