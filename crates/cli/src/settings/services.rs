//! Where real services stand in for the embedded ones, and the server's own keys there.

use std::path::Path;

use access::ServiceSettings;
use access::services::{Certificates, ServiceKeys};
use http::Uri;
use model::error::{Context, Result};
use model::{Arn, Error};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Given, Secret};

impl Given {
    /// The real services; none has an endpoint where none is given.
    ///
    /// # Errors
    /// `Invalid` when an endpoint is no address, or would get secrets in the clear, when keys are missing, or a file
    /// is no use.
    pub(super) fn services(&self) -> Result<ServiceSettings> {
        let endpoint = |setting: &str, given: &Option<String>| {
            given.as_deref().map(|url| self.endpoint(setting, url)).transpose()
        };
        let s3_endpoint = endpoint("s3_endpoint", &self.s3_endpoint)?;
        let sts_endpoint = endpoint("sts_endpoint", &self.sts_endpoint)?;
        let kms_endpoint = endpoint("kms_endpoint", &self.kms_endpoint)?;
        if sts_endpoint.is_some() && s3_endpoint.is_none() && kms_endpoint.is_none() {
            let text = "sts_endpoint gives keys for s3_endpoint or kms_endpoint: give one of these too";
            return Err(Error::invalid(text));
        }
        let keys = self.service_keys()?;
        if keys.is_none() && (s3_endpoint.is_some() || kms_endpoint.is_some()) {
            return Err(Error::invalid(
                "s3_endpoint, sts_endpoint and kms_endpoint need service_access_key_id and service_secret_access_key",
            ));
        }
        if self.service_arn.as_deref().is_some_and(|arn| Arn::parse(arn).is_none()) {
            let text = "the setting service_arn must be an ARN such as arn:aws:iam::111122223333:user/lade";
            return Err(Error::invalid(text));
        }
        Ok(ServiceSettings {
            s3_endpoint,
            sts_endpoint,
            kms_endpoint,
            region: self.s3_region.clone().unwrap_or_default(),
            keys: keys.unwrap_or_default(),
            arn: self.service_arn.clone(),
            certificates: self.ca_file.as_deref().map(certificates).transpose()?,
        })
    }

    pub(super) fn endpoint(&self, setting: &str, url: &str) -> Result<String> {
        let wrong = || {
            let text =
                format!("the setting {setting} must be an address such as https://HOST:PORT, and is {url}");
            Error::invalid(text)
        };
        let uri = url.parse::<Uri>().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let is_bare = uri.query().is_none() && !url.contains(['@', '#']);
        let is_plain = match uri.scheme_str() {
            Some("https") if is_bare => false,
            Some("http") if is_bare => !is_this_machine(host),
            _ => return Err(wrong()),
        };
        if is_plain && self.allow_plain_http != Some(true) {
            return Err(Error::invalid(format!(
                "what is sent to {setting} would not be encrypted: give an address with https, or say \
                 --allow-plain-http"
            )));
        }
        Ok(url.trim_end_matches('/').to_owned())
    }

    fn service_keys(&self) -> Result<Option<ServiceKeys>> {
        let from_file = self.service_secret_access_key_file.as_deref().map(secret).transpose()?;
        let given = self.service_secret_access_key.clone().map(|Secret(text)| text);
        if from_file.is_some() && given.is_some() {
            let text = "give service_secret_access_key or service_secret_access_key_file, not both";
            return Err(Error::invalid(text));
        }
        match (self.service_access_key_id.clone(), from_file.or(given)) {
            (None, None) => Ok(None),
            (Some(access_key_id), Some(secret_access_key)) => {
                Ok(Some(ServiceKeys { access_key_id, secret_access_key }))
            }
            _ => Err(Error::invalid("give service_access_key_id and service_secret_access_key together")),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

pub(super) fn secret(file: &Path) -> Result<String> {
    let text =
        std::fs::read_to_string(file).unavailable(|| format!("read the secret in {}", file.display()))?;
    match text.trim() {
        "" => Err(Error::invalid(format!("{} holds no secret", file.display()))),
        text => Ok(text.to_owned()),
    }
}

// All are read here once: whoever takes them up later can't refuse them.
pub(super) fn certificates(file: &Path) -> Result<Certificates> {
    let pem = std::fs::read(file).unavailable(|| format!("read {}", file.display()))?;
    let wrong =
        || Error::invalid(format!("{} holds no certificates in PEM that can be used", file.display()));
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        trusted.add(certificate.map_err(|_| wrong())?).map_err(|_| wrong())?;
    }
    match trusted.is_empty() {
        true => Err(wrong()),
        false => Ok(Certificates(pem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            s3_endpoint: Some("http://127.0.0.1:9000/".into()),
            service_access_key_id: Some("AKIA".into()),
            service_secret_access_key: Some(Secret("secret".into())),
            ..Given::default()
        }
    }

    fn refusal(given: Given) -> String {
        given.services().unwrap_err().chain()
    }

    #[test]
    fn endpoints_need_keys_and_nothing_more() {
        let services = given().services().unwrap();
        assert_eq!(services.s3_endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!((services.sts_endpoint, services.kms_endpoint), (None, None));
        assert!(Given::default().services().unwrap().s3_endpoint.is_none());
        let keyless = Given { service_access_key_id: None, ..given() };
        assert!(refusal(keyless).contains("service_access_key_id and service_secret_access_key together"));
        let keyless = Given { service_access_key_id: None, service_secret_access_key: None, ..given() };
        assert!(refusal(keyless).contains("need service_access_key_id"));
        let lonely = Given { s3_endpoint: None, sts_endpoint: Some("https://sts".into()), ..given() };
        assert!(refusal(lonely).contains("sts_endpoint gives keys for"));
    }

    #[test]
    fn an_endpoint_is_an_address_that_keeps_secrets() {
        for url in ["", "127.0.0.1:9000", "ftp://h", "https://", "https://h/?a=b", "https://u@h"] {
            let text = refusal(Given { s3_endpoint: Some(url.into()), ..given() });
            assert!(text.contains("the setting s3_endpoint must be"), "{url}: {text}");
        }
        let plain = || Given { s3_endpoint: Some("http://10.0.0.7:9000".into()), ..given() };
        assert!(refusal(plain()).contains("--allow-plain-http"));
        assert!(Given { allow_plain_http: Some(true), ..plain() }.services().is_ok());
        assert!(Given { s3_endpoint: Some("http://[::1]:9000".into()), ..given() }.services().is_ok());
    }

    #[test]
    fn a_secret_may_lie_in_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "canary-canary\n").unwrap();
        let given = || Given { service_secret_access_key_file: Some(file.clone()), ..given() };
        assert!(refusal(given()).contains("not both"));
        let services = Given { service_secret_access_key: None, ..given() }.services().unwrap();
        assert_eq!(services.keys.secret_access_key, "canary-canary");
        assert!(!format!("{services:?}").contains("canary"));
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for text in ["", "no PEM at all", broken] {
            std::fs::write(&file, text).unwrap();
            assert!(refusal(Given { ca_file: Some(file.clone()), ..given() }).contains("ca.pem holds no"));
        }
    }
}
