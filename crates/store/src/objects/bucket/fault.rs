//! What the answers and silences of the store mean.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use model::error::chain;

/// What to make of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The same call may succeed later.
    Passing,
    /// There is no such object, upload or bucket.
    Missing,
    /// A condition of the call does not hold: the key is taken, or its object is another one.
    Taken,
    Denied,
    Refused,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Fault {
    pub meaning: Meaning,
    /// The store's word for it, or nothing.
    pub code: String,
    /// For the log.
    pub text: String,
}

impl Fault {
    pub fn of<E>(error: SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        let status_text = status.map(|status| format!(" (status {status})")).unwrap_or_default();
        let told = error.message().map(|text| format!(": {code}: {text}")).unwrap_or_default();
        // The error itself can't be kept: it holds the whole answer. Its texts can.
        Fault { meaning: meaning(&code, status), text: format!("{}{status_text}{told}", chain(&error)), code }
    }

    pub fn passing(text: &str) -> Fault {
        Fault { meaning: Meaning::Passing, code: String::new(), text: text.to_owned() }
    }

    pub fn missing() -> Fault {
        Fault { meaning: Meaning::Missing, code: String::new(), text: "there is none".to_owned() }
    }

    pub fn refused(text: &str) -> Fault {
        Fault { meaning: Meaning::Refused, code: String::new(), text: text.to_owned() }
    }

    /// One that is told within an answer.
    pub fn told(code: &str, text: Option<&str>) -> Fault {
        let text = format!("{code}: {}", text.unwrap_or_default());
        Fault { meaning: meaning(code, Some(200)), code: code.to_owned(), text }
    }
}

fn meaning(code: &str, status: Option<u16>) -> Meaning {
    match (code, status) {
        ("NoSuchKey" | "NoSuchBucket" | "NoSuchUpload" | "NotFound", _) => Meaning::Missing,
        ("PreconditionFailed", _) | (_, Some(412)) => Meaning::Taken,
        // What was sent was changed or cut off on its way.
        ("RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch", _) => {
            Meaning::Passing
        }
        // Clocks are put right.
        ("RequestTimeTooSkewed" | "RequestExpired", _) => Meaning::Passing,
        ("SlowDown" | "InternalError" | "ServiceUnavailable" | "OperationAborted", _) => Meaning::Passing,
        ("NotImplemented", _) | (_, Some(501)) => Meaning::Refused,
        ("AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch", _) | (_, Some(401 | 403)) => {
            Meaning::Denied
        }
        (_, Some(404)) => Meaning::Missing,
        (_, Some(408 | 409 | 429)) => Meaning::Passing,
        (_, Some(300..=499)) => Meaning::Refused,
        // A completion that failed may come as an answer of 200 with an error in it.
        (code, Some(200..=299)) if !code.is_empty() => Meaning::Refused,
        _ => Meaning::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silences_and_outages_pass_and_refusals_stay() {
        for (code, status, expected) in [
            ("", None, Meaning::Passing),
            ("", Some(500), Meaning::Passing),
            ("SlowDown", Some(503), Meaning::Passing),
            ("TooManyRequests", Some(429), Meaning::Passing),
            ("InternalError", Some(200), Meaning::Passing),
            ("ConditionalRequestConflict", Some(409), Meaning::Passing),
            ("BadDigest", Some(400), Meaning::Passing),
            ("PreconditionFailed", Some(412), Meaning::Taken),
            ("NoSuchKey", Some(404), Meaning::Missing),
            ("AccessDenied", Some(403), Meaning::Denied),
            ("InvalidArgument", Some(400), Meaning::Refused),
            ("NotImplemented", Some(501), Meaning::Refused),
        ] {
            assert_eq!(meaning(code, status), expected, "{code} {status:?}");
        }
    }
}
