//! The decision: an explicit deny wins, whatever its place; what nobody allows is not allowed.

use super::{Caller, Document, Effect, Statement};

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    caller: &'a Caller,
    lower_case_action: String,
    resource: &'a str,
}

impl<'a> Request<'a> {
    /// `action` is such as `s3:PutObject`; `resource` is an ARN, or empty where a trust policy is asked.
    pub fn new(caller: &'a Caller, action: &str, resource: &'a str) -> Request<'a> {
        Request { caller, lower_case_action: action.to_ascii_lowercase(), resource }
    }
}

/// What policies of one kind say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// A statement denies it: its `Sid` where it has one, and the number of its document.
    ExplicitDeny {
        sid: Option<String>,
        which: usize,
    },
    /// No statement allows it.
    NotAllowed,
}

/// Decides over all documents of one kind: those of an identity, or the one of a resource.
pub fn decide<'d>(documents: impl IntoIterator<Item = &'d Document>, request: &Request<'_>) -> Decision {
    let mut decision = Decision::NotAllowed;
    for (which, document) in documents.into_iter().enumerate() {
        for statement in document.statements.iter().filter(|statement| statement.applies(request)) {
            match statement.effect {
                Effect::Deny => return Decision::ExplicitDeny { sid: statement.sid.clone(), which },
                Effect::Allow => decision = Decision::Allow,
            }
        }
    }
    decision
}

impl Statement {
    fn applies(&self, request: &Request<'_>) -> bool {
        self.names(request.caller)
            && self.actions.takes(|pattern| pattern.takes(&request.lower_case_action))
            && self.resources.as_ref().is_none_or(|r| r.takes(|pattern| pattern.takes(request.resource)))
    }

    // `NotPrincipal` spares a caller when it names any of its identities.
    fn names(&self, caller: &Caller) -> bool {
        let identities = match self.effect {
            Effect::Allow => &caller.allowed_as,
            Effect::Deny => &caller.denied_as,
        };
        self.principals
            .as_ref()
            .is_none_or(|p| p.takes(|entry| identities.iter().any(|identity| entry.names(identity))))
    }
}
