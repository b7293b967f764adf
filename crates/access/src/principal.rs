//! Who makes a call.

use std::net::IpAddr;
use std::sync::Arc;

use model::Arn;

use crate::policy::Caller;

/// A verified caller.
#[derive(Clone, Debug)]
pub enum Principal {
    /// The account's own credentials: everything is allowed that no resource policy denies.
    Root { arn: Arn },
    /// A user of the account.
    User(Arc<User>),
    /// A session of a role.
    Session(Arc<RoleSession>),
}

/// The address that a request comes from, for whoever carries it beside the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A user, as known to whoever bears one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `arn:aws:iam::…:user/…`.
    pub arn: Arn,
    pub name: String,
    /// `AIDA…`, never given twice.
    pub id: String,
    pub tags: Vec<(String, String)>,
}

/// A role assumed by a service on behalf of one of its resources.
#[derive(Debug)]
pub struct RoleSession {
    /// The role itself, `arn:aws:iam::…:role/…`.
    pub role: Arn,
    /// `AROA…`, never given twice.
    pub role_id: String,
    pub role_tags: Vec<(String, String)>,
    /// `arn:aws:sts::…:assumed-role/<role name>/<session name>`.
    pub session: Arn,
    /// The service that assumed the role, such as `personalize.amazonaws.com`.
    pub service: String,
    /// The resource it acts for: a job's ARN.
    pub source: Arn,
    pub expires_ms: i64,
}

impl RoleSession {
    /// `AROA…:<session name>`.
    pub fn user_id(&self) -> String {
        format!("{}:{}", self.role_id, self.session.resource_name())
    }
}

impl Principal {
    /// The ARN by which the caller is called in answers and denials.
    pub fn arn(&self) -> &Arn {
        match self {
            Principal::Root { arn } => arn,
            Principal::User(user) => &user.arn,
            Principal::Session(session) => &session.session,
        }
    }

    /// As whom policies see the caller.
    pub fn caller(&self) -> Caller<'_> {
        match self {
            Principal::Root { arn } => Caller::Root(arn),
            Principal::User(user) => Caller::User(user),
            Principal::Session(session) => Caller::Session(session),
        }
    }
}
