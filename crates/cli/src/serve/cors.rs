//! Calls from browsers: pages of the origins that the operator names may use the events operations, and nothing else.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

use super::unsigned::is_events_path;

/// The origins that are let in: scheme, host and port of each, or `*`.
pub struct Cors {
    pub origins: Vec<String>,
}

const REFUSED: &str =
    "No page of this origin may put events here: the setting cors_origins names those that may.\n";

impl Cors {
    /// Answers a browser that asks before it sends a call; `None` for every other request.
    ///
    /// Source: "CORS protocol" of the Fetch standard. Calls bear a signature and no cookie, so any header may come.
    pub fn preflight(&self, parts: &Parts) -> Option<Response<Bytes>> {
        let asks = parts.headers.contains_key(ORIGIN)
            && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && parts.method == Method::OPTIONS;
        if !asks || !is_events_path(parts.uri.path()) {
            return None;
        }
        let Some(origin) = self.page(parts) else {
            let mut refusal = Response::new(Bytes::from_static(REFUSED.as_bytes()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            refusal.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
            return Some(refusal);
        };
        let mut answer = Response::new(Bytes::new());
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
        if let Some(wanted) = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        admit(headers, origin);
        Some(answer)
    }

    /// The origin of the page that makes an events call, where it is one that is let in.
    pub fn page(&self, parts: &Parts) -> Option<HeaderValue> {
        let origin = parts.headers.get(ORIGIN).filter(|_| is_events_path(parts.uri.path()))?;
        let is_named = |named: &String| named == "*" || named.as_bytes() == origin.as_bytes();
        self.origins.iter().any(is_named).then(|| origin.clone())
    }
}

/// Lets a page read an answer, the request's id and the error's code with it.
pub fn admit(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers
        .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-amzn-requestid,x-amzn-errortype"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str, origin: &str) -> Parts {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,x-amz-date");
        request.body(()).unwrap().into_parts().0
    }

    fn cors() -> Cors {
        Cors { origins: vec!["https://shop.example".into()] }
    }

    #[test]
    fn a_named_origin_may_put_events() {
        let answer = cors().preflight(&asked("OPTIONS", "/events", "https://shop.example")).unwrap();
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("access-control-allow-origin"), "https://shop.example");
        assert_eq!(header("access-control-allow-headers"), "authorization,x-amz-date");
        assert_eq!(header("access-control-allow-methods"), "POST");
        assert_eq!(header("vary"), "origin");
    }

    #[test]
    fn other_origins_are_refused() {
        for origin in ["https://shop.example.evil", "http://shop.example", "https://SHOP.example", "null"] {
            let answer = cors().preflight(&asked("OPTIONS", "/events", origin)).unwrap();
            assert_eq!(answer.status(), 403, "{origin}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
        }
        assert_eq!(
            Cors { origins: vec![] }.page(&asked("POST", "/events", "https://shop.example")),
            None,
            "no origin is let in by default"
        );
    }

    #[test]
    fn what_is_no_preflight_of_the_events_paths_is_not_answered_here() {
        for (method, path) in [("POST", "/events"), ("OPTIONS", "/"), ("OPTIONS", "/bucket/key")] {
            assert!(
                cors().preflight(&asked(method, path, "https://shop.example")).is_none(),
                "{method} {path}"
            );
        }
        assert_eq!(cors().page(&asked("POST", "/bucket", "https://shop.example")), None);
    }

    #[test]
    fn a_star_lets_every_origin_in() {
        let cors = Cors { origins: vec!["*".into()] };
        assert_eq!(cors.page(&asked("POST", "/items", "null")).unwrap(), "null");
    }
}
