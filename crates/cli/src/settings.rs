//! The settings of a server: a TOML file, then the environment (`LADE_…`), then flags; the last one given holds.

mod memory;
mod services;
pub mod size;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::ServiceSettings;
use clap::Args;
use model::error::{Context, Result};
use model::{Error, Quotas};
use serde::Deserialize;

use self::size::Size;
use crate::serve::audit::AuditSettings;
use crate::serve::tls::TlsFiles;
use crate::serve::webhook::TargetUrl;

/// The settings as flags, environment and file give them; what is not given has a default.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Folder that holds everything the server keeps [default: lade in the user's data folder]
    #[arg(long, env = "LADE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "LADE_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,

    /// The server's one region, fixed at its first start [default: us-east-1]
    #[arg(long, env = "LADE_REGION")]
    pub region: Option<String>,

    /// The server's one account, fixed at its first start [default: 000000000000]
    #[arg(long, env = "LADE_ACCOUNT_ID", value_name = "12 DIGITS")]
    pub account_id: Option<String>,

    /// Memory that one job may use [default: 256MiB]
    #[arg(long, env = "LADE_JOB_MEMORY", value_name = "SIZE")]
    pub job_memory: Option<Size>,

    /// Memory that all jobs together may use [default: job_memory for each and one more, at most half of the machine's]
    #[arg(long, env = "LADE_JOBS_MEMORY", value_name = "SIZE")]
    pub jobs_memory: Option<Size>,

    /// Jobs that run at the same time [default: one for each processor]
    #[arg(long, env = "LADE_JOBS_CONCURRENT", value_name = "N")]
    pub jobs_concurrent: Option<usize>,

    /// Wrong rows that the report of an import tells of [default: 1000]
    #[arg(long, env = "LADE_REJECTS_TOLD_MAX", value_name = "ROWS")]
    pub rejects_told_max: Option<usize>,

    /// Attempts after which a job is given up whose store or disk fails [default: 720, about an hour]
    #[arg(long, env = "LADE_JOB_ATTEMPTS_MAX", value_name = "N")]
    pub job_attempts_max: Option<u32>,

    /// Size above which an export begins another file [default: 512MiB]
    #[arg(long, env = "LADE_FILE_SIZE_MAX", value_name = "SIZE")]
    pub file_size_max: Option<Size>,

    /// Seconds after which records put one by one move from the log into sorted runs [default: 300]
    #[arg(long, env = "LADE_FLUSH_AFTER_S", value_name = "SECONDS")]
    pub flush_after_s: Option<u64>,

    /// Size of a dataset's records in the log above which they move into sorted runs [default: 64MiB]
    #[arg(long, env = "LADE_FLUSH_SIZE", value_name = "SIZE")]
    pub flush_size: Option<Size>,

    /// Size of the log above which the records of all datasets move into sorted runs [default: 512MiB]
    #[arg(long, env = "LADE_LOG_SIZE", value_name = "SIZE")]
    pub log_size: Option<Size>,
    /// Memory for put records that wait to be written; no dataset alone fills it [default: 32MiB]
    #[arg(long, env = "LADE_PUT_QUEUE", value_name = "SIZE")]
    pub put_queue: Option<Size>,

    /// Connections at the same time [default: 1024, or half of the files that the process may open]
    #[arg(long, env = "LADE_CONNECTIONS_MAX", value_name = "N")]
    pub connections_max: Option<usize>,

    /// Seconds for which a client may keep the server waiting before its connection is closed [default: 30]
    #[arg(long, env = "LADE_CLIENT_TIMEOUT_S", value_name = "SECONDS")]
    pub client_timeout_s: Option<u64>,

    /// File that gets a line for each call, or off [default: audit.log in the data folder]
    #[arg(long, env = "LADE_AUDIT_LOG", value_name = "FILE|off")]
    pub audit_log: Option<PathBuf>,

    /// Size at which the audit log begins a new file; eight full ones are kept [default: 128MiB]
    #[arg(long, env = "LADE_AUDIT_LOG_SIZE_MAX", value_name = "SIZE")]
    pub audit_log_size_max: Option<Size>,

    /// Host name under which buckets are addressed as BUCKET.NAME, beside localhost
    #[arg(long, env = "LADE_PUBLIC_HOST", value_name = "NAME")]
    pub public_host: Option<String>,

    /// Quotas of resources and rates: open sets none, aws those of an account of AWS [default: open]
    #[arg(long, env = "LADE_QUOTAS", value_name = "open|aws")]
    pub quotas: Option<String>,

    /// Whether records on the disk are sealed, or can be read by other programs: sealed or plain [default: sealed]
    #[arg(long, env = "LADE_AT_REST", value_name = "sealed|plain")]
    pub at_rest: Option<String>,

    /// Origins whose pages may put events from a browser, such as https://shop.example; * for all [default: none]
    #[arg(long, env = "LADE_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origins: Option<Vec<String>>,

    /// File with the certificate of the address, and those it leads up to (PEM); the server then speaks TLS only
    #[arg(long, env = "LADE_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// File with the certificate's private key (PEM)
    #[arg(long, env = "LADE_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// File with the authority that clients are told to trust [default: the certificate, where it vouches for itself]
    #[arg(long, env = "LADE_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// Listen beyond this machine without TLS
    #[arg(long, env = "LADE_ALLOW_PLAIN_HTTP", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub allow_plain_http: Option<bool>,

    /// Address of the S3 that jobs use in place of the embedded one, such as https://s3.example.com
    #[arg(long, env = "LADE_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,

    /// Region that requests to this S3 and to STS are signed for [default: the server's]
    #[arg(long, env = "LADE_S3_REGION", value_name = "REGION")]
    pub s3_region: Option<String>,

    /// Address of the STS that gives out the keys of roles [default: jobs use buckets with the service's own keys]
    #[arg(long, env = "LADE_STS_ENDPOINT", value_name = "URL")]
    pub sts_endpoint: Option<String>,

    /// Address of the KMS whose keys seal dataset groups in place of the embedded one's
    #[arg(long, env = "LADE_KMS_ENDPOINT", value_name = "URL")]
    pub kms_endpoint: Option<String>,

    /// ARN of the principal whose keys the service uses at these addresses, to be named in messages
    #[arg(long, env = "LADE_SERVICE_ARN", value_name = "ARN")]
    pub service_arn: Option<String>,

    /// File with the authorities that vouch for these addresses (PEM) [default: those that the system trusts]
    #[arg(long, env = "LADE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// File that holds the service's secret key and nothing else
    #[arg(long, env = "LADE_SERVICE_SECRET_ACCESS_KEY_FILE", value_name = "FILE")]
    pub service_secret_access_key_file: Option<PathBuf>,

    /// File and environment only: flags are there for all to see.
    #[arg(skip = variable("LADE_SERVICE_ACCESS_KEY_ID"))]
    pub service_access_key_id: Option<String>,

    #[arg(skip = variable("LADE_SERVICE_SECRET_ACCESS_KEY").map(Secret))]
    pub service_secret_access_key: Option<Secret>,

    /// Address that gets a request for each change of a job's state [default: none]
    #[arg(long, env = "LADE_WEBHOOK_URL", value_name = "URL")]
    pub webhook_url: Option<String>,

    /// File with the secret that requests to the webhook are signed with
    #[arg(long, env = "LADE_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,

    /// File with the authorities to trust at the webhook's address (PEM) [default: those of the system]
    #[arg(long, env = "LADE_WEBHOOK_CA", value_name = "FILE")]
    pub webhook_ca: Option<PathBuf>,

    /// File and environment only: flags are there for all to see.
    #[arg(skip = variable("LADE_WEBHOOK_SECRET").map(Secret))]
    pub webhook_secret: Option<Secret>,

    #[arg(skip = variable("LADE_ROOT_ACCESS_KEY_ID"))]
    pub root_access_key_id: Option<String>,

    #[arg(skip = variable("LADE_ROOT_SECRET_ACCESS_KEY").map(Secret))]
    pub root_secret_access_key: Option<Secret>,
}

