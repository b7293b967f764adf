//! Answers to a browser, each with the headers that keep pages to themselves.

use access::bucket::Leaving;
use askama::Template;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};

/// Only what this server itself gives, no script in a page, in nobody's frame, and forms lead nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The name of the cookie that knows the session.
pub const COOKIE: &str = "lade-session";

/// A page.
pub fn page(status: StatusCode, template: &impl Template) -> Leaving {
    match template.render() {
        Ok(text) => html(status, text),
        // A template fails only when memory does.
        Err(_) => html(StatusCode::INTERNAL_SERVER_ERROR, "The page can't be shown.".to_owned()),
    }
}

fn html(status: StatusCode, text: String) -> Leaving {
    with_type(status, "text/html; charset=utf-8", "no-store", Bytes::from(text))
}

/// Data for a script of a page.
pub fn json(value: &serde_json::Value) -> Leaving {
    with_type(StatusCode::OK, "application/json", "no-store", Bytes::from(value.to_string()))
}

/// A style sheet or script; its address changes with its content.
pub fn asset(content_type: &'static str, content: &'static str) -> Leaving {
    let forever = "public, max-age=31536000, immutable";
    with_type(StatusCode::OK, content_type, forever, Bytes::from_static(content.as_bytes()))
}

/// Elsewhere, by GET.
pub fn to(path: &str) -> Leaving {
    let mut answer = with_type(StatusCode::SEE_OTHER, "text/plain", "no-store", Bytes::new());
    if let Ok(path) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(LOCATION, path);
    }
    answer
}

/// The answer, which also gives the browser its session, or takes it away where there is none.
pub fn with_session(mut answer: Leaving, id: Option<&str>, is_secure: bool) -> Leaving {
    let secure = if is_secure { "; Secure" } else { "" };
    let (value, age) = id.map_or(("", "; Max-Age=0"), |id| (id, ""));
    let cookie = format!("{COOKIE}={value}; Path=/console; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

/// Adds to any answer what all of the console's answers bear.
pub fn guard(answer: &mut Leaving) {
    let headers = answer.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn with_type(status: StatusCode, content_type: &'static str, caching: &'static str, body: Bytes) -> Leaving {
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    answer
}
