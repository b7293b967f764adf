//! What each setting by itself must be.

use model::error::Result;
use model::{Error, Quotas};

use super::{Given, memory, objects};

impl Given {
    /// Checks what can be said of a setting without any other.
    ///
    /// # Errors
    /// `Invalid` with its name and what it must be.
    pub(super) fn check(&self) -> Result<()> {
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
            Given { objects_region: Some(r), .. } if !is_region(r) => {
                wrong("objects_region", "a name such as us-east-1")
            }
            Given { cache_size: Some(m), .. } if m.bytes < objects::CACHE_BYTES_MIN => {
                wrong("cache_size", "at least 8MiB")
            }
            Given { account_id: Some(a), .. } if !is_account(a) => {
                wrong("account_id", "a number of 12 digits")
            }
            Given { quotas: Some(q), .. } if Quotas::parse(q).is_none() => wrong("quotas", "open or aws"),
            Given { catalog: Some(c), .. } if !is_catalog(&c.0) => {
                wrong("catalog", "sqlite, or an address such as postgres://user:password@host/database")
            }
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
            Given { log_group_ms: Some(ms), .. } if *ms > 10_000 => wrong("log_group_ms", "at most 10000"),
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
}

// Scheme, host and port, as browsers send them: no path, not even a slash.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || host.is_some_and(|h| !h.is_empty() && !h.contains(['/', ' ', '*', '?', '#', '@']))
}

fn is_catalog(place: &str) -> bool {
    place == "sqlite" || place.starts_with("postgres://") || place.starts_with("postgresql://")
}
