//! Whom a policy names, and as whom a caller counts.

use std::borrow::Cow;

use model::Arn;

use super::Effect;
use crate::principal::{AssumedRole, RoleSession, User};

/// As whom policies see a caller.
///
/// A service that acts with a role is allowed by a resource policy as the service only, but denied as either. A user
/// is allowed by its own name; a policy that allows the user's account leaves it to the user's own policies.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    Root(&'a Arn),
    User(&'a User),
    /// A service by itself, such as `personalize.amazonaws.com`, for one of its resources.
    Service {
        name: &'a str,
        source: Option<&'a Arn>,
    },
    /// A service in the session of a role.
    Session(&'a RoleSession),
    /// The same before the policy of a key, which may allow it as the service, as the session or as the role.
    KeySession(&'a RoleSession),
    /// A session that somebody of the account assumed: allowed by the name of its role, or by its own.
    AssumedRole(&'a AssumedRole),
    /// The same, allowed by its own name only.
    AssumedSession(&'a AssumedRole),
}

impl<'a> Caller<'a> {
    /// The ARN that conditions see: of a session, the role's.
    pub(super) fn arn(self) -> Option<&'a Arn> {
        match self {
            Caller::Root(arn) => Some(arn),
            Caller::User(user) => Some(&user.arn),
            Caller::Session(session) | Caller::KeySession(session) => Some(&session.role),
            Caller::AssumedRole(session) | Caller::AssumedSession(session) => Some(&session.role),
            Caller::Service { .. } => None,
        }
    }

    pub(super) fn kind(self) -> Option<&'static str> {
        match self {
            Caller::Root(_) => Some("Account"),
            Caller::User(_) => Some("User"),
            Caller::Session(_)
            | Caller::KeySession(_)
            | Caller::AssumedRole(_)
            | Caller::AssumedSession(_) => Some("AssumedRole"),
            Caller::Service { .. } => None,
        }
    }

    pub(super) fn user_name(self) -> Option<&'a str> {
        match self {
            Caller::User(user) => Some(&user.name),
            _ => None,
        }
    }

    /// The id that is never given twice.
    pub(super) fn user_id(self) -> Option<Cow<'a, str>> {
        match self {
            Caller::Root(arn) => Some(arn.account().into()),
            Caller::User(user) => Some(user.id.as_str().into()),
            Caller::Session(session) | Caller::KeySession(session) => Some(session.user_id().into()),
            Caller::AssumedRole(session) | Caller::AssumedSession(session) => Some(session.user_id().into()),
            Caller::Service { .. } => None,
        }
    }

    pub(super) fn service_name(self) -> Option<&'a str> {
        match self {
            Caller::Service { name, .. } => Some(name),
            Caller::Session(session) | Caller::KeySession(session) => Some(&session.service),
            Caller::Root(_) | Caller::User(_) | Caller::AssumedRole(_) | Caller::AssumedSession(_) => None,
        }
    }

    /// The resource that a service acts for.
    pub(super) fn source(self) -> Option<&'a Arn> {
        match self {
            Caller::Service { source, .. } => source,
            Caller::Session(session) | Caller::KeySession(session) => Some(&session.source),
            Caller::Root(_) | Caller::User(_) | Caller::AssumedRole(_) | Caller::AssumedSession(_) => None,
        }
    }

    /// When the caller's temporary credentials were given out, in milliseconds since the epoch.
    pub(super) fn token_issued_ms(self) -> Option<i64> {
        match self {
            Caller::AssumedRole(session) | Caller::AssumedSession(session) => Some(session.issued_ms),
            _ => None,
        }
    }

    /// The value of the caller's own tag; `key` is in lower case.
    pub(super) fn tag(self, key: &str) -> Option<&'a str> {
        let tags = match self {
            Caller::User(user) => &user.tags,
            Caller::Session(session) | Caller::KeySession(session) => &session.role_tags,
            Caller::AssumedRole(session) | Caller::AssumedSession(session) => &session.tags,
            Caller::Root(_) | Caller::Service { .. } => return None,
        };
        // IAM takes no two tags of one entity whose keys differ in case only.
        tags.iter().find(|(known, _)| known.to_lowercase() == key).map(|(_, value)| value.as_str())
    }
}

/// One name in a `Principal` or `NotPrincipal` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `*`: everybody, services too.
    Anyone,
    /// Everybody of an account, named by its id or by its root.
    Account(String),
    /// A role, a session or a user.
    Arn(String),
    Service(String),
}

impl Entry {
    /// Reads a name under `AWS`; an ARN is taken literally, so it can't hold wildcards.
    pub(super) fn parse_aws(text: &str) -> Option<Entry> {
        if text == "*" {
            return Some(Entry::Anyone);
        }
        if is_account(text) {
            return Some(Entry::Account(text.to_owned()));
        }
        let arn = Arn::parse(text).filter(|_| !text.contains(['*', '?', '$']))?;
        if !is_account(arn.account()) || !arn.region().is_empty() {
            return None;
        }
        match (arn.service(), arn.resource_type()) {
            ("iam", "root") if arn.resource() == "root" => Some(Entry::Account(arn.account().to_owned())),
            ("iam", "role" | "user") | ("sts", "assumed-role") if arn.resource().contains('/') => {
                Some(Entry::Arn(text.to_owned()))
            }
            _ => None,
        }
    }

    /// Reads a name under `Service`, such as `personalize.amazonaws.com`.
    pub(super) fn parse_service(text: &str) -> Option<Entry> {
        let labels = text.strip_suffix(".amazonaws.com")?;
        let is_name = !labels.is_empty()
            && labels
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        is_name.then(|| Entry::Service(text.to_owned()))
    }

    /// Whether a statement that has this name means the caller; `all_but` when it means all but those named.
    pub(super) fn names(&self, caller: Caller<'_>, effect: Effect, all_but: bool) -> bool {
        let is_allow = effect == Effect::Allow;
        let is_session = |session: &RoleSession, named: &str| {
            [session.role.as_str(), session.session.as_str()].contains(&named)
        };
        match (self, caller) {
            // Who is not spared by name was not let in by name.
            (_, Caller::AssumedSession(_)) if is_allow && all_but => true,
            (Entry::Anyone, Caller::AssumedSession(_)) => !is_allow,
            (Entry::Anyone, _) => true,
            (Entry::Service(named), Caller::Service { name, .. }) => named == name,
            (Entry::Service(named), Caller::Session(session) | Caller::KeySession(session)) => {
                *named == session.service
            }
            (Entry::Account(account), Caller::Root(arn)) => arn.account() == account,
            (Entry::Account(account), Caller::User(user)) => {
                user.arn.account() == account && (!is_allow || all_but)
            }
            (Entry::Arn(named), Caller::User(user)) => user.arn.as_str() == named,
            (Entry::Account(account), Caller::Session(session)) => {
                !is_allow && session.role.account() == account
            }
            (Entry::Arn(named), Caller::Session(session)) => !is_allow && is_session(session, named),
            (Entry::Account(account), Caller::KeySession(session)) => session.role.account() == account,
            (Entry::Arn(named), Caller::KeySession(session)) => is_session(session, named),
            (Entry::Account(account), Caller::AssumedRole(session)) => {
                session.role.account() == account && (!is_allow || all_but)
            }
            (Entry::Arn(named), Caller::AssumedRole(session)) => {
                [session.role.as_str(), session.session.as_str()].contains(&named.as_str())
            }
            (Entry::Arn(named), Caller::AssumedSession(session)) => session.session.as_str() == named,
            _ => false,
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
