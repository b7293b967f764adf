//! The settings of a server behind a proxy: which proxies are believed, and the address that clients know.

use access::Network;
use http::Uri;
use http::uri::Authority;
use model::Error;
use model::error::Result;

use super::Given;

impl Given {
    /// Those whose word on who asks is taken.
    ///
    /// # Errors
    /// `Invalid` with the one that is neither an address nor a range.
    pub(super) fn trusted_proxies(&self) -> Result<Vec<Network>> {
        let each = self.trusted_proxies.iter().flatten().map(|text| {
            Network::parse(text).ok_or_else(|| {
                Error::invalid(format!(
                    "the setting trusted_proxies must be addresses such as 127.0.0.1 or ranges such as 10.0.0.0/8, which {text} is not"
                ))
            })
        });
        each.collect()
    }

    /// Scheme, host and port as clients write them, without a slash at the end.
    ///
    /// # Errors
    /// `Invalid` when it is anything else: what is signed is a host, so there can be no path.
    pub(super) fn public_url(&self) -> Result<Option<String>> {
        let Some(text) = &self.public_url else { return Ok(None) };
        let wrong = || {
            Error::invalid(
                "the setting public_url must be an address such as https://lade.example, without a path",
            )
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let host = uri.authority().map(Authority::as_str).filter(|host| is_host(host));
        match (scheme, host) {
            (Some(scheme), Some(host)) if ["", "/"].contains(&uri.path()) && uri.query().is_none() => {
                Ok(Some(format!("{scheme}://{}", host.to_ascii_lowercase())))
            }
            _ => Err(wrong()),
        }
    }
}

// It stands in commands that people copy: nothing in it may mean something to a shell.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public_url(text: &str) -> Result<Option<String>> {
        Given { public_url: Some(text.to_owned()), ..Given::default() }.public_url()
    }

    #[test]
    fn the_public_address_is_a_scheme_and_a_host_and_nothing_else() {
        for (given, kept) in [
            ("https://lade.example", "https://lade.example"),
            ("https://Lade.Example:8443/", "https://lade.example:8443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(public_url(given).unwrap().as_deref(), Some(kept));
        }
        for wrong in [
            "lade.example",
            "ftp://lade.example",
            "https://",
            "https://h/path",
            "https://h?q",
            "https://u@h",
            "https://$(id)",
            "https://h'x",
        ] {
            assert!(public_url(wrong).unwrap_err().message().contains("public_url"), "{wrong}");
        }
        assert_eq!(Given::default().public_url().unwrap(), None);
    }

    #[test]
    fn proxies_are_addresses_and_ranges() {
        let read = |texts: &[&str]| {
            let texts = texts.iter().map(|text| (*text).to_owned()).collect();
            Given { trusted_proxies: Some(texts), ..Given::default() }.trusted_proxies()
        };
        assert_eq!(read(&["127.0.0.1", "10.0.0.0/8", "fd00::/8"]).unwrap().len(), 3);
        for wrong in ["proxy.example", "10.0.0.0/33", ""] {
            let text = read(&["127.0.0.1", wrong]).unwrap_err().chain();
            assert!(text.contains("trusted_proxies") && text.contains(wrong), "{text}");
        }
    }
}
