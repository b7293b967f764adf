//! TLS 1.2 and 1.3 on the address that is listened on; certificate and key may be replaced while the server runs.

mod issuer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::error::{Context, Error, Result};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The first byte of a handshake: the record's type.
pub const HANDSHAKE: u8 = 0x16;
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// What a browser remembers: for a year, this host is reached over TLS only.
pub const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Where certificate and key are, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, then those that it leads up to.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority that clients have to be told to trust.
    pub ca: Option<PathBuf>,
}

/// The certificate that new connections get.
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Read>,
}

/// What was read from the files, and what was made of it.
#[derive(Clone)]
struct Read {
    certificate: Vec<u8>,
    key_hash: blake3::Hash,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// # Errors
    /// `Unavailable` when a file can't be read; `Invalid` when there is no certificate, or no key of it, inside.
    pub fn open(files: TlsFiles) -> Result<Tls> {
        let read = read(&files)?;
        Ok(Tls { files, current: RwLock::new(read) })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// When the client speaks no TLS of version 1.2 or 1.3, or hangs up.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let acceptor = self.current.read().unwrap_or_else(PoisonError::into_inner).acceptor.clone();
        acceptor.accept(stream).await
    }

    /// Takes new files up within seconds, until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut said = String::new();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let complaint = self.reload().err().map(|error| error.chain()).unwrap_or_default();
            // Half of a replacement is there for a moment; what lasts is told once.
            if !complaint.is_empty() && complaint != said {
                warn!("the certificate stays as it was: {complaint}");
            }
            said = complaint;
        }
    }

    /// Reads the files; connections that are open keep the certificate they have.
    ///
    /// # Errors
    /// As `open`; what holds so far stays.
    pub fn reload(&self) -> Result<()> {
        let read = read(&self.files)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if read.certificate != current.certificate || read.key_hash != current.key_hash {
            info!("new connections get the certificate that is now in {}", self.files.certificate.display());
            *current = read;
        }
        Ok(())
    }

    /// When the certificate that new connections get ends, in seconds since the epoch, as far as it can be read.
    pub fn end_s(&self) -> Option<i64> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        issuer::end_s(certificates(&current.certificate).ok()?.first()?)
    }

    /// The file that clients have to be told to trust, where no authority that they know vouches for the certificate.
    pub fn ca_bundle(&self) -> Option<&Path> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let is_own = || certificates(&current.certificate).ok()?.last().map(|last| issuer::is_own(last));
        match &self.files.ca {
            Some(ca) => Some(ca),
            None => is_own().unwrap_or_default().then_some(self.files.certificate.as_path()),
        }
    }
}

fn read(files: &TlsFiles) -> Result<Read> {
    let bytes = |path: &Path| std::fs::read(path).unavailable(|| format!("read {}", path.display()));
    let (certificate, key) = (bytes(&files.certificate)?, bytes(&files.key)?);
    let chain = certificates(&certificate).ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| holds_no(&files.certificate, "certificate"))?;
    let private = PrivateKeyDer::from_pem_slice(&key).map_err(|_| holds_no(&files.key, "private key"))?;
    let config = config(chain, private).map_err(|cause| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        Error::invalid(format!("can't use the certificate in {certificate} with the key in {key}"))
            .caused_by(cause)
    })?;
    Ok(Read { certificate, key_hash: blake3::hash(&key), acceptor: TlsAcceptor::from(Arc::new(config)) })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&versions)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn holds_no(path: &Path, what: &str) -> Error {
    Error::invalid(format!("{} holds no {what} in PEM", path.display()))
}
