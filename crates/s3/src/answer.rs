//! What every answer carries besides what s3s writes: the request id, and whole errors.

use http::{HeaderValue, Method, Response, header};
use s3s::Body;
use wire::error::ErrorCode;

use crate::error::sentence;

/// Completes an answer: its id, an error's message, resource and id; no body where there may be none.
pub fn complete(mut answer: Response<Body>, method: &Method, path: &str, request_id: &str) -> Response<Body> {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        answer.headers_mut().insert("x-amz-request-id", id);
    }
    let status = answer.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let text = answer.body().bytes().filter(|_| is_error);
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if let Some(code) = text.as_deref().and_then(code) {
        answer.extensions_mut().insert(ErrorCode(code.to_owned().into()));
    }
    if *method == Method::HEAD || status == http::StatusCode::NOT_MODIFIED {
        if status.as_u16() >= 300 {
            answer.headers_mut().remove(header::CONTENT_TYPE);
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            *answer.body_mut() = Body::empty();
        }
        return answer;
    }
    if let Some(text) = text.and_then(|text| complete_error(text, path, request_id)) {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        *answer.body_mut() = Body::from(text);
    }
    answer
}

fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0)
}

fn complete_error(mut text: String, path: &str, request_id: &str) -> Option<String> {
    let end = text.rfind("</Error>")?;
    let mut more = String::new();
    if !text.contains("<Message>") {
        more.push_str(&format!("<Message>{}</Message>", sentence(code(&text).unwrap_or_default())));
    }
    more.push_str(&format!("<Resource>{}</Resource>", escape(path)));
    more.push_str(&format!("<RequestId>{}</RequestId>", escape(request_id)));
    text.insert_str(end, &more);
    Some(text)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_message_gets_one() {
        let text = "<Error><Code>InvalidBucketName</Code></Error>".to_owned();
        let text = complete_error(text, "/A&B", "id").unwrap();
        assert!(text.contains("<Message>The specified bucket is not valid.</Message>"), "{text}");
        assert!(text.contains("<Resource>/A&amp;B</Resource><RequestId>id</RequestId></Error>"), "{text}");
    }
}