/// A text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Who is told of what becomes of jobs.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    pub url: TargetUrl,
    pub secret: Secret,
    pub ca: Option<PathBuf>,
}

/// The settings that hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Absolute.
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// `None`: as at the first start.
    pub region: Option<String>,
    /// `None`: as at the first start.
    pub account_id: Option<String>,
    /// `None`: a pair made at the first start.
    pub root_key: Option<(String, Secret)>,
    pub job_memory_bytes: u64,
    pub jobs_memory_bytes: u64,
    pub jobs_concurrent: usize,
    pub rejects_told_max: usize,
    pub job_attempts_max: i64,
    pub file_size_max_bytes: u64,
    pub flush_after_s: u64,
    pub flush_size_bytes: u64,
    pub log_size_bytes: u64,
    pub put_queue_bytes: u64,
    /// A file, or `off`; `None`: in the data folder.
    pub audit_log: Option<PathBuf>,
    pub audit_log_size_max_bytes: u64,
    /// `None`: as many as the process may open files for.
    pub connections_max: Option<usize>,
    pub client_timeout: Duration,
    /// `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    pub public_hosts: Vec<String>,
    pub quotas: Quotas,
    /// Whether data of groups without a key of KMS is left plain.
    pub is_plain_at_rest: bool,
    pub webhook: Option<WebhookSettings>,
    /// Scheme, host and port of each, or `*`.
    pub cors_origins: Vec<String>,
    /// With an empty region where the server's own holds.
    pub services: ServiceSettings,
}

