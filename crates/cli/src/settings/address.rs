//! Where the server listens: what other machines can reach is encrypted, unless somebody says otherwise.

use std::net::{SocketAddr, ToSocketAddrs};

use model::Error;
use model::error::Result;

fn address_of(setting: &str, text: &str) -> Result<SocketAddr> {
    let wrong = || {
        let text = format!("the setting {setting} must be HOST:PORT, such as 127.0.0.1:8080, and is {text}");
        Error::invalid(text)
    };
    text.to_socket_addrs().ok().and_then(|mut all| all.next()).ok_or_else(wrong)
}

/// An address to listen on, of whichever setting it is.
///
/// # Errors
/// `Invalid` when it is none.
pub fn listening(text: &str) -> Result<SocketAddr> {
    address_of("listen", text)
}

/// Where clients ask.
///
/// # Errors
/// `Invalid` when it is no address, or other machines reach it and it is not `is_open`.
pub fn listen(text: &str, is_open: bool) -> Result<SocketAddr> {
    let address = listening(text)?;
    if !address.ip().is_loopback() && !is_open {
        return Err(Error::invalid(format!(
            "{address} can be reached from other machines, and what is sent there would not be encrypted: \
             give --tls-certificate and --tls-key, or say --allow-plain-http"
        )));
    }
    Ok(address)
}

/// Where operators ask; without TLS, which probes and Prometheus need not speak, and without secrets.
///
/// # Errors
/// `Invalid` when it is no address, or other machines reach it and that was not allowed.
pub fn admin_listen(text: &str, is_allowed: bool) -> Result<SocketAddr> {
    let address = address_of("admin_listen", text)?;
    if address.ip().is_loopback() || is_allowed {
        return Ok(address);
    }
    Err(Error::invalid(format!(
        "{address}, the setting admin_listen, can be reached from other machines, and tells each of them /metrics without \
         encryption: on a private network, say --allow-plain-http"
    )))
}
