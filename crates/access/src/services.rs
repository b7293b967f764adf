//! The real services that jobs go to in place of the embedded ones: S3, STS and KMS at endpoints of their own.

mod acting;
mod kms;
mod remote;
mod sts;

pub(crate) use acting::{Acting, REFUSED};
pub(crate) use remote::http_client;
pub use remote::{Certificates, ServiceKeys};

use std::sync::Arc;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use model::{Arn, Clock, Result};

use crate::bucket::{Store, Way};
use crate::errand::Errand;
use crate::{Access, Bucket, session_name};
use kms::Kms;
use sts::Sts;

/// Where the real services are; a service without an endpoint is the embedded one.
#[derive(Clone, Debug, Default)]
pub struct ServiceSettings {
    pub s3_endpoint: Option<String>,
    /// Without it, jobs use buckets with the server's own keys.
    pub sts_endpoint: Option<String>,
    pub kms_endpoint: Option<String>,
    /// What requests to S3 and STS are signed for.
    pub region: String,
    /// Those of the server itself.
    pub keys: ServiceKeys,
    /// The ARN of the principal that the keys belong to, for messages.
    pub arn: Option<String>,
    /// The authorities that certificates must lead up to; `None`: those that the system trusts.
    pub certificates: Option<Certificates>,
}

/// The real services.
#[derive(Default)]
pub(crate) struct Services {
    s3: Option<RealS3>,
    sts: Option<Arc<Sts>>,
    kms: Option<Kms>,
}

struct RealS3 {
    store: Store,
    credentials: Credentials,
    acting: Acting,
}

impl Services {
    pub fn new(settings: &ServiceSettings, clock: &Arc<dyn Clock>) -> Services {
        let acting = Acting::of_server(settings.arn.as_deref(), &settings.keys.access_key_id);
        let sts = settings
            .sts_endpoint
            .as_ref()
            .map(|url| Arc::new(Sts::new(url, settings, acting.clone(), clock)));
        let kms = settings.kms_endpoint.as_ref().map(|url| Kms::new(url, settings, acting.clone(), clock));
        let s3 = settings.s3_endpoint.as_ref().map(|url| RealS3 {
            store: Store {
                url: url.clone(),
                region: settings.region.clone(),
                way: Way::to(url, settings.certificates.as_ref()),
            },
            credentials: settings.keys.credentials(),
            acting,
        });
        Services { s3, sts, kms }
    }
}

impl Access {
    /// The same, with jobs that go to real services.
    #[must_use]
    pub fn with_services(self, settings: &ServiceSettings) -> Access {
        let services = Services::new(settings, &self.clock);
        Access { services, ..self }
    }

    /// Opens a bucket of a real store; `None` where S3 is the embedded one.
    pub(crate) async fn open_real_bucket(
        &self,
        role_arn: &str,
        source: &Arn,
        errand: &Errand<'_>,
    ) -> Result<Option<Bucket>> {
        let Some(s3) = &self.services.s3 else { return Ok(None) };
        let (credentials, acting) = match &self.services.sts {
            Some(sts) => {
                let role = self.role_of_account(role_arn)?;
                let (name, policy) = (session_name(source), errand.session_policy());
                match sts.clone().session(&role, &name, &policy).await {
                    // radosgw knows no actions of KMS, and takes no policy that names any.
                    Err(cause) if cause.message().contains("MalformedPolicyDocument") => {
                        let policy = errand.session_policy_without_keys();
                        sts.clone().session(&role, &name, &policy).await?
                    }
                    session => session?,
                }
            }
            None => {
                self.trusting_role(role_arn, source).await?;
                (SharedCredentialsProvider::new(s3.credentials.clone()), s3.acting.clone())
            }
        };
        Ok(Some(Bucket::open_real(errand.bucket, &s3.store, credentials, acting)))
    }

    /// Whether buckets are those of a real store, which knows its keys by itself.
    pub(crate) fn has_real_s3(&self) -> bool {
        self.services.s3.is_some()
    }

    /// Checks that the service can act as the role at a real STS; `false` where STS is the embedded one.
    pub(crate) async fn check_real_role(&self, role_arn: &str, source: &Arn) -> Result<bool> {
        let Some(sts) = &self.services.sts else { return Ok(false) };
        let role = self.role_of_account(role_arn)?;
        sts.assume(&role, &session_name(source), NOTHING).await.map(|_| true)
    }
}

/// The session policy of a session that is only tried.
const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"]}]}"#;

#[cfg(test)]
mod tests;