impl Settings {
    /// Where the audit log of the server on a data folder goes; `None` when there is none.
    pub fn audit(&self, data_dir: &Path) -> Option<AuditSettings> {
        let path = self.audit_log.clone().unwrap_or_else(|| data_dir.join("audit.log"));
        let size_bytes_max = self.audit_log_size_max_bytes;
        (path.as_os_str() != "off").then_some(AuditSettings { path, size_bytes_max })
    }
}

impl Given {
    /// Adds the settings of `file` below these, and fills in the defaults.
    ///
    /// # Errors
    /// `Invalid` when the file can't be read or a setting makes no sense; the text names it.
    pub fn settle(self, file: Option<&Path>) -> Result<Settings> {
        let given = match file {
            Some(file) => self.over(read(file)?),
            None => self,
        };
        given.check()?;
        let root_key = given.root_key()?;
        let (tls, webhook) = (given.tls()?, given.webhook()?);
        let services = given.services()?;
        let job_memory_bytes = given.job_memory.map_or(256 << 20, |size| size.bytes);
        let jobs_concurrent = given.jobs_concurrent.unwrap_or_else(jobs_concurrent);
        let jobs_memory_bytes = given.jobs_memory.map_or_else(
            || memory::for_jobs(job_memory_bytes, jobs_concurrent, memory::limit_bytes()),
            |size| size.bytes,
        );
        Ok(Settings {
            data_dir: data_dir(given.data_dir)?,
            listen: listen(
                given.listen.as_deref().unwrap_or("127.0.0.1:8080"),
                tls.is_some() || given.allow_plain_http == Some(true),
            )?,
            tls,
            region: given.region,
            account_id: given.account_id,
            root_key,
            job_memory_bytes,
            jobs_memory_bytes,
            jobs_concurrent,
            rejects_told_max: given.rejects_told_max.unwrap_or(1000),
            job_attempts_max: given.job_attempts_max.unwrap_or(720).into(),
            file_size_max_bytes: given.file_size_max.map_or(512 << 20, |size| size.bytes),
            flush_after_s: given.flush_after_s.unwrap_or(300),
            flush_size_bytes: given.flush_size.map_or(64 << 20, |size| size.bytes),
            log_size_bytes: given.log_size.map_or(512 << 20, |size| size.bytes),
            put_queue_bytes: given.put_queue.map_or(32 << 20, |size| size.bytes),
            audit_log: given.audit_log,
            audit_log_size_max_bytes: given.audit_log_size_max.map_or(128 << 20, |size| size.bytes),
            connections_max: given.connections_max,
            client_timeout: Duration::from_secs(given.client_timeout_s.unwrap_or(30)),
            public_hosts: given.public_host.into_iter().collect(),
            quotas: given.quotas.as_deref().and_then(Quotas::parse).unwrap_or(Quotas::OPEN),
            is_plain_at_rest: given.at_rest.as_deref() == Some("plain"),
            webhook,
            cors_origins: given.cors_origins.unwrap_or_default(),
            services,
        })
    }

