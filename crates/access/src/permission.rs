//! The decision about a call: the caller's own policies, and the one of the resource.

use model::Result;

use crate::identity_policy::Documents;
use crate::policy::{Context, Decision, Document, Request, Surroundings, decide};
use crate::{Access, Denial, Principal, Reason};

impl Access {
    /// Decides whether `principal` may do `action` (such as `s3:PutObject`) on `resource`: an ARN, or `*` for actions
    /// that have none.
    ///
    /// The root may do what `resource_policy` does not deny, and may always mend a bucket's policy. A user needs one
    /// of its own policies, or a policy of the resource that names the user. A session needs both: a policy of its
    /// role, and one of the resource that allows the service. Conditions are decided over `context`.
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
        let request = Request::new(principal.caller(), action, resource).given(self.surroundings(), context);
        let by_resource = decide(resource_policy, &request);
        let own = self.own_documents(principal).await?;
        let by_identity = decide(own.iter().flat_map(|documents| documents.iter()), &request);
        let reason = match principal {
            Principal::Root { .. } => only_denied(&by_resource).filter(|_| !mends_policy(action)),
            Principal::User(_) => either(&by_identity, &by_resource),
            Principal::Session(_) => both(&by_identity, &by_resource),
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
            Principal::Root { .. } | Principal::User(_) => {
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
        Surroundings { region, account, now_ms: self.clock.now_ms() }
    }

    pub(crate) async fn own_documents(&self, principal: &Principal) -> Result<Option<Documents>> {
        let arn = match principal {
            Principal::Root { .. } => return Ok(None),
            Principal::User(user) => &user.arn,
            Principal::Session(session) => &session.role,
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
