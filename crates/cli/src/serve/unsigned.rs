//! Requests without a signature: health, a word about what this is, and refusals.

use access::Peer;
use bytes::Bytes;
use console::Console;
use http::header::{ACCEPT, CONTENT_TYPE, FORWARDED, HOST, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use measure::Page;
use wire::error::AuthError;
use wire::protocol::Protocol;

const ABOUT: &str = "This is Lade: a server that speaks the data side of Amazon Personalize, with S3, IAM, STS and KMS.\n\
    In a browser, /console/ is its console. To point the AWS clients of a shell here: eval \"$(lade env)\"\n";

/// Where it is told whether the server lives.
pub const LIVE: &str = "/health/live";

/// Where it is told whether the server can do what it is asked.
pub const READY: &str = "/health/ready";

/// Where everything that is counted is told.
pub const METRICS: &str = "/metrics";

/// Whether a request asks for the metrics, from this machine and as itself: what a proxy hands on comes from anybody, and
/// what names another host may be a page in a browser.
pub fn asks_metrics(parts: &Parts) -> bool {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD) && parts.uri.path() == METRICS;
    let is_near = parts.extensions.get::<Peer>().is_some_and(|peer| peer.address.is_loopback());
    let is_handed_on = parts.headers.contains_key(FORWARDED) || parts.headers.contains_key("x-forwarded-for");
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    is_read && is_near && !is_handed_on && host.is_some_and(is_this_machine)
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Tells them.
pub fn metrics(page: String) -> Response<Bytes> {
    let mut response = text("");
    *response.body_mut() = Bytes::from(page);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Page::CONTENT_TYPE));
    response
}

/// What an unsigned request is counted as.
pub fn kind(method: &Method, path: &str) -> &'static str {
    match path {
        LIVE | READY => "health",
        METRICS => "metrics",
        _ if *method == Method::OPTIONS => "preflight",
        _ if Console::takes(path) => "console",
        _ => "none",
    }
}

/// Whether a request asks that.
pub fn asks_ready(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD) && parts.uri.path() == READY
}

/// Says so, or why not, in one word.
pub fn ready(reason: Option<&'static str>) -> Response<Bytes> {
    let Some(reason) = reason else { return text("ok\n") };
    let mut response = text(reason);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Answers a request that says nothing of who sends it; none of these reaches a door.
pub fn answer(parts: &Parts, request_id: &str) -> Response<Bytes> {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    match parts.uri.path() {
        "/" if is_read && parts.uri.query().is_none() => text(ABOUT),
        LIVE if is_read => text("ok\n"),
        _ => protocol(parts).refusal(&AuthError::missing(), request_id),
    }
}

/// Whether a browser asks for a page; the start page is a word of text to all others.
pub fn is_of_console(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let wants_page = || parts.headers.get(ACCEPT).is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
    Console::takes(path) && (path != "/" || (parts.method == Method::GET && wants_page()))
}

/// The protocol that a request without a readable signature speaks, by its looks.
pub fn protocol(parts: &Parts) -> Protocol {
    let path = parts.uri.path();
    let is_form = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|v| v.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if parts.headers.contains_key("x-amz-target") {
        Protocol::Json11
    } else if parts.method == Method::POST && path == "/" {
        if is_form { Protocol::Query } else { Protocol::Json11 }
    } else if path.starts_with("/lade/")
        || (is_events_path(path) && parts.method == Method::POST && parts.uri.query().is_none())
    {
        Protocol::RestJson
    } else {
        Protocol::S3
    }
}

/// Whether this is the path of an operation of the events service.
pub fn is_events_path(path: &str) -> bool {
    ["/events", "/items", "/users", "/actions", "/action-interactions"].contains(&path)
}

/// A page of plain text.
pub fn text(text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
