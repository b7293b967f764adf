//! Whom a policy names, and as whom a caller counts.

use model::Arn;

/// One of the identities that a caller has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A service such as `personalize.amazonaws.com`.
    Service(String),
    /// A root, a role or a session of a role.
    Arn(Arn),
}

/// As whom a caller counts.
///
/// A service that acts with a role is allowed by a resource policy as the service only, but denied as either.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) allowed_as: Vec<Identity>,
    pub(super) denied_as: Vec<Identity>,
}

impl Caller {
    pub fn root(arn: &Arn) -> Caller {
        let identities = vec![Identity::Arn(arn.clone())];
        Caller { allowed_as: identities.clone(), denied_as: identities }
    }

    pub fn service(service: &str) -> Caller {
        let identities = vec![Identity::Service(service.to_owned())];
        Caller { allowed_as: identities.clone(), denied_as: identities }
    }

    pub fn role_session(service: &str, session: &Arn, role: &Arn) -> Caller {
        let service = Identity::Service(service.to_owned());
        let denied_as = vec![service.clone(), Identity::Arn(session.clone()), Identity::Arn(role.clone())];
        Caller { allowed_as: vec![service], denied_as }
    }

    /// A session as the policy of a key sees it: it may be allowed as the service, as the session or as the role.
    pub fn key_session(service: &str, session: &Arn, role: &Arn) -> Caller {
        let Caller { denied_as, .. } = Caller::role_session(service, session, role);
        Caller { allowed_as: denied_as.clone(), denied_as }
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

    pub(super) fn names(&self, identity: &Identity) -> bool {
        match (self, identity) {
            (Entry::Anyone, _) => true,
            (Entry::Account(account), Identity::Arn(arn)) => arn.account() == account,
            (Entry::Arn(named), Identity::Arn(arn)) => arn.as_str() == named,
            (Entry::Service(named), Identity::Service(service)) => named == service,
            _ => false,
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
