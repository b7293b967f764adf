//! Who may use a key: its policy decides, and says whether the account's own policies have a say.

use catalog::KeyRow;
use catalog::grant::GrantRow;
use model::{Arn, Result};

use super::{EncryptionContext, KeyFault};
use crate::identity_policy::{Documents, unreadable};
use crate::permission::{assumed, both};
use crate::policy::{Caller, Context, Decision, Document, Request, decide};
use crate::{Access, Asking, Denial, Principal, Reason, trail};

/// The most grants that are looked at.
const GRANTS_MAX: i64 = 50_000;

impl Access {
    /// Decides whether whoever asks may do `action` (such as `kms:Decrypt`) with a key; `context` is the request's.
    ///
    /// The root needs the key's policy. A user needs it too, or a policy of its own where the key's leaves the decision to
    /// the account. A session needs both: a policy of its role, and the key's policy, which may
    /// name the service, the role or the whole account. A grant stands in for both. An explicit deny wins.
    ///
    /// # Errors
    /// `Denied` with the reason; `Failed` when policies can't be read.
    pub async fn permit_key(
        &self,
        asking: impl Into<Asking<'_>>,
        action: &str,
        key: &KeyRow,
        context: Option<&EncryptionContext>,
    ) -> Result<(), KeyFault> {
        let asking = asking.into();
        let principal = asking.principal;
        trail::resource(key.arn.as_str());
        let policy = Document::parse_key_policy(&key.policy).map_err(unreadable)?;
        let own = self.own_documents(principal).await?;
        let tags = self.tags_asked_for(principal, &policy, own.as_ref(), key).await?;
        let pairs = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let given = conditions(asking, context).with_tags("aws:ResourceTag", pairs);
        let ask = |caller| Request::new(caller, action, key.arn.as_str()).given(self.surroundings(), &given);
        let by_key = decide([&policy], &ask(key_caller(principal)));
        let by_identity = decide(own.iter().flat_map(|d| d.iter()), &ask(principal.caller()));
        let reason = match principal {
            Principal::Root { .. } => match by_key {
                Decision::Allow => None,
                Decision::ExplicitDeny { .. } => Some(Reason::DeniedByResourcePolicy),
                Decision::NotAllowed => Some(Reason::NoResourcePolicy),
            },
            Principal::User(_) if by_key == Decision::Allow => denied(&by_identity),
            Principal::User(_) => {
                let root = self.realm.root();
                let by_account = decide([&policy], &ask(Caller::Root(&root)));
                both(&by_identity, if by_key == Decision::NotAllowed { &by_account } else { &by_key })
            }
            Principal::Session(_) => both(&by_identity, &by_key),
            Principal::AssumedRole(session) => {
                let by_session = self.by_session_policies(session, &ask(principal.caller())).await?;
                let is_named = || decide([&policy], &ask(Caller::AssumedSession(session))) == Decision::Allow;
                let root = self.realm.root();
                let is_open = by_key == Decision::Allow
                    || decide([&policy], &ask(Caller::Root(&root))) == Decision::Allow;
                let is_narrowed = by_session.as_ref().is_some_and(|decision| *decision != Decision::Allow);
                match assumed(&by_identity, by_session.as_ref(), &by_key, is_named) {
                    None if !is_open => Some(Reason::NoResourcePolicy),
                    // A grant is no way around the session's policies.
                    Some(reason) if is_narrowed && !reason.is_explicit() => Some(Reason::NoSessionPolicy),
                    reason => reason,
                }
            }
        };
        let Some(reason) = reason else { return Ok(()) };
        let may_be_granted = !reason.is_explicit() && reason != Reason::NoSessionPolicy;
        if may_be_granted && self.is_granted(principal, action, key, context).await? {
            return Ok(());
        }
        Err(Denial::new(principal.arn(), action, key.arn.as_str(), reason).into())
    }

