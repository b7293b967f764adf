//! Temporary keys: a role assumed by somebody of the account, or one's own permissions for a while.

use catalog::role::RoleRow;
use model::{Arn, Error, Result};

use crate::identity_policy::unreadable;
use crate::permission::{assumed, both};
use crate::policy::{Caller, Context, Decision, Document, Request, decide};
use crate::session_token::{Bearer, RoleClaims, TemporaryKeys, merged};
use crate::{Access, Denial, Principal, Reason};

/// How long a session lasts that says nothing about it, and one of a chain at most.
const HOUR_S: i64 = 3600;

/// What somebody wants of a role. Source: AssumeRole.
pub struct RoleRequest {
    pub role: Arn,
    pub session_name: String,
    /// An hour, where none is given.
    pub duration_s: Option<i64>,
    pub external_id: Option<String>,
    /// What the session may at most, byte for byte as it was sent.
    pub policy: Option<String>,
    pub policy_arns: Vec<Arn>,
    pub tags: Vec<(String, String)>,
    /// Keys of tags that sessions assumed from the new one inherit.
    pub transitive_tag_keys: Vec<String>,
}

/// A role that was assumed.
pub struct Assumed {
    pub keys: TemporaryKeys,
    /// `arn:aws:sts::…:assumed-role/<role name>/<session name>`.
    pub session: Arn,
    /// `AROA…:<session name>`.
    pub user_id: String,
}

impl Access {
    /// Opens a session of a role for a caller whom the role's trust policy lets in; `context` says where the call is from.
    ///
    /// A trust policy that names the caller suffices; one that names the account leaves it to the caller's own policies.
    ///
    /// # Errors
    /// `Denied`, also where there is no such role; `Invalid` when the session would be too long, or would change a tag
    /// that it inherits.
    pub async fn assume_role(
        &self,
        principal: &Principal,
        request: RoleRequest,
        context: Context,
    ) -> Result<Assumed> {
        let role = self.catalog.role_by_arn(&request.role).await?;
        let context = asked(&request, role.as_ref(), context);
        self.permit_role(principal, "sts:AssumeRole", &request.role, role.as_ref(), &context).await?;
        if !request.tags.is_empty() {
            self.permit_role(principal, "sts:TagSession", &request.role, role.as_ref(), &context).await?;
        }
        let role = role.ok_or_else(|| Error::internal("a role that is not there let somebody in"))?;
        let life_ms = 1000 * life_s(principal, &role, request.duration_s)?;
        let claims = self.claims(principal, role, request)?;
        let (session, role_id) = (claims.session.clone(), claims.role_id.clone());
        let keys = self.tokens.issue(Bearer::Role(Box::new(claims)), life_ms, &*self.clock)?;
        let user_id = format!("{role_id}:{}", session.resource_name());
        Ok(Assumed { keys, session, user_id })
    }

    /// Keys with which a user, or the root, acts as itself for a while.
    ///
    /// # Errors
    /// `Denied` for a session, which has such keys already.
    pub fn session_token(&self, principal: &Principal, duration_s: i64) -> Result<TemporaryKeys> {
        let bearer = match principal {
            Principal::Root { .. } => {
                Bearer::Root { access_key_id: self.root.shortest_lived(self.clock.now_ms()) }
            }
            Principal::User(user) => Bearer::User { id: user.id.clone() },
            Principal::Session(_) | Principal::AssumedRole(_) => {
                let text = "Cannot call GetSessionToken with session credentials";
                return Err(Error::new(model::ErrorKind::Denied, text));
            }
        };
        self.tokens.issue(bearer, 1000 * duration_s, &*self.clock)
    }

