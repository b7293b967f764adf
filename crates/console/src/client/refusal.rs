//! What a door answers instead of what it was asked for.

use http::StatusCode;
use serde_json::Value;

use crate::denial::Reason;
use crate::xml::Element;

/// Why a door did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// Of something that was typed.
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal { status: 400, code: String::new(), message: message.into() }
    }

    /// What the visitor is told, code last.
    pub fn text(&self) -> String {
        if self.code.is_empty() { self.message.clone() } else { format!("{} ({})", self.message, self.code) }
    }

    /// The message taken apart, with what mends a denial.
    pub fn reason(&self) -> Reason {
        Reason::read(&self.message)
    }

    /// Whether the keys are not, or no longer, known.
    pub fn is_of_keys(&self) -> bool {
        const OF_KEYS: [&str; 8] = [
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidToken",
        ];
        OF_KEYS.contains(&self.code.as_str())
    }

    /// Reads the body of an answer, whatever the door's protocol.
    pub(super) fn read(status: StatusCode, text: &str) -> Refusal {
        let (code, message) = match serde_json::from_str::<Value>(text) {
            Ok(body) => {
                let member = |name: &str| body[name].as_str().map(str::to_owned);
                (member("__type"), member("message").or_else(|| member("Message")))
            }
            Err(_) => {
                let body = Element::parse(text).unwrap_or_default();
                // Query puts the error into an answer, S3 makes it the answer.
                let error = body.child("Error").unwrap_or(&body);
                let of = |name: &str| error.child(name).map(|child| child.text.clone());
                (of("Code"), of("Message"))
            }
        };
        let code = code.unwrap_or_default();
        let message = message.filter(|text| !text.is_empty());
        let message = message.unwrap_or_else(|| format!("The server answered {status}."));
        Refusal { status: status.as_u16(), code, message }
    }
}

pub(super) fn stopping() -> Refusal {
    let message = "The server is about to stop.".to_owned();
    Refusal { status: 503, code: "ServiceUnavailable".to_owned(), message }
}

pub(super) fn unreadable() -> Refusal {
    let message = "The answer of the server can't be read.".to_owned();
    Refusal { status: 500, code: "InternalFailure".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: StatusCode, text: &str) -> (String, String) {
        let refusal = Refusal::read(status, text);
        (refusal.code, refusal.message)
    }

    #[test]
    fn a_refusal_is_read_in_each_protocol() {
        let expected = ("NoSuchThing".to_owned(), "There is <none>.".to_owned());
        let status = StatusCode::BAD_REQUEST;
        let json = r#"{"__type":"NoSuchThing","message":"There is <none>."}"#;
        let s3 = "<?xml version=\"1.0\"?><Error><Code>NoSuchThing</Code><Message>There is &lt;none&gt;.</Message></Error>";
        let query = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>NoSuchThing</Code>\
            <Message>There is &lt;none&gt;.</Message></Error></ErrorResponse>";
        for text in [json, s3, query] {
            assert_eq!(told(status, text), expected);
        }
        assert_eq!(told(status, ""), (String::new(), "The server answered 400 Bad Request.".to_owned()));
    }
}