    /// Decides whether whoever asks may do `action` (such as `kms:CreateKey`), which no key's policy decides;
    /// `resource` is the ARN of an alias, or `*`.
    ///
    /// # Errors
    /// As `permit_key`.
    pub async fn permit_keys(
        &self,
        asking: impl Into<Asking<'_>>,
        action: &str,
        resource: &str,
    ) -> Result<(), KeyFault> {
        let asking = asking.into();
        let principal = asking.principal;
        trail::resource(resource);
        let Some(own) = self.own_documents(principal).await? else { return Ok(()) };
        let given = asking.context();
        if let Principal::AssumedRole(_) = principal {
            return Ok(self.permit(principal, action, resource, None, &given).await?);
        }
        let request = Request::new(principal.caller(), action, resource).given(self.surroundings(), &given);
        let reason = match decide(own.iter(), &request) {
            Decision::Allow => return Ok(()),
            Decision::ExplicitDeny { .. } => Reason::DeniedByIdentityPolicy,
            Decision::NotAllowed => Reason::NoIdentityPolicy,
        };
        Err(Denial::new(principal.arn(), action, resource, reason).into())
    }

    // The key's tags, where a policy may want to know them.
    async fn tags_asked_for(
        &self,
        principal: &Principal,
        policy: &Document,
        own: Option<&Documents>,
        key: &KeyRow,
    ) -> Result<Vec<(String, String)>> {
        let is_narrowed =
            matches!(principal, Principal::AssumedRole(session) if session.session_policies.is_some());
        let mut documents = own.into_iter().flat_map(|documents| documents.iter()).chain([policy]);
        match is_narrowed || documents.any(Document::asks_for_resource_tags) {
            true => self.catalog.tags(&key.arn).await,
            false => Ok(Vec::new()),
        }
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

/// Whether a policy lets a principal change it again, by its name or as one of the account.
pub fn keeps_policy_open(policy: &Document, principal: &Principal, key: &Arn) -> bool {
    let root = Arn::parse(&format!("arn:aws:iam::{}:root", key.account()));
    let callers = [Some(key_caller(principal)), root.as_ref().map(Caller::Root)];
    callers.into_iter().flatten().any(|caller| {
        decide([policy], &Request::new(caller, "kms:PutKeyPolicy", key.as_str())) == Decision::Allow
    })
}

/// Whether an ARN names this principal, or the role behind it.
pub fn is_one_of(principal: &Principal, arn: &Arn) -> bool {
    match principal {
        Principal::Root { arn: root } => root == arn,
        Principal::User(user) => &user.arn == arn,
        Principal::Session(session) => &session.session == arn || &session.role == arn,
        Principal::AssumedRole(session) => &session.session == arn || &session.role == arn,
    }
}

fn key_caller(principal: &Principal) -> Caller<'_> {
    match principal {
        Principal::Session(session) => Caller::KeySession(session),
        principal => principal.caller(),
    }
}

// Source: "AWS KMS condition keys".
fn conditions(asking: Asking<'_>, context: Option<&EncryptionContext>) -> Context {
    let pairs = context.into_iter().flatten();
    pairs.fold(asking.context(), |given, (name, value)| {
        given
            .with(&format!("kms:EncryptionContext:{name}"), value.as_str())
            .with("kms:EncryptionContextKeys", name.as_str())
    })
}

fn denied(decision: &Decision) -> Option<Reason> {
    matches!(decision, Decision::ExplicitDeny { .. }).then_some(Reason::DeniedByIdentityPolicy)
}

// A request without a context fits a grant that demands none.
fn fits(grant: &GrantRow, context: Option<&EncryptionContext>) -> bool {
    let holds = |wanted: &EncryptionContext| {
        context.is_some_and(|given| wanted.iter().all(|(name, value)| given.get(name) == Some(value)))
    };
    grant.context_subset.as_ref().is_none_or(holds)
        && grant.context_equals.as_ref().is_none_or(|wanted| context == Some(wanted))
}
