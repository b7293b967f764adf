//! The protocols spoken, as responses: AWS JSON 1.1, REST-JSON, Query/XML, and the errors of S3.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use model::Error;
use serde_json::json;

use crate::error::{AuthError, ErrorCode, Fault};

/// The ways in which requests, answers and errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Personalize's control plane.
    Json11,
    /// KMS: AWS JSON 1.1 with codes of its own.
    Kms,
    /// Personalize's events.
    RestJson,
    /// IAM and STS.
    Query,
    /// S3.
    S3,
}

impl Protocol {
    /// The answer that says what went wrong in the work.
    pub fn error(self, error: &Error, request_id: &str) -> Response<Bytes> {
        self.fault(&Fault::of(error, self), request_id)
    }

    /// The answer to a caller who could not be authenticated.
    pub fn refusal(self, error: &AuthError, request_id: &str) -> Response<Bytes> {
        self.fault(&Fault::refusal(error, self), request_id)
    }

    /// Its code also goes beside the answer, as an `ErrorCode`.
    pub fn fault(self, fault: &Fault, request_id: &str) -> Response<Bytes> {
        let mut response = self.written(fault, request_id);
        response.extensions_mut().insert(ErrorCode(fault.code.into()));
        response
    }

    fn written(self, fault: &Fault, request_id: &str) -> Response<Bytes> {
        match self {
            Protocol::Json11 | Protocol::Kms => json11(fault.status, json_body(fault), request_id),
            Protocol::RestJson => {
                let mut response = rest_json(fault.status, json_body(fault), request_id);
                response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(fault.code));
                response
            }
            Protocol::Query => xml(fault.status, query_body(fault, request_id), request_id),
            Protocol::S3 => {
                let mut response =
                    response(fault.status, "application/xml", s3_body(fault, request_id), request_id);
                response.headers_mut().insert("x-amz-request-id", header(request_id));
                response
            }
        }
    }
}

/// An answer of the control plane.
pub fn json11(status: StatusCode, body: impl Into<Bytes>, request_id: &str) -> Response<Bytes> {
    response(status, "application/x-amz-json-1.1", body, request_id)
}

/// An answer of the events service.
pub fn rest_json(status: StatusCode, body: impl Into<Bytes>, request_id: &str) -> Response<Bytes> {
    response(status, "application/json", body, request_id)
}

/// An answer of IAM or STS.
pub fn xml(status: StatusCode, body: impl Into<Bytes>, request_id: &str) -> Response<Bytes> {
    response(status, "text/xml", body, request_id)
}

fn response(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
    request_id: &str,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("x-amzn-requestid", header(request_id));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
}

fn json_body(fault: &Fault) -> String {
    json!({"__type": fault.code, "message": fault.message}).to_string()
}

fn query_body(fault: &Fault, request_id: &str) -> String {
    let blame = if fault.status.is_server_error() { "Receiver" } else { "Sender" };
    format!(
        "<ErrorResponse><Error><Type>{blame}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{}</RequestId></ErrorResponse>",
        fault.code,
        text(&fault.message),
        text(request_id)
    )
}

fn s3_body(fault: &Fault, request_id: &str) -> String {
    let region = fault.region.as_deref().map(|r| format!("<Region>{}</Region>", text(r))).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{region}\
         <RequestId>{}</RequestId></Error>",
        fault.code,
        text(&fault.message),
        text(request_id)
    )
}

// XML 1.0 has no way to write most control characters, not even escaped.
fn text(raw: &str) -> String {
    let is_xml = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    let kept: String = raw.chars().map(|c| if is_xml(&c) { c } else { ' ' }).collect();
    quick_xml::escape::escape(kept.as_str()).into_owned()
}

#[cfg(test)]
mod tests;
