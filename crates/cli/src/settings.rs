//! The settings of a server: a TOML file, then the environment (`LADE_…`), then flags; the last one given holds.

mod address;
mod check;
mod given;
mod machines;
mod memory;
pub mod objects;
mod proxies;
mod services;
pub mod size;
mod together;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::{Network, ServiceSettings};
use model::error::{Context, Result};
use model::{Error, Quotas};

pub use self::address::admin_listen;
use self::address::listen;
pub use self::given::{Given, Secret};
#[cfg(not(feature = "cluster"))]
pub use self::machines::NO_CLUSTER;
pub use self::machines::{Engine, listen_in_private};
use self::objects::ObjectsSettings;
use crate::logs::LogSettings;
use crate::serve::audit::AuditSettings;
use crate::serve::tls::TlsFiles;
use crate::serve::webhook::TargetUrl;

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
    /// `None`: nothing listens for operators alone.
    pub admin_listen: Option<SocketAddr>,
    pub metrics_names_datasets: bool,
    pub logs: LogSettings,
    /// `None`: as at the first start.
    pub region: Option<String>,
    /// `None`: as at the first start.
    pub account_id: Option<String>,
    /// The address of a database of PostgreSQL; `None`: a file in the data folder.
    pub catalog: Option<Secret>,
    /// `None`: in the data folder.
    pub master_key_file: Option<PathBuf>,
    /// `None`: a pair made at the first start.
    pub root_key: Option<(String, Secret)>,
    pub job_memory_bytes: u64,
    pub jobs_memory_bytes: u64,
    pub jobs_concurrent: usize,
    pub rejects_told_max: usize,
    pub job_attempts_max: i64,
    pub file_size_max_bytes: u64,
    pub import_task_bytes: u64,
    /// Whether this process does tasks of jobs, in place of whole ones.
    pub cuts_jobs: bool,
    pub flush_after_s: u64,
    pub flush_size_bytes: u64,
    pub log_size_bytes: u64,
    pub put_queue_bytes: u64,
    pub log_group: Duration,
    /// A file, or `off`; `None`: in the data folder.
    pub audit_log: Option<PathBuf>,
    pub audit_log_size_max_bytes: u64,
    /// `None`: as many as the process may open files for.
    pub connections_max: Option<usize>,
    pub client_timeout: Duration,
    pub engine: Engine,
    /// Whether this process takes jobs, and tells of them; an executor does their tasks alone.
    pub takes_jobs: bool,
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "an executor alone asks for it"))]
    pub allows_plain_http: bool,
    /// `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    pub public_hosts: Vec<String>,
    /// Scheme, host and port by which clients reach the server; `None`: those that they use.
    pub public_url: Option<String>,
    /// Proxies whose word on who asks is taken.
    pub trusted_proxies: Vec<Network>,
    pub quotas: Quotas,
    /// Whether data of groups without a key of KMS is left plain.
    pub is_plain_at_rest: bool,
    pub webhook: Option<WebhookSettings>,
    /// Where spans go; `None`: there are none.
    pub otlp: Option<TargetUrl>,
    /// Scheme, host and port of each, or `*`.
    pub cors_origins: Vec<String>,
    /// With an empty region where the server's own holds.
    pub services: ServiceSettings,
    /// The authorities behind these services, in PEM.
    pub ca_file: Option<PathBuf>,
    /// `None`: in the data folder.
    pub objects: Option<ObjectsSettings>,
}

impl Settings {
    /// Checks that what all nodes on a catalog need is given.
    ///
    /// # Errors
    /// `Invalid` with what to set.
    pub fn check_shared(&self) -> Result<()> {
        let is_alone = self.catalog.is_none() || self.objects.is_none();
        if is_alone && self.engine != Engine::Local {
            return Err(Error::invalid(
                "executors see the catalog and the objects of nodes: the setting engine = ballista needs the settings \
                 catalog (postgres://…) and objects (s3://…)",
            ));
        }
        if self.catalog.is_none() {
            return Ok(());
        }
        let missing = match (&self.root_key, &self.master_key_file) {
            (None, _) => {
                "the root key must be the same on all nodes of a catalog in PostgreSQL: set root_access_key_id and \
                 root_secret_access_key, or LADE_ROOT_ACCESS_KEY_ID and LADE_ROOT_SECRET_ACCESS_KEY"
            }
            (_, None) => {
                "the master key must be the same on all nodes of a catalog in PostgreSQL: set master_key_file, or \
                 LADE_MASTER_KEY_FILE, to a file of 32 random bytes, made once with head -c 32 /dev/urandom"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(missing))
    }

    /// Whether clients reach the server over TLS: its own, or that of a proxy before it.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some() || self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

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
        let (tls, webhook, otlp) = (given.tls()?, given.webhook()?, given.otlp()?);
        let services = given.services()?;
        let objects = given.objects()?;
        let engine = given.engine()?;
        let logs = LogSettings::parse(given.log.as_deref(), given.log_format.as_deref())?;
        let is_plain_allowed = given.allow_plain_http == Some(true);
        let admin_listen = given.admin_listen.as_deref().map(|text| admin_listen(text, is_plain_allowed));
        let (public_url, trusted_proxies) = (given.public_url()?, given.trusted_proxies()?);
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
            admin_listen: admin_listen.transpose()?,
            metrics_names_datasets: given.metrics_datasets == Some(true),
            logs,
            engine,
            takes_jobs: true,
            allows_plain_http: given.allow_plain_http == Some(true),
            tls,
            region: given.region,
            account_id: given.account_id,
            catalog: given.catalog.filter(|place| place.0 != "sqlite"),
            master_key_file: given.master_key_file,
            root_key,
            job_memory_bytes,
            jobs_memory_bytes,
            jobs_concurrent,
            rejects_told_max: given.rejects_told_max.unwrap_or(1000),
            job_attempts_max: given.job_attempts_max.unwrap_or(720).into(),
            file_size_max_bytes: given.file_size_max.map_or(512 << 20, |size| size.bytes),
            import_task_bytes: given.import_task_size.map_or(256 << 20, |size| size.bytes),
            cuts_jobs: given.cut_jobs == Some(true),
            flush_after_s: given.flush_after_s.unwrap_or(300),
            flush_size_bytes: given.flush_size.map_or(64 << 20, |size| size.bytes),
            log_size_bytes: given.log_size.map_or(512 << 20, |size| size.bytes),
            put_queue_bytes: given.put_queue.map_or(32 << 20, |size| size.bytes),
            log_group: Duration::from_millis(given.log_group_ms.unwrap_or(100)),
            audit_log: given.audit_log,
            audit_log_size_max_bytes: given.audit_log_size_max.map_or(128 << 20, |size| size.bytes),
            connections_max: given.connections_max,
            client_timeout: Duration::from_secs(given.client_timeout_s.unwrap_or(30)),
            public_hosts: given.public_host.into_iter().collect(),
            public_url,
            trusted_proxies,
            quotas: given.quotas.as_deref().and_then(Quotas::parse).unwrap_or(Quotas::OPEN),
            is_plain_at_rest: given.at_rest.as_deref() == Some("plain"),
            webhook,
            otlp,
            cors_origins: given.cors_origins.unwrap_or_default(),
            services,
            ca_file: given.ca_file,
            objects,
        })
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

fn jobs_concurrent() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests;
