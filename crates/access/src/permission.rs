//! The decision about a call: the caller's own policies, and the one of the resource.

use model::Result;

use crate::identity_policy::Documents;
use crate::policy::{Caller, Context, Decision, Document, Request, Surroundings, decide};
use crate::principal::AssumedRole;
use crate::{Access, Denial, Principal, Reason, trail};

impl Access {
    /// Decides whether `principal` may do `action` (such as `s3:PutObject`) on `resource`: an ARN, or `*` for actions
    /// that have none.
    ///
    /// The root may do what `resource_policy` does not deny, and may always mend a bucket's policy. A user needs one
    /// of its own policies, or a policy of the resource that names the user. A session needs both: a policy of its
    /// role, and one of the resource that allows the service. A role that somebody assumed needs one of them, as a user
    /// does, within the policies of the session. Conditions are decided over `context`.
    ///
    /// # Errors
    /// A denial that names the policy that lacks or forbids the action; `Unavailable` when policies can't be read.
    pub async fn permit(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        resource_policy: Option<&Document>,
        context: &Context,
    ) -> Result<(), Denial> {
        trail::resource(resource);
        let request = Request::new(principal.caller(), action, resource).given(self.surroundings(), context);
        let by_resource = decide(resource_policy, &request);
        let own = self.own_documents(principal).await?;
        let by_identity = decide(own.iter().flat_map(|documents| documents.iter()), &request);
        let reason = match principal {
            Principal::Root { .. } => only_denied(&by_resource).filter(|_| !mends_policy(action)),
            Principal::User(_) => either(&by_identity, &by_resource),
            Principal::Session(_) => both(&by_identity, &by_resource),
            Principal::AssumedRole(session) => {
                let by_session = self.by_session_policies(session, &request).await?;
                let alone = Request::new(Caller::AssumedSession(session), action, resource);
                let alone = alone.given(self.surroundings(), context);
                let is_named = || decide(resource_policy, &alone) == Decision::Allow;
                assumed(&by_identity, by_session.as_ref(), &by_resource, is_named)
            }
        };
        reason.map_or(Ok(()), |reason| Err(Denial::new(principal.arn(), action, resource, reason)))
    }

    /// Decides whether `principal` may do `action` (such as `iam:CreateRole`) on a user, role or policy of the account.
    ///
    /// # Errors
    /// As `permit`; always a denial for sessions: a job has no business there.
    pub async fn permit_account(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<(), Denial> {
        match principal {
            Principal::Session(session) => {
                Err(Denial::new(&session.session, action, resource, Reason::NoIdentityPolicy))
            }
            Principal::Root { .. } | Principal::User(_) | Principal::AssumedRole(_) => {
                self.permit(principal, action, resource, None, context).await
            }
        }
    }

    /// Whether the caller's own policies ask for the tags of resources, so that they have to be looked up.
    ///
    /// # Errors
    /// `Unavailable` when policies can't be read.
    pub async fn asks_for_resource_tags(&self, principal: &Principal) -> Result<bool> {
        let own = self.own_documents(principal).await?;
        Ok(own.iter().flat_map(|documents| documents.iter()).any(Document::asks_for_resource_tags))
    }

    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        let (region, account) = (self.realm.region.as_str(), self.realm.account.as_str());
        Surroundings { region, account, now_ms: self.clock.now_ms(), is_secure: self.is_secure }
    }

    /// What the policies say that a session was narrowed by; `None` where it was not.
    pub(crate) async fn by_session_policies(
        &self,
        session: &AssumedRole,
        request: &Request<'_>,
    ) -> Result<Option<Decision>> {
        let Some(narrowing) = &session.session_policies else { return Ok(None) };
        let mut managed = Vec::new();
        for arn in &narrowing.managed {
            managed.push(self.policies.of(&self.catalog, arn).await?);
        }
        let managed = managed.iter().flat_map(|documents| documents.iter());
        Ok(Some(decide(narrowing.inline.as_deref().into_iter().chain(managed), request)))
    }

    pub(crate) async fn own_documents(&self, principal: &Principal) -> Result<Option<Documents>> {
        let arn = match principal {
            Principal::Root { .. } => return Ok(None),
            Principal::User(user) => &user.arn,
            Principal::Session(session) => &session.role,
            Principal::AssumedRole(session) => &session.role,
        };
        self.policies.of(&self.catalog, arn).await.map(Some)
    }
}

fn mends_policy(action: &str) -> bool {
    ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"].contains(&action)
}

fn only_denied(by_resource: &Decision) -> Option<Reason> {
    matches!(by_resource, Decision::ExplicitDeny { .. }).then_some(Reason::DeniedByResourcePolicy)
}

// Within one account either policy suffices.
pub(crate) fn either(by_identity: &Decision, by_resource: &Decision) -> Option<Reason> {
    match (by_identity, by_resource) {
        (Decision::ExplicitDeny { .. }, _) => Some(Reason::DeniedByIdentityPolicy),
        (_, Decision::ExplicitDeny { .. }) => Some(Reason::DeniedByResourcePolicy),
        (Decision::NotAllowed, Decision::NotAllowed) => Some(Reason::NoIdentityPolicy),
        _ => None,
    }
}

// The session's policies narrow what others allow, but not what a resource's policy gives to the session by name.
pub(crate) fn assumed(
    by_identity: &Decision,
    by_session: Option<&Decision>,
    by_resource: &Decision,
    is_named: impl FnOnce() -> bool,
) -> Option<Reason> {
    let is_narrowed = by_session.is_some_and(|decision| *decision != Decision::Allow);
    match (either(by_identity, by_resource), by_session) {
        (Some(reason), _) if reason.is_explicit() => Some(reason),
        (_, Some(Decision::ExplicitDeny { .. })) => Some(Reason::DeniedBySessionPolicy),
        (None, _) if is_narrowed && !is_named() => Some(Reason::NoSessionPolicy),
        (reason, _) => reason,
    }
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
