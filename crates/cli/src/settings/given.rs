//! What can be given: each setting as flag, environment variable and member of the file.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::size::Size;
use super::variable;

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

    /// Address that serves /metrics and health, and nothing else [default: none; /metrics is at the main one on loopback]
    #[arg(long, env = "LADE_ADMIN_LISTEN", value_name = "HOST:PORT")]
    pub admin_listen: Option<String>,

    /// Tell datasets apart in /metrics, by their ARNs
    #[arg(long, env = "LADE_METRICS_DATASETS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub metrics_datasets: Option<bool>,

    /// How much is logged: a level, or levels by area, such as info,jobs=debug,s3=warn [default: info]
    #[arg(long, env = "LADE_LOG", value_name = "LEVEL|AREA=LEVEL,...")]
    pub log: Option<String>,

    /// The form of the log: text, or json for an object a line [default: text]
    #[arg(long, env = "LADE_LOG_FORMAT", value_name = "text|json")]
    pub log_format: Option<String>,

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

    /// Size below which the mean of an export's files stays [default: 512MiB]
    #[arg(long, env = "LADE_FILE_SIZE_MAX", value_name = "SIZE")]
    pub file_size_max: Option<Size>,

    /// Size of what one task reads of an import that is cut into tasks [default: 256MiB]
    #[arg(long, env = "LADE_IMPORT_TASK_SIZE", value_name = "SIZE")]
    pub import_task_size: Option<Size>,

    /// Cut jobs into tasks where this process does all of them, too: to try out what several machines do
    #[arg(long, env = "LADE_CUT_JOBS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub cut_jobs: Option<bool>,

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

    /// Milliseconds for which put records are gathered into one object, where objects lie in a bucket [default: 100]
    #[arg(long, env = "LADE_LOG_GROUP_MS", value_name = "MS")]
    pub log_group_ms: Option<u64>,

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

    /// Address by which clients reach the server from outside, such as https://lade.example [default: the one they use]
    #[arg(long, env = "LADE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Proxies whose word on who asks is taken, such as 127.0.0.1 or 10.0.0.0/8 [default: none]
    #[arg(long, env = "LADE_TRUSTED_PROXIES", value_name = "ADDRESS|RANGE", value_delimiter = ',')]
    pub trusted_proxies: Option<Vec<String>>,

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

    /// Where the tasks of jobs run: local, or ballista for the executors of a scheduler [default: local]
    #[arg(long, env = "LADE_ENGINE", value_name = "local|ballista")]
    pub engine: Option<String>,

    /// Address of the scheduler that has executors
    #[arg(long, env = "LADE_SCHEDULER", value_name = "HOST:PORT")]
    pub scheduler: Option<String>,

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

    /// Where the data of datasets lies: file for the data folder, or s3://BUCKET/PREFIX for a bucket [default: file]
    #[arg(long, env = "LADE_OBJECTS", value_name = "file|s3://BUCKET/PREFIX")]
    pub objects: Option<String>,

    /// Address of the S3 that has this bucket [default: that of AWS for the region]
    #[arg(long, env = "LADE_OBJECTS_ENDPOINT", value_name = "URL")]
    pub objects_endpoint: Option<String>,

    /// Region that requests to this S3 are signed for [default: the server's]
    #[arg(long, env = "LADE_OBJECTS_REGION", value_name = "REGION")]
    pub objects_region: Option<String>,

    /// File that holds the secret key for this bucket and nothing else
    #[arg(long, env = "LADE_OBJECTS_SECRET_ACCESS_KEY_FILE", value_name = "FILE")]
    pub objects_secret_access_key_file: Option<PathBuf>,

    /// File and environment only: flags are there for all to see.
    #[arg(skip = variable("LADE_OBJECTS_ACCESS_KEY_ID"))]
    pub objects_access_key_id: Option<String>,

    #[arg(skip = variable("LADE_OBJECTS_SECRET_ACCESS_KEY").map(Secret))]
    pub objects_secret_access_key: Option<Secret>,

    /// Most that the data folder keeps of what was read of this bucket [default: 4GiB]
    #[arg(long, env = "LADE_CACHE_SIZE", value_name = "SIZE")]
    pub cache_size: Option<Size>,

    /// Address that gets a request for each change of a job's state [default: none]
    #[arg(long, env = "LADE_WEBHOOK_URL", value_name = "URL")]
    pub webhook_url: Option<String>,

    /// File with the secret that requests to the webhook are signed with
    #[arg(long, env = "LADE_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,

    /// File with the authorities to trust at the webhook's address (PEM) [default: those of the system]
    #[arg(long, env = "LADE_WEBHOOK_CA", value_name = "FILE")]
    pub webhook_ca: Option<PathBuf>,

    /// Address of a collector that takes traces by OTLP over HTTP, such as http://127.0.0.1:4318 [default: none]
    #[arg(long, env = "LADE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// File and environment only: flags are there for all to see.
    #[arg(skip = variable("LADE_WEBHOOK_SECRET").map(Secret))]
    pub webhook_secret: Option<Secret>,

    /// `sqlite`, or the address of a database of PostgreSQL, which may hold a password.
    #[arg(skip = variable("LADE_CATALOG").map(Secret))]
    pub catalog: Option<Secret>,

    /// File with the 32 bytes that everything is sealed under [default: master_key in the data folder, made at the first start]
    #[arg(long, env = "LADE_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

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

