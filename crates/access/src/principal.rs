//! Who makes a call.

use std::sync::Arc;

use model::Arn;

use crate::policy::Caller;

/// A verified caller.
#[derive(Clone, Debug)]
pub enum Principal {
    /// The account's own credentials: everything is allowed that no resource policy denies.
    Root { arn: Arn },
    /// A session of a role.
    Session(Arc<RoleSession>),
}

/// A role assumed by a service on behalf of one of its resources.
#[derive(Debug)]
pub struct RoleSession {
    /// The role itself, `arn:aws:iam::…:role/…`.
    pub role: Arn,
    /// `arn:aws:sts::…:assumed-role/<role name>/<session name>`.
    pub session: Arn,
    /// The service that assumed the role, such as `personalize.amazonaws.com`.
    pub service: String,
    /// The resource it acts for: a job's ARN.
    pub source: Arn,
    pub expires_ms: i64,
}

impl Principal {
    /// The ARN by which the caller is called in answers and denials.
    pub fn arn(&self) -> &Arn {
        match self {
            Principal::Root { arn } => arn,
            Principal::Session(session) => &session.session,
        }
    }

    /// As whom policies see the caller.
    pub fn caller(&self) -> Caller {
        match self {
            Principal::Root { arn } => Caller::root(arn),
            Principal::Session(s) => Caller::role_session(&s.service, &s.session, &s.role),
        }
    }
}