    fn over(self, below: Given) -> Given {
        Given {
            data_dir: self.data_dir.or(below.data_dir),
            listen: self.listen.or(below.listen),
            region: self.region.or(below.region),
            account_id: self.account_id.or(below.account_id),
            job_memory: self.job_memory.or(below.job_memory),
            jobs_memory: self.jobs_memory.or(below.jobs_memory),
            jobs_concurrent: self.jobs_concurrent.or(below.jobs_concurrent),
            rejects_told_max: self.rejects_told_max.or(below.rejects_told_max),
            job_attempts_max: self.job_attempts_max.or(below.job_attempts_max),
            file_size_max: self.file_size_max.or(below.file_size_max),
            flush_after_s: self.flush_after_s.or(below.flush_after_s),
            flush_size: self.flush_size.or(below.flush_size),
            log_size: self.log_size.or(below.log_size),
            put_queue: self.put_queue.or(below.put_queue),
            audit_log: self.audit_log.or(below.audit_log),
            audit_log_size_max: self.audit_log_size_max.or(below.audit_log_size_max),
            connections_max: self.connections_max.or(below.connections_max),
            client_timeout_s: self.client_timeout_s.or(below.client_timeout_s),
            public_host: self.public_host.or(below.public_host),
            quotas: self.quotas.or(below.quotas),
            at_rest: self.at_rest.or(below.at_rest),
            cors_origins: self.cors_origins.or(below.cors_origins),
            tls_certificate: self.tls_certificate.or(below.tls_certificate),
            tls_key: self.tls_key.or(below.tls_key),
            tls_ca: self.tls_ca.or(below.tls_ca),
            allow_plain_http: self.allow_plain_http.or(below.allow_plain_http),
            s3_endpoint: self.s3_endpoint.or(below.s3_endpoint),
            s3_region: self.s3_region.or(below.s3_region),
            sts_endpoint: self.sts_endpoint.or(below.sts_endpoint),
            kms_endpoint: self.kms_endpoint.or(below.kms_endpoint),
            service_arn: self.service_arn.or(below.service_arn),
            ca_file: self.ca_file.or(below.ca_file),
            service_secret_access_key_file: self
                .service_secret_access_key_file
                .or(below.service_secret_access_key_file),
            service_access_key_id: self.service_access_key_id.or(below.service_access_key_id),
            service_secret_access_key: self.service_secret_access_key.or(below.service_secret_access_key),
            webhook_url: self.webhook_url.or(below.webhook_url),
            webhook_secret_file: self.webhook_secret_file.or(below.webhook_secret_file),
            webhook_ca: self.webhook_ca.or(below.webhook_ca),
            webhook_secret: self.webhook_secret.or(below.webhook_secret),
            root_access_key_id: self.root_access_key_id.or(below.root_access_key_id),
            root_secret_access_key: self.root_secret_access_key.or(below.root_secret_access_key),
        }
    }

    fn check(&self) -> Result<()> {
        let is_region = |r: &str| {
            !r.is_empty() && r.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let is_account = |a: &str| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit());
        let wrong =
            |setting: &str, must: &str| Err(Error::invalid(format!("the setting {setting} must be {must}")));
        match self {
            Given { region: Some(r), .. } if !is_region(r) => wrong("region", "a name such as us-east-1"),
            Given { s3_region: Some(r), .. } if !is_region(r) => {
                wrong("s3_region", "a name such as us-east-1")
            }
            Given { account_id: Some(a), .. } if !is_account(a) => {
                wrong("account_id", "a number of 12 digits")
            }
            Given { quotas: Some(q), .. } if Quotas::parse(q).is_none() => wrong("quotas", "open or aws"),
            Given { at_rest: Some(a), .. } if !["sealed", "plain"].contains(&a.as_str()) => {
                wrong("at_rest", "sealed or plain")
            }
            Given { cors_origins: Some(all), .. } if !all.iter().all(|o| is_origin(o)) => {
                wrong("cors_origins", "origins such as https://shop.example, or *")
            }
            Given { jobs_concurrent: Some(0), .. } => wrong("jobs_concurrent", "at least 1"),
            Given { job_memory: Some(m), .. } if m.bytes < 16 << 20 => wrong("job_memory", "at least 16MiB"),
            Given { jobs_memory: Some(m), .. } if m.bytes < memory::JOBS_BYTES_MIN => {
                wrong("jobs_memory", "at least 64MiB")
            }
            Given { flush_size: Some(m), .. } if m.bytes < 1 << 20 => wrong("flush_size", "at least 1MiB"),
            Given { log_size: Some(m), .. } if m.bytes < 1 << 20 => wrong("log_size", "at least 1MiB"),
            Given { file_size_max: Some(m), .. } if m.bytes < 1 << 20 => {
                wrong("file_size_max", "at least 1MiB")
            }
            Given { rejects_told_max: Some(n), .. } if !(1..=10_000).contains(n) => {
                wrong("rejects_told_max", "from 1 to 10000")
            }
            Given { put_queue: Some(m), .. } if m.bytes < 64 << 10 => wrong("put_queue", "at least 64KiB"),
            Given { audit_log_size_max: Some(m), .. } if m.bytes < 64 << 10 => {
                wrong("audit_log_size_max", "at least 64KiB")
            }
            Given { connections_max: Some(n), .. } if *n < 16 => wrong("connections_max", "at least 16"),
            Given { client_timeout_s: Some(s), .. } if !(1..=3600).contains(s) => {
                wrong("client_timeout_s", "from 1 to 3600")
            }
            _ => Ok(()),
        }
    }

