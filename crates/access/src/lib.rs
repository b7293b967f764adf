//! Who may: principals, policy decisions, role sessions, and the only way to a bucket that is not ours.

pub mod about;
mod access_key;
mod asking;
mod assume_role;
pub mod bucket;
mod console_session;
pub mod denial;
pub mod errand;
mod identity_policy;
pub mod key;
pub mod location;
pub mod master_key;
mod network;
mod permission;
pub mod policy;
pub mod principal;
pub mod remedy;
mod root_key;
pub mod services;
mod session;
mod session_token;
mod simulation;
pub mod source;
pub mod trail;

pub use ::seal;
pub use ::seal::SealingKey;
pub use asking::Asking;
pub use assume_role::{Assumed, RoleRequest};
pub use bucket::Bucket;
pub use denial::{Denial, Reason};
pub use errand::Errand;
pub use key::{EncryptionContext, KeyFault, keys_of_server};
pub use location::S3Location;
pub use master_key::KeyRing;
pub use network::Network;
pub use policy::Context;
pub use principal::{AssumedRole, Peer, Principal, RoleSession, User};
pub use root_key::{FormerKey, KeepRootKeys, RootKey, RootKeys, Rotated};
pub use services::ServiceSettings;
pub use session_token::TemporaryKeys;
pub use simulation::Simulated;

use std::sync::{Arc, OnceLock};

use catalog::Catalog;
use catalog::role::RoleRow;
use model::{Arn, Clock, Error, Realm, Result};
use wire::sigv4::{AuthError, Credential};

use access_key::AccessKeys;
use bucket::{EmbeddedS3, Way};
use identity_policy::{IdentityPolicies, unreadable};
use key::KeptKeys;
use policy::{Caller, Decision, Document, Request, decide};
use root_key::Roots;
use services::Services;
use session::{LIFE_MS, SessionKeys, Sessions};
use session_token::SessionTokens;

/// The service that jobs act for.
pub const PERSONALIZE: &str = "personalize.amazonaws.com";

/// Decides who may do what; one for the whole server.
pub struct Access {
    pub realm: Realm,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    root: Roots,
    keys: AccessKeys,
    policies: IdentityPolicies,
    s3: S3Endpoint,
    way: Way,
    /// The way to the S3 of this process, where that is what the endpoint names.
    embedded: OnceLock<Way>,
    /// Seals the keys of KMS and the secrets of users.
    master: SealingKey,
    /// Opens what was sealed before the master key was changed.
    ring: KeyRing,
    sessions: Arc<Sessions>,
    tokens: SessionTokens,
    /// Whether clients reach the server over TLS, as far as its settings tell.
    is_secure: bool,
    /// Whether data of groups without a key of their own is sealed.
    seals_data: bool,
    kept: KeptKeys,
    services: Services,
}

/// Why nobody is behind a request.
#[derive(Debug)]
pub enum Unauthenticated {
    /// The request is at fault.
    Refused(AuthError),
    /// Who bears the token could not be looked up.
    Failed(Error),
}

impl From<AuthError> for Unauthenticated {
    fn from(error: AuthError) -> Unauthenticated {
        Unauthenticated::Refused(error)
    }
}

impl From<Error> for Unauthenticated {
    fn from(error: Error) -> Unauthenticated {
        Unauthenticated::Failed(error)
    }
}

/// Where jobs find S3.
#[derive(Clone, Debug)]
pub struct S3Endpoint {
    /// Such as `http://127.0.0.1:8080`.
    pub url: String,
}

impl Access {
    /// The users' keys are not known before `load_access_keys`.
    pub fn new(
        catalog: Catalog,
        clock: Arc<dyn Clock>,
        realm: Realm,
        root: RootKey,
        s3: S3Endpoint,
        master: SealingKey,
    ) -> Access {
        let (way, embedded) = (Way::to(&s3.url, None), OnceLock::new());
        let (keys, policies, sessions, kept, services) = Default::default();
        let (root, ring) = (Roots::new(root), KeyRing::default());
        let (tokens, is_secure, seals_data) = (SessionTokens::new(&master), false, true);
        Access {
            realm,
            catalog,
            clock,
            root,
            keys,
            policies,
            s3,
            way,
            embedded,
            master,
            ring,
            sessions,
            tokens,
            is_secure,
            seals_data,
            kept,
            services,
        }
    }

    /// The same for a server that clients reach over TLS, or do not: policies may ask.
    #[must_use]
    pub fn over_tls(self, is_secure: bool) -> Access {
        Access { is_secure, ..self }
    }

    /// The same, which also opens what was sealed before the master key was changed.
    #[must_use]
    pub fn with_key_ring(self, ring: KeyRing) -> Access {
        Access { ring, ..self }
    }

    /// The same, with data of groups without a key of their own left plain.
    #[must_use]
    pub fn with_plain_data(self, is_plain: bool) -> Access {
        Access { seals_data: !is_plain, ..self }
    }

    /// From here on buckets are reached within this process; `s3` is what listens at the endpoint. The first one stays.
    ///
    /// `s3` must not keep what it leads to, which has this `Access` behind it.
    pub fn embed(&self, s3: EmbeddedS3) {
        self.embedded.get_or_init(|| Way::embedded(s3, self.is_secure));
    }

