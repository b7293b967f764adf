//! Sessions of roles from a real STS, narrowed to one errand, and taken anew before their keys run out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use model::{Arn, Clock, Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ServiceSettings;
use super::acting::Acting;
use super::remote::{Post, Remote, Reply};

/// How long a session lasts: the most that any role allows.
const LIFE_S: u32 = 3600;
/// So long before their end keys are no longer used: what begins with them then still ends in time.
const SPARE: Duration = Duration::from_secs(300);
/// Refusals of the server's own keys, whatever the role.
const OWN_KEYS: [&str; 7] = [
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// A real STS, asked with the server's own keys.
pub(crate) struct Sts {
    remote: Remote,
    region: String,
    credentials: Credentials,
    acting: Acting,
}

/// A session as STS gives it out.
pub(crate) struct Session {
    pub credentials: Credentials,
    /// `arn:aws:sts::…:assumed-role/<role name>/<session name>`.
    pub arn: String,
}

impl Sts {
    pub fn new(url: &str, settings: &ServiceSettings, acting: Acting, clock: &Arc<dyn Clock>) -> Sts {
        Sts {
            remote: Remote::new("sts", url, settings.certificates.as_ref(), clock),
            region: settings.region.clone(),
            credentials: settings.keys.credentials(),
            acting,
        }
    }

    /// Opens a session of a role, whose keys are renewed for as long as somebody asks for them.
    ///
    /// # Errors
    /// As `assume`.
    pub async fn session(
        self: Arc<Self>,
        role: &Arn,
        name: &str,
        policy: &str,
    ) -> Result<(SharedCredentialsProvider, Acting)> {
        let first = self.assume(role, name, policy).await?;
        let acting = self.acting.session(first.arn);
        let (role, name, policy) = (role.clone(), name.to_owned(), policy.to_owned());
        let first = Mutex::new(Some(first.credentials));
        Ok((SharedCredentialsProvider::new(Renewed { sts: self, role, name, policy, first }), acting))
    }

    /// Opens a session of a role that may do at most what `policy` says.
    ///
    /// # Errors
    /// `Invalid` when STS refuses it, with what mends that; `Unavailable` when STS does not answer, or does not take the
    /// server's own keys.
    pub async fn assume(&self, role: &Arn, name: &str, policy: &str) -> Result<Session> {
        let parameters = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", role.as_str()),
            ("RoleSessionName", name),
            ("DurationSeconds", &LIFE_S.to_string()),
            ("Policy", policy),
        ];
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let body: Vec<String> = parameters.map(|(name, value)| format!("{name}={}", encoded(value))).into();
        let post = Post {
            region: &self.region,
            credentials: &self.credentials,
            headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            body: &body.join("&"),
        };
        let reply = self.remote.post(&post).await?;
        if !(200..300).contains(&reply.status) {
            return Err(self.refusal(role, &reply));
        }
        session(&reply, role, name).ok_or_else(|| {
            Error::unavailable("The STS of this server's settings gave an answer without keys.")
        })
    }

    fn refusal(&self, role: &Arn, reply: &Reply) -> Error {
        let text = String::from_utf8_lossy(&reply.body);
        let code = element(&text, "Code").unwrap_or_else(|| format!("status {}", reply.status));
        let message = element(&text, "Message").filter(|message| !message.is_empty());
        let said = message.map_or_else(|| code.clone(), |message| format!("{code}: {message}"));
        if OWN_KEYS.contains(&code.as_str()) {
            let text = "The STS of this server's settings does not take the server's own keys.";
            return Error::unavailable(text).caused_by(said);
        }
        let (principal, denial) =
            (self.acting.principal(), self.acting.denial("sts:AssumeRole", role.as_str(), &said));
        let statement = format!(
            r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "sts:AssumeRole"}}"#
        );
        Error::invalid(format!(
            "Personalize can't assume the role {role}. {denial}. Add this statement to the trust policy of the role \
             {}: {statement}",
            role.resource_name()
        ))
    }
}

fn session(reply: &Reply, role: &Arn, name: &str) -> Option<Session> {
    let text = String::from_utf8_lossy(&reply.body);
    let expires = element(&text, "Expiration").and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
    let credentials = Credentials::new(
        element(&text, "AccessKeyId")?,
        element(&text, "SecretAccessKey")?,
        element(&text, "SessionToken"),
        expires.map(|end| SystemTime::from(end) - SPARE),
        "assumed-role",
    );
    let made = || {
        let (account, role) = (role.account(), role.resource_name());
        format!("arn:aws:sts::{account}:assumed-role/{role}/{name}")
    };
    Some(Session { credentials, arn: element(&text, "Arn").unwrap_or_else(made) })
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), |text| text.into_owned()))
}

/// The keys of a session, then those of its successors: the client asks whenever the last ones are too old.
struct Renewed {
    sts: Arc<Sts>,
    role: Arn,
    name: String,
    policy: String,
    /// Those that the session was opened with, until they are asked for.
    first: Mutex<Option<Credentials>>,
}

impl Renewed {
    async fn credentials(&self) -> provider::Result {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(credentials) => Ok(credentials),
            None => {
                let session = self.sts.assume(&self.role, &self.name, &self.policy).await;
                session.map(|session| session.credentials).map_err(CredentialsError::provider_error)
            }
        }
    }
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renewed({})", self.role)
    }
}

impl ProvideCredentials for Renewed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
