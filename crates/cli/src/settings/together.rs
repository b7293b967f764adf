//! Settings that are given together or not at all: files of TLS, the root key, who is told of jobs and spans.

use std::path::PathBuf;

use model::Error;
use model::error::{Context, Result};

use super::{Given, Secret, WebhookSettings};
use crate::serve::tls::TlsFiles;
use crate::serve::webhook::TargetUrl;

impl Given {
    pub(super) fn tls(&self) -> Result<Option<TlsFiles>> {
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

    pub(super) fn webhook(&self) -> Result<Option<WebhookSettings>> {
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

    // The path that OTLP gives traces, below the collector's address.
    pub(super) fn otlp(&self) -> Result<Option<TargetUrl>> {
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(None) };
        let url = TargetUrl::parse(&format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        let wrong = || {
            let text =
                "the setting otlp_endpoint must be a collector's address such as http://127.0.0.1:4318";
            Error::invalid(text)
        };
        url.ok_or_else(wrong).map(Some)
    }

    pub(super) fn root_key(&self) -> Result<Option<(String, Secret)>> {
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

fn is_key_id(id: &str) -> bool {
    (4..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