    /// The secret and the principal behind an access key id, with the session token that came with it.
    ///
    /// The request must still be held against the credential, token and all.
    ///
    /// # Errors
    /// `Refused` when no live key has the id, or the token is not of this key, or past its time.
    pub async fn credential(
        &self,
        access_key_id: &str,
        token: Option<&str>,
    ) -> Result<(Credential, Principal), Unauthenticated> {
        self.catch_up().await?;
        if let Some(found) = self.standing_credential(access_key_id) {
            return Ok(found);
        }
        match token {
            Some(token) => self.bearer(access_key_id, token).await,
            None => {
                let made = self.key_made_elsewhere(access_key_id).await?;
                made.ok_or_else(|| AuthError::unknown_key().into())
            }
        }
    }

    // Of the keys that this process holds in memory.
    fn standing_credential(&self, access_key_id: &str) -> Option<(Credential, Principal)> {
        if let Some(credential) = self.root.find(access_key_id, self.clock.now_ms()) {
            return Some((credential, Principal::Root { arn: self.realm.root() }));
        }
        if let Some(found) = self.keys.find(access_key_id) {
            return Some(found);
        }
        let (credential, session) = self.sessions.find(access_key_id, self.clock.now_ms())?;
        Some((credential, Principal::Session(session)))
    }

    /// Opens a bucket as the role, on behalf of the job `source`, with keys that live as long as the bucket is open.
    ///
    /// Source: "Giving Amazon Personalize access to Amazon S3 resources".
    ///
    /// # Errors
    /// `Invalid` when there is no such role in this account, or its trust policy does not let the service in;
    /// `Unavailable` when a real STS does not answer.
    pub async fn open_bucket(&self, role_arn: &str, source: &Arn, errand: &Errand<'_>) -> Result<Bucket> {
        let name = errand.bucket;
        if !location::is_bucket_name(name) {
            return Err(Error::invalid(format!("No bucket can have the name {name}.")));
        }
        if let Some(bucket) = self.open_real_bucket(role_arn, source, errand).await? {
            return Ok(bucket);
        }
        let session = self.assume(role_arn, source).await?;
        let keys: SessionKeys = self.sessions.mint(session, &self.clock);
        let way = self.embedded.get().unwrap_or(&self.way);
        Ok(Bucket::open(name, &self.s3.url, &self.realm.region, way, keys))
    }

    async fn assume(&self, role_arn: &str, source: &Arn) -> Result<RoleSession> {
        let role = self.trusting_role(role_arn, source).await?;
        Ok(RoleSession {
            session: self.realm.assumed_role(&role.name, &session_name(source)),
            role: role.arn,
            role_id: role.id,
            role_tags: role.tags,
            service: PERSONALIZE.to_owned(),
            source: source.clone(),
            expires_ms: self.clock.now_ms() + LIFE_MS,
        })
    }

    /// Checks that the service can act as the role, on behalf of `source`.
    ///
    /// # Errors
    /// As `open_bucket`.
    pub async fn check_role(&self, role_arn: &str, source: &Arn) -> Result<()> {
        match self.check_real_role(role_arn, source).await? {
            true => Ok(()),
            false => self.trusting_role(role_arn, source).await.map(drop),
        }
    }

    fn role_of_account(&self, role_arn: &str) -> Result<Arn> {
        let arn = Arn::parse(role_arn).filter(|arn| arn.service() == "iam" && arn.resource_type() == "role");
        let arn = arn.ok_or_else(|| not_assumed(role_arn, "This is not the ARN of a role."))?;
        match arn.account() == self.realm.account {
            true => Ok(arn),
            false => Err(not_assumed(role_arn, "The role belongs to another account.")),
        }
    }

    // Source: "Cross-service confused deputy prevention": the service says for which job, of which account, it comes.
    async fn trusting_role(&self, role_arn: &str, source: &Arn) -> Result<RoleRow> {
        let refused = |why: &str| not_assumed(role_arn, why);
        let arn = self.role_of_account(role_arn)?;
        let role = self.catalog.role_by_arn(&arn).await?;
        let role = role.ok_or_else(|| refused("There is no such role."))?;
        let trust = Document::parse_trust_policy(&role.trust_policy).map_err(unreadable)?;
        let service = Caller::Service { name: PERSONALIZE, source: Some(source) };
        let context = Context::default();
        let request = Request::new(service, "sts:AssumeRole", "").given(self.surroundings(), &context);
        match decide([&trust], &request) {
            Decision::Allow => Ok(role),
            Decision::ExplicitDeny { .. } => {
                Err(refused(&format!("Its trust policy denies sts:AssumeRole to the service {PERSONALIZE}.")))
            }
            Decision::NotAllowed => Err(refused(&format!(
                "Its trust policy does not allow sts:AssumeRole to the service {PERSONALIZE}."
            ))),
        }
    }
}

fn not_assumed(role_arn: &str, why: &str) -> Error {
    Error::invalid(format!("Personalize can't assume the role {role_arn}. {why}"))
}

// Session names have at most 64 characters; a job's name has no others than those allowed.
fn session_name(source: &Arn) -> String {
    source
        .resource_name()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(*c))
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests;
