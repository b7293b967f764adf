//! Who may use a key: its policy decides, and says whether the account's own policies have a say.

use catalog::KeyRow;
use catalog::grant::GrantRow;
use model::{Arn, Result};

use super::{EncryptionContext, KeyFault};
use crate::policy::{Caller, Decision, Document, Request, decide};
use crate::{Access, Denial, Principal, Reason, both, unreadable};

/// The most grants that are looked at.
const GRANTS_MAX: i64 = 50_000;

impl Access {
    /// Decides whether `principal` may do `action` (such as `kms:Decrypt`) with a key; `context` is the request's.
    ///
    /// The root needs the key's policy. A session needs both: a policy of its role, and the key's policy, which may
    /// name the service, the role or the whole account. A grant stands in for both. An explicit deny wins.
    ///
    /// # Errors
    /// `Denied` with the reason; `Failed` when policies can't be read.
    pub async fn permit_key(
        &self,
        principal: &Principal,
        action: &str,
        key: &KeyRow,
        context: Option<&EncryptionContext>,
    ) -> Result<(), KeyFault> {
        let policy = Document::parse_key_policy(&key.policy).map_err(unreadable)?;
        let caller = key_caller(principal);
        let request = Request::new(&caller, action, key.arn.as_str());
        let by_key = decide([&policy], &request);
        let reason = match principal {
            Principal::Root { .. } => match by_key {
                Decision::Allow => None,
                Decision::ExplicitDeny { .. } => Some(Reason::DeniedByResourcePolicy),
                Decision::NotAllowed => Some(Reason::NoResourcePolicy),
            },
            Principal::Session(session) => {
                both(&decide(&self.role_documents(&session.role).await?, &request), &by_key)
            }
        };
        let Some(reason) = reason else { return Ok(()) };
        let is_denied = matches!(reason, Reason::DeniedByIdentityPolicy | Reason::DeniedByResourcePolicy);
        if !is_denied && self.is_granted(principal, action, key, context).await? {
            return Ok(());
        }
        Err(Denial::new(principal.arn(), action, key.arn.as_str(), reason).into())
    }

    /// Decides whether `principal` may do `action` (such as `kms:CreateKey`), which no key's policy decides;
    /// `resource` is the ARN of an alias, or `*`.
    ///
    /// # Errors
    /// As `permit_key`.
    pub async fn permit_keys(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
    ) -> Result<(), KeyFault> {
        let Principal::Session(session) = principal else { return Ok(()) };
        let caller = principal.caller();
        let request = Request::new(&caller, action, resource);
        let reason = match decide(&self.role_documents(&session.role).await?, &request) {
            Decision::Allow => return Ok(()),
            Decision::ExplicitDeny { .. } => Reason::DeniedByIdentityPolicy,
            Decision::NotAllowed => Reason::NoIdentityPolicy,
        };
        Err(Denial::new(principal.arn(), action, resource, reason).into())
    }

    async fn is_granted(
        &self,
        principal: &Principal,
        action: &str,
        key: &KeyRow,
        context: Option<&EncryptionContext>,
    ) -> Result<bool> {
        let operation = action.strip_prefix("kms:").unwrap_or(action);
        let grants = self.catalog.grants(&key.id, "", GRANTS_MAX).await?;
        Ok(grants.iter().any(|grant| {
            grant.operations.iter().any(|granted| granted == operation)
                && is_one_of(principal, &grant.grantee)
                && fits(grant, context)
        }))
    }
}

/// Whether a policy lets a principal change it again.
pub fn keeps_policy_open(policy: &Document, principal: &Principal, key: &Arn) -> bool {
    let caller = key_caller(principal);
    decide([policy], &Request::new(&caller, "kms:PutKeyPolicy", key.as_str())) == Decision::Allow
}

/// Whether an ARN names this principal, or the role behind it.
pub fn is_one_of(principal: &Principal, arn: &Arn) -> bool {
    match principal {
        Principal::Root { arn: root } => root == arn,
        Principal::Session(session) => &session.session == arn || &session.role == arn,
    }
}

fn key_caller(principal: &Principal) -> Caller {
    match principal {
        Principal::Root { arn } => Caller::root(arn),
        Principal::Session(s) => Caller::key_session(&s.service, &s.session, &s.role),
    }
}

// A request without a context fits a grant that demands none.
fn fits(grant: &GrantRow, context: Option<&EncryptionContext>) -> bool {
    let holds = |wanted: &EncryptionContext| {
        context.is_some_and(|given| wanted.iter().all(|(name, value)| given.get(name) == Some(value)))
    };
    grant.context_subset.as_ref().is_none_or(holds)
        && grant.context_equals.as_ref().is_none_or(|wanted| context == Some(wanted))
}