impl Given {
    pub(super) fn over(self, below: Given) -> Given {
        Given {
            data_dir: self.data_dir.or(below.data_dir),
            listen: self.listen.or(below.listen),
            admin_listen: self.admin_listen.or(below.admin_listen),
            metrics_datasets: self.metrics_datasets.or(below.metrics_datasets),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
            region: self.region.or(below.region),
            account_id: self.account_id.or(below.account_id),
            job_memory: self.job_memory.or(below.job_memory),
            jobs_memory: self.jobs_memory.or(below.jobs_memory),
            jobs_concurrent: self.jobs_concurrent.or(below.jobs_concurrent),
            rejects_told_max: self.rejects_told_max.or(below.rejects_told_max),
            job_attempts_max: self.job_attempts_max.or(below.job_attempts_max),
            file_size_max: self.file_size_max.or(below.file_size_max),
            import_task_size: self.import_task_size.or(below.import_task_size),
            cut_jobs: self.cut_jobs.or(below.cut_jobs),
            flush_after_s: self.flush_after_s.or(below.flush_after_s),
            flush_size: self.flush_size.or(below.flush_size),
            log_size: self.log_size.or(below.log_size),
            put_queue: self.put_queue.or(below.put_queue),
            log_group_ms: self.log_group_ms.or(below.log_group_ms),
            audit_log: self.audit_log.or(below.audit_log),
            audit_log_size_max: self.audit_log_size_max.or(below.audit_log_size_max),
            connections_max: self.connections_max.or(below.connections_max),
            client_timeout_s: self.client_timeout_s.or(below.client_timeout_s),
            public_host: self.public_host.or(below.public_host),
            public_url: self.public_url.or(below.public_url),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            quotas: self.quotas.or(below.quotas),
            at_rest: self.at_rest.or(below.at_rest),
            cors_origins: self.cors_origins.or(below.cors_origins),
            tls_certificate: self.tls_certificate.or(below.tls_certificate),
            tls_key: self.tls_key.or(below.tls_key),
            tls_ca: self.tls_ca.or(below.tls_ca),
            allow_plain_http: self.allow_plain_http.or(below.allow_plain_http),
            engine: self.engine.or(below.engine),
            scheduler: self.scheduler.or(below.scheduler),
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
            objects: self.objects.or(below.objects),
            objects_endpoint: self.objects_endpoint.or(below.objects_endpoint),
            objects_region: self.objects_region.or(below.objects_region),
            objects_secret_access_key_file: self
                .objects_secret_access_key_file
                .or(below.objects_secret_access_key_file),
            objects_access_key_id: self.objects_access_key_id.or(below.objects_access_key_id),
            objects_secret_access_key: self.objects_secret_access_key.or(below.objects_secret_access_key),
            cache_size: self.cache_size.or(below.cache_size),
            otlp_endpoint: self.otlp_endpoint.or(below.otlp_endpoint),
            webhook_url: self.webhook_url.or(below.webhook_url),
            webhook_secret_file: self.webhook_secret_file.or(below.webhook_secret_file),
            webhook_ca: self.webhook_ca.or(below.webhook_ca),
            webhook_secret: self.webhook_secret.or(below.webhook_secret),
            catalog: self.catalog.or(below.catalog),
            master_key_file: self.master_key_file.or(below.master_key_file),
            root_access_key_id: self.root_access_key_id.or(below.root_access_key_id),
            root_secret_access_key: self.root_secret_access_key.or(below.root_secret_access_key),
        }
    }
}
