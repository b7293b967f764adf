//! Who may: principals, policy decisions, role sessions, and the only way to a bucket that is not ours.

pub mod bucket;
pub mod denial;
pub mod key;
pub mod location;
pub mod policy;
pub mod principal;
pub mod seal;
mod session;
pub mod source;

pub use bucket::Bucket;
pub use denial::{Denial, Reason};
pub use key::{EncryptionContext, KeyFault};
pub use location::S3Location;
pub use principal::{Principal, RoleSession};
pub use seal::SealingKey;

use std::sync::Arc;

use aws_sdk_s3::config::SharedHttpClient;
use catalog::Catalog;
use catalog::role::RoleRow;
use model::{Arn, Clock, Error, ErrorKind, Realm, Result};
use wire::sigv4::Credential;

use policy::{Caller, Decision, Document, Request, decide};
use session::{LIFE_MS, SessionKeys, Sessions};

/// The service that jobs act for.
pub const PERSONALIZE: &str = "personalize.amazonaws.com";

/// Decides who may do what; one for the whole server.
pub struct Access {
    pub realm: Realm,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    root: RootKey,
    s3: S3Endpoint,
    http: SharedHttpClient,
    /// Seals the keys of KMS.
    master: SealingKey,
    sessions: Arc<Sessions>,
}

/// The account's root credentials.
#[derive(Clone)]
pub struct RootKey {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// Where jobs find S3.
#[derive(Clone, Debug)]
pub struct S3Endpoint {
    /// Such as `http://127.0.0.1:8080`.
    pub url: String,
}

impl Access {
    pub fn new(
        catalog: Catalog,
        clock: Arc<dyn Clock>,
        realm: Realm,
        root: RootKey,
        s3: S3Endpoint,
        master: SealingKey,
    ) -> Access {
        // One pool of connections for all buckets; it asks no proxy, whatever the environment says.
        let http = aws_smithy_http_client::Builder::new().build_http();
        Access { realm, catalog, clock, root, s3, http, master, sessions: Arc::default() }
    }

    /// The secret and the principal behind an access key id; `None` when no live key bears it.
    pub fn credential(&self, access_key_id: &str) -> Option<(Credential, Principal)> {
        if access_key_id == self.root.access_key_id {
            let secret_access_key = self.root.secret_access_key.clone();
            let credential = Credential { secret_access_key, session_token: None };
            return Some((credential, Principal::Root { arn: self.realm.root() }));
        }
        let (credential, session) = self.sessions.find(access_key_id, self.clock.now_ms())?;
        Some((credential, Principal::Session(session)))
    }

    /// Decides whether `principal` may do `action` (such as `s3:PutObject`) on `resource`.
    ///
    /// The root may do what `resource_policy` does not deny, and may always mend a bucket's policy. A session needs
    /// both: a policy of its role, and one of the resource that allows the service.
    ///
    /// # Errors
    /// A denial that names the policy that lacks or forbids the action; `Unavailable` when policies can't be read.
    pub async fn permit(
        &self,
        principal: &Principal,
        action: &str,
        resource: &Arn,
        resource_policy: Option<&Document>,
    ) -> Result<(), Denial> {
        let caller = principal.caller();
        let request = Request::new(&caller, action, resource.as_str());
        let by_resource = decide(resource_policy, &request);
        let reason = match principal {
            Principal::Root { .. } => match by_resource {
                Decision::ExplicitDeny { .. } if !mends_policy(action) => {
                    Some(Reason::DeniedByResourcePolicy)
                }
                _ => None,
            },
            Principal::Session(session) => {
                let by_identity = decide(&self.role_documents(&session.role).await?, &request);
                both(&by_identity, &by_resource)
            }
        };
        reason.map_or(Ok(()), |reason| Err(Denial::new(principal.arn(), action, resource.as_str(), reason)))
    }

    /// Decides whether `principal` may do `action` (such as `iam:CreateRole`) on the account's roles and policies.
    ///
    /// # Errors
    /// A denial for everybody but the root: a role that could change roles could give itself everything.
    pub fn permit_account(&self, principal: &Principal, action: &str) -> Result<(), Denial> {
        match principal {
            Principal::Root { .. } => Ok(()),
            Principal::Session(session) => {
                Err(Denial::new(&session.session, action, "*", Reason::NoIdentityPolicy))
            }
        }
    }

