//! The address of this server as a browser knows it, for texts that a visitor copies.

use http::HeaderMap;
use http::header::{HOST, HeaderName};
use http::request::Parts;

/// Stands in texts where a browser did not say whom it asked.
const UNKNOWN: &str = "localhost";
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Scheme, host and port; whatever was sent, there is nothing in it that means something to a shell or a program.
pub fn of(parts: &Parts, is_secure: bool) -> String {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let host = host.filter(|host| is_host(host)).unwrap_or(UNKNOWN);
    let scheme = if is_secure || is_forwarded_from_tls(&parts.headers) { "https" } else { "http" };
    format!("{scheme}://{host}")
}

// A proxy that ends TLS says so.
fn is_forwarded_from_tls(headers: &HeaderMap) -> bool {
    headers.get(FORWARDED_PROTO).is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_address = address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    (is_name || is_address) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn origin(host: &str) -> String {
        of(&Request::builder().header(HOST, host).body(()).unwrap().into_parts().0, false)
    }

    #[test]
    fn the_address_is_the_one_that_the_browser_used() {
        for host in ["127.0.0.1:4600", "lade.example.org", "[::1]:80", "[fe80::1]"] {
            assert_eq!(origin(host), format!("http://{host}"));
        }
    }

    #[test]
    fn a_host_that_is_none_is_left_out() {
        for host in [
            "a b",
            "x'$(id)",
            "\"</pre>",
            "host:port",
            "host:99999",
            "[::1",
            "a/b",
            "",
            ":80",
            "[a]:1",
            "h:+1",
        ] {
            assert_eq!(origin(host), "http://localhost", "{host}");
        }
    }

    #[test]
    fn tls_is_told_by_the_server_and_by_a_proxy_in_front() {
        let plain = || Request::builder().header(HOST, "h");
        let parts = |request: http::request::Builder| request.body(()).unwrap().into_parts().0;
        assert_eq!(of(&parts(plain()), true), "https://h");
        assert_eq!(of(&parts(plain().header("x-forwarded-proto", "https")), false), "https://h");
        assert_eq!(of(&parts(plain().header("x-forwarded-proto", "ftp")), false), "http://h");
    }
}
