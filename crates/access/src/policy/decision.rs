//! The decision: an explicit deny wins, whatever its place; what nobody allows is not allowed.

use super::context::{Context, Surroundings};
use super::pattern;
use super::{Caller, Document, Effect, Statement};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) caller: Caller<'a>,
    action: &'a str,
    resource: &'a str,
    pub(super) surroundings: Surroundings<'a>,
    pub(super) context: Option<&'a Context>,
}

impl<'a> Request<'a> {
    /// `action` is such as `s3:PutObject`; `resource` is an ARN, `*` for actions that have none, or empty where a
    /// trust policy is asked.
    pub fn new(caller: Caller<'a>, action: &'a str, resource: &'a str) -> Request<'a> {
        Request { caller, action, resource, surroundings: Surroundings::default(), context: None }
    }

    /// With what conditions may ask for.
    #[must_use]
    pub fn given(self, surroundings: Surroundings<'a>, context: &'a Context) -> Request<'a> {
        Request { surroundings, context: Some(context), ..self }
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
        self.actions.takes(|pattern| pattern.takes(request.action))
            && self.names(request.caller)
            && self.has_resource(request)
            && self.conditions.iter().all(|condition| condition.holds(request))
    }

    // `NotPrincipal` spares a caller when it names any of its identities.
    fn names(&self, caller: Caller<'_>) -> bool {
        self.principals.as_ref().is_none_or(|p| p.takes(|entry| entry.names(caller, self.effect, p.all_but)))
    }

    fn has_resource(&self, request: &Request<'_>) -> bool {
        let Some(resources) = &self.resources else { return true };
        resources.takes(|template| {
            template.fill(request).is_some_and(|tokens| pattern::takes(&tokens, request.resource))
        })
    }
}
