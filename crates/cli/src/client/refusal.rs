//! What a server says when it refuses: its code and sentence, whatever the protocol.

use http::StatusCode;
use model::error::{Error, ErrorKind};
use serde_json::Value;

/// What is said of keys that are wrong or too old; not always with a status that says so.
const KEYS_REFUSED: [&str; 8] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];

/// Reads a refusal; `asked` is what was called, for answers that say nothing of themselves.
pub fn read(asked: &str, status: StatusCode, body: &[u8]) -> Error {
    let body = String::from_utf8_lossy(body);
    let (code, message) = json(&body).or_else(|| xml(&body)).unwrap_or_default();
    let text = match (code.as_str(), message.as_str()) {
        ("", "") => format!("{asked} was answered {status}: {body}"),
        (code, "") => format!("{asked} was answered {status}: {code}"),
        (code, message) => format!("{message} ({code})"),
    };
    Error::new(kind(status, &code), text)
}

fn json(body: &str) -> Option<(String, String)> {
    let body: Value = serde_json::from_str(body).ok()?;
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    // AWS may put a namespace before a code, and write the message with a capital.
    let code = text("__type").rsplit('#').next().unwrap_or_default().to_owned();
    let message = if body["message"].is_string() { text("message") } else { text("Message") };
    Some((code, message))
}

fn xml(body: &str) -> Option<(String, String)> {
    let text = |tag| super::s3::element(body, tag).unwrap_or_default();
    body.contains("<Code>").then(|| (text("Code"), text("Message")))
}

fn kind(status: StatusCode, code: &str) -> ErrorKind {
    match (code, status.as_u16()) {
        ("ResourceNotFoundException" | "NoSuchKey" | "NoSuchBucket", _) | (_, 404) => ErrorKind::NotFound,
        ("AccessDeniedException" | "AccessDenied", _) | (_, 403) => ErrorKind::Denied,
        (code, _) if KEYS_REFUSED.contains(&code) => ErrorKind::Denied,
        ("ResourceAlreadyExistsException", _) => ErrorKind::AlreadyExists,
        ("LimitExceededException", _) => ErrorKind::LimitExceeded,
        ("ResourceInUseException", _) | (_, 409) => ErrorKind::InUse,
        ("ThrottlingException" | "SlowDown" | "TooManyRequestsException", _) | (_, 429) => {
            ErrorKind::Throttled
        }
        (_, 500..) => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> (ErrorKind, String) {
        let error = read("s3 GET /b/k", StatusCode::from_u16(status).unwrap(), body.as_bytes());
        (error.kind, error.message().to_owned())
    }

    #[test]
    fn the_servers_sentence_comes_first() {
        let json = r#"{"__type":"ResourceNotFoundException","message":"There is none."}"#;
        assert_eq!(
            told(400, json),
            (ErrorKind::NotFound, "There is none. (ResourceNotFoundException)".into())
        );
        let xml =
            "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>a &amp; b</Message></Error>";
        assert_eq!(told(403, xml), (ErrorKind::Denied, "a & b (AccessDenied)".into()));
    }

    #[test]
    fn what_aws_says_is_understood_too() {
        let aws =
            |code: &str| told(400, &format!(r#"{{"__type":"com.amazonaws.x#{code}","Message":"No."}}"#));
        assert_eq!(
            aws("LimitExceededException"),
            (ErrorKind::LimitExceeded, "No. (LimitExceededException)".into())
        );
        assert_eq!(aws("ExpiredTokenException").0, ErrorKind::Denied);
        assert_eq!(aws("InvalidInputException").0, ErrorKind::Invalid);
    }

    #[test]
    fn an_answer_without_words_names_what_was_asked() {
        assert_eq!(told(404, ""), (ErrorKind::NotFound, "s3 GET /b/k was answered 404 Not Found: ".into()));
        assert_eq!(told(502, "bad").0, ErrorKind::Unavailable);
    }
}
