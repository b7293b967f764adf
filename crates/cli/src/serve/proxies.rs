//! Proxies before the server: what those say that are trusted of who asks, and how; what others say counts for nothing.

use std::net::{IpAddr, SocketAddr};

use access::{Network, Peer};
use http::header::{HOST, HeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whom to believe, and what holds where nobody says anything.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    pub trusted: Vec<Network>,
    /// Whether the address that clients know is one of `https`.
    pub is_public_secure: bool,
}

impl Proxies {
    /// Puts the `Peer` into a request that a connection brought, and the Host that the client signed.
    ///
    /// `sender` is the other end of the connection, and `is_tls` says whether that speaks TLS.
    pub fn settle<B>(&self, request: &mut Request<B>, sender: IpAddr, is_tls: bool) {
        let sender = sender.to_canonical();
        let peer = if self.trusts(sender) {
            if let Some(host) = forwarded_host(request.headers()).cloned() {
                request.headers_mut().insert(HOST, host);
            }
            let is_secure = forwarded_secure(request.headers()).unwrap_or(is_tls || self.is_public_secure);
            Peer { address: self.client(request.headers(), sender), is_secure }
        } else {
            // Where proxies are named, whoever is none of them came past them, without their TLS.
            let is_behind = self.trusted.is_empty() && self.is_public_secure;
            Peer { address: sender, is_secure: is_tls || is_behind }
        };
        request.extensions_mut().insert(peer);
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.holds(address))
    }

    // Each proxy appends whom it heard from. What stands left of the first that is not trusted, anybody may have written.
    fn client(&self, headers: &HeaderMap, sender: IpAddr) -> IpAddr {
        let mut client = sender;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for text in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
            let Some(address) = address(text.trim()) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

// With a port, as some proxies write it, or without.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    bare.or_else(with_port).map(|address| address.to_canonical())
}

// Encrypted is what was so at each proxy that says something of it.
fn forwarded_secure(headers: &HeaderMap) -> Option<bool> {
    let mut lines = headers.get_all(FORWARDED_PROTO).iter().peekable();
    lines.peek()?;
    let mut schemes = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    Some(schemes.all(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https")))
}

// Where several proxies name hosts, none of them is sure to be the client's.
fn forwarded_host(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(FORWARDED_HOST).iter();
    let host = lines.next().filter(|_| lines.next().is_none())?;
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    (!authority.host().is_empty() && !authority.as_str().contains('@')).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str]) -> Proxies {
        let trusted = trusted.iter().map(|text| Network::parse(text).unwrap()).collect();
        Proxies { trusted, is_public_secure: false }
    }

    fn settled(proxies: &Proxies, sender: &str, headers: &[(&str, &str)]) -> (String, bool, String) {
        let builder = Request::builder().header("host", "inside:8080");
        let mut request =
            headers.iter().fold(builder, |b, (name, value)| b.header(*name, *value)).body(()).unwrap();
        proxies.settle(&mut request, sender.parse().unwrap(), false);
        let peer = request.extensions().get::<Peer>().unwrap();
        (peer.address.to_string(), peer.is_secure, request.headers()["host"].to_str().unwrap().to_owned())
    }

    fn client(sender: &str, lines: &[&str]) -> String {
        let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        settled(&proxies(&["127.0.0.1", "10.0.0.0/8"]), sender, &headers).0
    }

    #[test]
    fn the_client_is_the_last_one_that_is_no_trusted_proxy() {
        for (lines, found) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            (&["198.51.100.1", "203.0.113.7, 10.0.0.5"], "203.0.113.7"),
            (&["203.0.113.7:50123"], "203.0.113.7"),
            (&["[2001:db8::7]:50123"], "2001:db8::7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["10.0.0.9,10.0.0.5"], "10.0.0.9"),
            (&["203.0.113.7, unknown"], "127.0.0.1"),
            (&["unknown, 10.0.0.5"], "10.0.0.5"),
            (&[""], "127.0.0.1"),
            (&[], "127.0.0.1"),
        ] {
            assert_eq!(client("127.0.0.1", lines), found, "{lines:?}");
        }
        assert_eq!(client("::ffff:127.0.0.1", &["203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn whoever_is_not_trusted_is_not_heard() {
        let said = [
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "lade.example"),
        ];
        for trusted in [&[][..], &["10.0.0.0/8"]] {
            let found = settled(&proxies(trusted), "192.0.2.1", &said);
            assert_eq!(found, ("192.0.2.1".to_owned(), false, "inside:8080".to_owned()));
        }
        let found = settled(&proxies(&["192.0.2.1"]), "192.0.2.1", &said);
        assert_eq!(found, ("203.0.113.7".to_owned(), true, "lade.example".to_owned()));
    }

    #[test]
    fn a_connection_is_secure_where_each_proxy_says_so() {
        let is_secure = |schemes: &[&str]| {
            let headers: Vec<_> = schemes.iter().map(|scheme| ("x-forwarded-proto", *scheme)).collect();
            settled(&proxies(&["127.0.0.1"]), "127.0.0.1", &headers).1
        };
        assert!(is_secure(&["https"]) && is_secure(&["HTTPS, https"]));
        for schemes in [&[][..], &["http"], &["https, http"], &["https", "http"], &["wss"], &[""]] {
            assert!(!is_secure(schemes), "{schemes:?}");
        }
    }

    #[test]
    fn the_public_address_says_it_where_no_proxy_does() {
        let public = |trusted: &[&str]| Proxies { is_public_secure: true, ..proxies(trusted) };
        let is_secure =
            |proxies: &Proxies, headers: &[(&str, &str)]| settled(proxies, "127.0.0.1", headers).1;
        assert!(is_secure(&public(&[]), &[]) && is_secure(&public(&["127.0.0.1"]), &[]));
        assert!(!is_secure(&public(&["127.0.0.1"]), &[("x-forwarded-proto", "http")]));
        assert!(!is_secure(&public(&["10.0.0.0/8"]), &[]), "it came past the proxies");
    }

    #[test]
    fn only_one_host_takes_the_place_of_the_one_that_came() {
        let host = |hosts: &[&str]| {
            let headers: Vec<_> = hosts.iter().map(|host| ("x-forwarded-host", *host)).collect();
            settled(&proxies(&["127.0.0.1"]), "127.0.0.1", &headers).2
        };
        assert_eq!(host(&["lade.example:8443"]), "lade.example:8443");
        for hosts in [&[][..], &["a", "b"], &["a, b"], &["u@a"], &[""], &["a/b"]] {
            assert_eq!(host(hosts), "inside:8080", "{hosts:?}");
        }
    }
}
