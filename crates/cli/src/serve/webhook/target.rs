//! Where a webhook goes: one request on one connection, over TLS where the address says so; no redirect is followed.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::error::{Context, Error, Result};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where systems keep the authorities that they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// An address that can be posted to.
#[derive(Clone, Debug)]
pub struct TargetUrl {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
}

impl TargetUrl {
    /// `None` for what is no address of http or https with a host, and for one with a user or password in it.
    pub fn parse(text: &str) -> Option<TargetUrl> {
        let uri: Uri = text.parse().ok()?;
        let is_tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        (!host.is_empty() && !authority.as_str().contains('@')).then_some(TargetUrl {
            uri,
            host,
            port,
            is_tls,
        })
    }
}

pub struct Target {
    url: TargetUrl,
    tls: Option<TlsConnector>,
}

impl Target {
    /// `ca` is a file of the authorities to trust; those of the system where none is given.
    ///
    /// # Errors
    /// `Unavailable` when there is no file of authorities that can be read; `Invalid` when there is none in it.
    pub fn open(url: TargetUrl, ca: Option<&Path>) -> Result<Target> {
        let tls = if url.is_tls { Some(connector(ca)?) } else { None };
        Ok(Target { url, tls })
    }

    /// Sends one request; what it answers beside its status is left unread.
    ///
    /// # Errors
    /// `Unavailable` when no answer came.
    pub async fn post(&self, headers: &[(&'static str, String)], body: String) -> Result<StatusCode> {
        let (host, port) = (self.url.host.as_str(), self.url.port);
        let connecting = || format!("connect to {host} at port {port}");
        let stream = TcpStream::connect((host, port)).await.unavailable(connecting)?;
        let Some(tls) = &self.tls else { return self.send(stream, headers, body).await };
        let name = ServerName::try_from(host.to_owned()).unavailable(connecting)?;
        let stream = tls.connect(name, stream).await.unavailable(|| format!("shake hands with {host}"))?;
        self.send(stream, headers, body).await
    }

    async fn send(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<StatusCode> {
        let host = &self.url.host;
        let sending = || format!("send to {host}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unavailable(sending)?;
        let path = self.url.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.url.uri.authority().map_or(host.as_str(), |authority| authority.as_str());
        let mut request = Request::post(path)
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("lade/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(bytes::Bytes::from(body))).unavailable(sending)?;
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            answer = &mut answer => answer,
            // The answer may have come with the connection's last bytes.
            _ = connection => answer.await,
        };
        Ok(answer.unavailable(sending)?.status())
    }
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector> {
    let system = || SYSTEM.iter().map(PathBuf::from).find(|path| path.exists());
    let of_environment = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let file = ca.map(Path::to_owned).or(of_environment).or_else(system);
    let file = file.ok_or_else(|| {
        Error::unavailable("this system names no authorities to trust: give the setting webhook_ca")
    })?;
    let reading = || format!("read the authorities in {}", file.display());
    let text = std::fs::read(&file).unavailable(reading)?;
    let mut roots = RootCertStore::empty();
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().unavailable(reading)?;
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(Error::invalid(format!("there is no authority to trust in {}", file.display())));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unavailable(|| "make ready for TLS".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        let read = |text| TargetUrl::parse(text).map(|url| (url.host, url.port, url.is_tls));
        assert_eq!(read("https://hooks.example/a?b=c"), Some(("hooks.example".into(), 443, true)));
        assert_eq!(read("http://127.0.0.1:81"), Some(("127.0.0.1".into(), 81, false)));
        assert_eq!(read("http://[::1]:81/x"), Some(("::1".into(), 81, false)));
        for wrong in
            ["hooks.example", "ftp://hooks.example", "/x", "https://user:pass@hooks.example", "https://"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
