//! The address of this server as a browser knows it, for texts that a visitor copies.

use access::Peer;
use http::header::HOST;
use http::request::Parts;

/// Stands in texts where a browser did not say whom it asked.
const UNKNOWN: &str = "localhost";

/// How browsers reach this server, as far as its settings tell.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Whether the server itself speaks TLS.
    pub is_tls: bool,
    /// The one address that it is known by, such as `https://lade.example`.
    pub public_url: Option<String>,
}

impl Outside {
    /// Whether a browser there reaches it over TLS, which may end at a proxy.
    pub fn is_secure(&self, peer: Option<Peer>) -> bool {
        let is_public = self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        self.is_tls || is_public || peer.is_some_and(|peer| peer.is_secure)
    }

    /// Scheme, host and port; whatever was sent, there is nothing in it that means something to a shell or a program.
    pub fn origin(&self, parts: &Parts, peer: Option<Peer>) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = named.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        let host = host.filter(|host| is_host(host)).unwrap_or(UNKNOWN);
        let scheme = if self.is_secure(peer) { "https" } else { "http" };
        format!("{scheme}://{host}")
    }
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

    fn asking(host: &str) -> Parts {
        Request::builder().header(HOST, host).body(()).unwrap().into_parts().0
    }

    fn origin(host: &str) -> String {
        Outside::default().origin(&asking(host), None)
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
    fn tls_is_known_from_the_server_its_public_address_and_the_way_of_the_request() {
        let way = |is_secure| Some(Peer { address: [10, 0, 0, 7].into(), is_secure });
        let public = |url: &str| Outside { public_url: Some(url.to_owned()), ..Outside::default() };
        let tls = Outside { is_tls: true, ..Outside::default() };
        assert_eq!(tls.origin(&asking("h"), way(false)), "https://h");
        assert_eq!(Outside::default().origin(&asking("h"), way(true)), "https://h");
        assert_eq!(Outside::default().origin(&asking("h"), way(false)), "http://h");
        assert_eq!(public("https://lade.example").origin(&asking("h"), way(false)), "https://lade.example");
        assert!(
            public("https://lade.example").is_secure(None) && !public("http://lade.example").is_secure(None)
        );
    }

    #[test]
    fn what_the_request_itself_says_of_proxies_counts_for_nothing() {
        let mut parts = asking("h");
        parts.headers.insert("x-forwarded-proto", "https".parse().unwrap());
        parts.headers.insert("x-forwarded-host", "elsewhere".parse().unwrap());
        assert_eq!(Outside::default().origin(&parts, None), "http://h");
    }
}