    /// Opens a bucket as the role, on behalf of the job `source`, with keys that live as long as the bucket is open.
    ///
    /// Source: "Giving Amazon Personalize access to Amazon S3 resources".
    ///
    /// # Errors
    /// `Invalid` when there is no such role in this account, or its trust policy does not let the service in.
    pub async fn open_bucket(&self, role_arn: &str, source: &Arn, bucket: &str) -> Result<Bucket> {
        if !location::is_bucket_name(bucket) {
            return Err(Error::invalid(format!("No bucket can have the name {bucket}.")));
        }
        let session = self.assume(role_arn, source).await?;
        let keys: SessionKeys = self.sessions.mint(session, &self.clock);
        Ok(Bucket::open(bucket, &self.s3, &self.realm.region, self.http.clone(), keys))
    }

    async fn assume(&self, role_arn: &str, source: &Arn) -> Result<RoleSession> {
        let role = self.trusting_role(role_arn).await?;
        Ok(RoleSession {
            session: self.realm.assumed_role(&role.name, &session_name(source)),
            role: role.arn,
            service: PERSONALIZE.to_owned(),
            source: source.clone(),
            expires_ms: self.clock.now_ms() + LIFE_MS,
        })
    }

    /// Checks that the service can act as the role.
    ///
    /// # Errors
    /// As `open_bucket`.
    pub async fn check_role(&self, role_arn: &str) -> Result<()> {
        self.trusting_role(role_arn).await.map(drop)
    }

    async fn trusting_role(&self, role_arn: &str) -> Result<RoleRow> {
        let refused =
            |why: &str| Error::invalid(format!("Personalize can't assume the role {role_arn}. {why}"));
        let arn = Arn::parse(role_arn).filter(|arn| arn.service() == "iam" && arn.resource_type() == "role");
        let arn = arn.ok_or_else(|| refused("This is not the ARN of a role."))?;
        if arn.account() != self.realm.account {
            return Err(refused("The role belongs to another account."));
        }
        let role = self.catalog.role_by_arn(&arn).await?;
        let role = role.ok_or_else(|| refused("There is no such role."))?;
        let trust = Document::parse_trust_policy(&role.trust_policy).map_err(unreadable)?;
        match decide([&trust], &Request::new(&Caller::service(PERSONALIZE), "sts:AssumeRole", "")) {
            Decision::Allow => Ok(role),
            Decision::ExplicitDeny { .. } => {
                Err(refused(&format!("Its trust policy denies sts:AssumeRole to the service {PERSONALIZE}.")))
            }
            Decision::NotAllowed => Err(refused(&format!(
                "Its trust policy does not allow sts:AssumeRole to the service {PERSONALIZE}."
            ))),
        }
    }

    // Read anew for each decision: a change of a policy holds from the next request on.
    async fn role_documents(&self, role: &Arn) -> Result<Vec<Document>> {
        let texts = self.catalog.role_documents(role).await?;
        texts.iter().map(|text| Document::parse_identity_policy(text).map_err(unreadable)).collect()
    }
}

fn mends_policy(action: &str) -> bool {
    ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"].contains(&action)
}

// An explicit deny is told first: to allow the action elsewhere would not help.
pub(crate) fn both(by_identity: &Decision, by_resource: &Decision) -> Option<Reason> {
    match (by_identity, by_resource) {
        (Decision::ExplicitDeny { .. }, _) => Some(Reason::DeniedByIdentityPolicy),
        (_, Decision::ExplicitDeny { .. }) => Some(Reason::DeniedByResourcePolicy),
        (Decision::NotAllowed, _) => Some(Reason::NoIdentityPolicy),
        (_, Decision::NotAllowed) => Some(Reason::NoResourcePolicy),
        (Decision::Allow, Decision::Allow) => None,
    }
}

// The policy passed its checks when it was put; a text that no longer does was changed behind our back.
pub(crate) fn unreadable(error: Error) -> Error {
    Error::new(ErrorKind::Corrupt, "a stored policy can't be read").caused_by(error)
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
