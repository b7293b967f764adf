//! Connections to servers: plain ones, and those over TLS.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waker, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use model::error::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

/// Opens connections to one server.
#[derive(Clone, Default)]
pub struct Connector {
    /// Absent where the server is spoken to without TLS.
    tls: Option<TlsConnector>,
}

/// An open connection.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    /// Over TLS; the server's certificate must lead to the authorities in a file, or to those that the system knows.
    ///
    /// # Errors
    /// `Invalid` when there is no certificate in the file, or the system knows no authority.
    pub fn secure(ca_file: Option<&Path>) -> Result<Connector> {
        let mut roots = RootCertStore::empty();
        let certificates = match ca_file {
            Some(file) => of_file(file)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            let file =
                ca_file.map_or("the system's list of authorities".into(), |file| file.display().to_string());
            return Err(Error::invalid(format!(
                "there is no certificate of an authority in {file}: --ca-file names the one to trust"
            )));
        }
        let config = versions()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Connector { tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Over TLS, with any certificate: for what is told to anybody, and asked of this very machine.
    ///
    /// # Errors
    /// `Internal` when TLS can't be begun.
    pub fn unchecked() -> Result<Connector> {
        let anybody = Arc::new(Anybody(default_provider().signature_verification_algorithms));
        let config = versions()?.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
        Ok(Connector { tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Connects to `HOST` or `HOST:PORT`.
    pub async fn open(&self, authority: &str) -> io::Result<Stream> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{authority} is no address"));
        let uri: http::uri::Authority = authority.parse().map_err(|_| wrong())?;
        let host = uri.host().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        Ok(Stream::Tls(Box::new(tls.connect(name, stream).await?)))
    }
}

fn versions() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    builder.map_err(|cause| Error::internal("begin TLS").caused_by(cause))
}

/// Takes whoever has the key of the certificate that it shows.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("read the certificates of authorities in {}", file.display());
    let text = std::fs::read(file).map_err(|cause| Error::invalid(reading()).caused_by(cause))?;
    let read: std::result::Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&text).collect();
    read.map_err(|cause| Error::invalid(reading()).caused_by(cause))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connector, authority) = (self.clone(), uri.authority().map(ToString::to_string));
        Box::pin(async move { connector.open(&authority.unwrap_or_default()).await.map(TokioIo::new) })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        waker: &mut Waker<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(waker, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(waker, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, waker: &mut Waker<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(waker, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(waker, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(waker),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(waker),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(waker),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(waker),
        }
    }
}