    fn tls(&self) -> Result<Option<TlsFiles>> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).unavailable(|| format!("find the file {}", path.display()))
        };
        match (&self.tls_certificate, &self.tls_key) {
            (None, None) if self.tls_ca.is_none() => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: absolute(certificate)?,
                key: absolute(key)?,
                ca: self.tls_ca.as_ref().map(absolute).transpose()?,
            })),
            _ => Err(Error::invalid("give tls_certificate and tls_key together, or neither")),
        }
    }

    fn webhook(&self) -> Result<Option<WebhookSettings>> {
        let Some(url) = &self.webhook_url else { return Ok(None) };
        let wrong = || {
            let text = "the setting webhook_url must be an address such as https://hooks.example/lade";
            Error::invalid(text)
        };
        let url = TargetUrl::parse(url).ok_or_else(wrong)?;
        let secret = match (&self.webhook_secret, &self.webhook_secret_file) {
            (Some(secret), None) => secret.clone(),
            (None, Some(file)) => {
                let reading = || format!("read the webhook's secret in {}", file.display());
                Secret(std::fs::read_to_string(file).unavailable(reading)?.trim_end().to_owned())
            }
            _ => {
                return Err(Error::invalid(
                    "give webhook_secret or webhook_secret_file with webhook_url, one of them",
                ));
            }
        };
        if secret.0.len() < 16 {
            return Err(Error::invalid("the webhook's secret must have at least 16 characters"));
        }
        Ok(Some(WebhookSettings { url, secret, ca: self.webhook_ca.clone() }))
    }

    fn root_key(&self) -> Result<Option<(String, Secret)>> {
        match (&self.root_access_key_id, &self.root_secret_access_key) {
            (None, None) => Ok(None),
            (Some(id), Some(secret)) if is_key_id(id) && secret.0.len() >= 8 => {
                Ok(Some((id.clone(), secret.clone())))
            }
            (Some(_), Some(_)) => Err(Error::invalid(
                "the root key needs an id of 4 to 128 letters and digits, and a secret of at least 8 characters",
            )),
            _ => {
                Err(Error::invalid("give root_access_key_id and root_secret_access_key together, or neither"))
            }
        }
    }
}

/// An environment variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The data folder as an absolute path; without one given, `lade` in the user's own data folder.
///
/// # Errors
/// `Invalid` when none is given and the user has no home.
pub fn data_dir(given: Option<PathBuf>) -> Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let of_user = || {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        data.or_else(home).map(|data| data.join("lade"))
    };
    let given = given.filter(|path| !path.as_os_str().is_empty()).or_else(of_user);
    let path = given.ok_or_else(|| Error::invalid("HOME is not set: name a data folder with --data-dir"))?;
    std::path::absolute(&path).unavailable(|| format!("find the data folder {}", path.display()))
}

fn read(file: &Path) -> Result<Given> {
    let text =
        std::fs::read_to_string(file).unavailable(|| format!("read the settings in {}", file.display()))?;
    let wrong = |e: toml::de::Error| {
        Error::invalid(format!("the settings in {} can't be used", file.display())).caused_by(e)
    };
    toml::from_str(&text).map_err(wrong)
}

fn listen(text: &str, is_open: bool) -> Result<SocketAddr> {
    let wrong = || {
        Error::invalid(format!("the setting listen must be HOST:PORT, such as 127.0.0.1:8080, and is {text}"))
    };
    let address = text.to_socket_addrs().ok().and_then(|mut all| all.next()).ok_or_else(wrong)?;
    if !address.ip().is_loopback() && !is_open {
        return Err(Error::invalid(format!(
            "{address} can be reached from other machines, and what is sent there would not be encrypted: \
             give --tls-certificate and --tls-key, or say --allow-plain-http"
        )));
    }
    Ok(address)
}

// Scheme, host and port, as browsers send them: no path, not even a slash.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || host.is_some_and(|h| !h.is_empty() && !h.contains(['/', ' ', '*', '?', '#', '@']))
}

fn is_key_id(id: &str) -> bool {
    (4..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn jobs_concurrent() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests;
