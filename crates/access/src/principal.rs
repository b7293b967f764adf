//! Who makes a call.

use std::net::IpAddr;
use std::sync::Arc;

use catalog::user::UserRow;
use model::Arn;

use crate::policy::{Caller, Document};

/// A verified caller.
#[derive(Clone, Debug)]
pub enum Principal {
    /// The account's own credentials: everything is allowed that no resource policy denies.
    Root { arn: Arn },
    /// A user of the account.
    User(Arc<User>),
    /// A session of a role that a service assumed for a job.
    Session(Arc<RoleSession>),
    /// A session of a role that a user, or another session, assumed.
    AssumedRole(Arc<AssumedRole>),
}

/// Where a request comes from, for whoever carries it beside the request: the client, whatever stands before the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: IpAddr,
    /// Whether nobody on the client's way here can read along.
    pub is_secure: bool,
}

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

impl User {
    pub(crate) fn of(row: UserRow) -> User {
        User { arn: row.arn, name: row.name, id: row.id, tags: row.tags }
    }
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

/// A role assumed by somebody of the account.
#[derive(Clone, Debug)]
pub struct AssumedRole {
    /// The role itself, `arn:aws:iam::…:role/…`.
    pub role: Arn,
    /// `AROA…`, never given twice.
    pub role_id: String,
    /// `arn:aws:sts::…:assumed-role/<role name>/<session name>`.
    pub session: Arn,
    /// Those of the session, and of the role where the session has none of that key.
    pub tags: Vec<(String, String)>,
    /// The tags that sessions assumed from this one inherit.
    pub transitive_tags: Vec<(String, String)>,
    /// What the session may at most, whatever the role may; `None` where it was not narrowed.
    pub session_policies: Option<SessionPolicies>,
    pub issued_ms: i64,
}

/// Policies that were given when a role was assumed.
#[derive(Clone, Debug)]
pub struct SessionPolicies {
    pub inline: Option<Arc<Document>>,
    /// The ARNs of managed policies.
    pub managed: Vec<Arn>,
}

impl AssumedRole {
    /// `AROA…:<session name>`.
    pub fn user_id(&self) -> String {
        format!("{}:{}", self.role_id, self.session.resource_name())
    }
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
            Principal::AssumedRole(session) => &session.session,
        }
    }

    /// As whom policies see the caller.
    pub fn caller(&self) -> Caller<'_> {
        match self {
            Principal::Root { arn } => Caller::Root(arn),
            Principal::User(user) => Caller::User(user),
            Principal::Session(session) => Caller::Session(session),
            Principal::AssumedRole(session) => Caller::AssumedRole(session),
        }
    }
}