    // What is not there is refused in the words of what is forbidden.
    async fn permit_role(
        &self,
        principal: &Principal,
        action: &str,
        role_arn: &Arn,
        role: Option<&RoleRow>,
        context: &Context,
    ) -> Result<()> {
        if matches!(principal, Principal::Root { .. }) {
            let text = "Roles may not be assumed by root accounts.";
            return Err(Error::new(model::ErrorKind::Denied, text));
        }
        let ask =
            |caller, resource| Request::new(caller, action, resource).given(self.surroundings(), context);
        let own = self.own_documents(principal).await?;
        let as_caller = ask(principal.caller(), role_arn.as_str());
        let by_identity = decide(own.iter().flat_map(|documents| documents.iter()), &as_caller);
        let trust = role.map(|role| Document::parse_trust_policy(&role.trust_policy)).transpose();
        let trust = trust.map_err(unreadable)?;
        let trusted = |caller| decide(&trust, &ask(caller, ""));
        let by_trust = trusted(principal.caller());
        let root = self.realm.root();
        let by_account = || match &by_trust {
            Decision::NotAllowed => trusted(Caller::Root(&root)),
            decision => decision.clone(),
        };
        let reason = match principal {
            // A job has no business there.
            Principal::Root { .. } | Principal::Session(_) => Some(Reason::NoIdentityPolicy),
            Principal::User(_) if by_trust == Decision::Allow => denied(&by_identity),
            Principal::User(_) => both(&by_identity, &by_account()),
            Principal::AssumedRole(session) => {
                let by_session = self.by_session_policies(session, &as_caller).await?;
                let is_named = || trusted(Caller::AssumedSession(session)) == Decision::Allow;
                let reason = assumed(&by_identity, by_session.as_ref(), &by_trust, is_named);
                let is_open = by_account() == Decision::Allow;
                reason.or((!is_open).then_some(Reason::NoResourcePolicy))
            }
        };
        let told = |reason| Denial::new(principal.arn(), action, role_arn.as_str(), reason).into();
        reason.map_or(Ok(()), |reason| Err(told(reason)))
    }

    fn claims(&self, principal: &Principal, role: RoleRow, request: RoleRequest) -> Result<RoleClaims> {
        let inherited = match principal {
            Principal::AssumedRole(session) => session.transitive_tags.clone(),
            _ => Vec::new(),
        };
        if let Some((key, _)) = request.tags.iter().find(|(key, _)| has(&inherited, key)) {
            return Err(Error::invalid(format!(
                "The tag {key} can't be set: the calling session hands a tag of this key on."
            )));
        }
        let is_handed_on = |key: &str| request.transitive_tag_keys.iter().any(|one| same(one, key));
        let handed_on = request.tags.iter().filter(|(key, _)| is_handed_on(key)).cloned().collect();
        Ok(RoleClaims {
            session: self.realm.assumed_role(&role.name, &request.session_name),
            role: role.arn,
            role_id: role.id,
            transitive_tags: merged(inherited.clone(), handed_on),
            tags: merged(inherited, request.tags),
            policy: request.policy,
            policy_arns: request.policy_arns,
        })
    }
}

// Source: "Available keys for AWS STS".
fn asked(request: &RoleRequest, role: Option<&RoleRow>, context: Context) -> Context {
    let pairs = |tags| <[(String, String)]>::iter(tags).map(|(key, value)| (key.as_str(), value.as_str()));
    let tags = role.map(|role| role.tags.as_slice()).unwrap_or_default();
    let context = context
        .with("sts:RoleSessionName", request.session_name.as_str())
        .with_request_tags(pairs(&request.tags))
        .with_tags("aws:ResourceTag", pairs(tags))
        .with_tags("iam:ResourceTag", pairs(tags));
    let keys = request.transitive_tag_keys.iter().map(|key| ("sts:TransitiveTagKeys", key));
    let id = request.external_id.iter().map(|id| ("sts:ExternalId", id));
    keys.chain(id).fold(context, |context, (key, value)| context.with(key, value.as_str()))
}

fn life_s(principal: &Principal, role: &RoleRow, duration_s: Option<i64>) -> Result<i64> {
    let life_s = duration_s.unwrap_or(HOUR_S);
    if matches!(principal, Principal::AssumedRole(_)) && life_s > HOUR_S {
        return Err(Error::invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if life_s > role.max_session_s {
        return Err(Error::invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(life_s)
}

fn denied(decision: &Decision) -> Option<Reason> {
    matches!(decision, Decision::ExplicitDeny { .. }).then_some(Reason::DeniedByIdentityPolicy)
}

fn has(tags: &[(String, String)], key: &str) -> bool {
    tags.iter().any(|(known, _)| same(known, key))
}

// IAM takes no two tags whose keys differ in case only.
fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests;
