//! Who asks for a permission, and from where: what conditions may want to know of a request beside what it is about.

use crate::{Context, Peer, Principal};

/// A principal with what is known of where its request came from.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    pub principal: &'a Principal,
    /// `None` for what the server asks by itself on somebody's behalf.
    pub peer: Option<Peer>,
    /// Those that the request sets.
    tags: &'a [(String, String)],
    /// The keys of those that it removes.
    tag_keys: &'a [String],
}

impl<'a> Asking<'a> {
    pub fn new(principal: &'a Principal, peer: Option<Peer>) -> Asking<'a> {
        Asking { principal, peer, tags: &[], tag_keys: &[] }
    }

    #[must_use]
    pub fn with_tags(self, tags: &'a [(String, String)]) -> Asking<'a> {
        Asking { tags, ..self }
    }

    #[must_use]
    pub fn without_tags(self, tag_keys: &'a [String]) -> Asking<'a> {
        Asking { tag_keys, ..self }
    }

    pub(crate) fn context(self) -> Context {
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let context = Context::from_peer(self.peer).with_request_tags(tags);
        self.tag_keys.iter().fold(context, |context, key| context.with("aws:TagKeys", key.as_str()))
    }
}

impl<'a> From<&'a Principal> for Asking<'a> {
    fn from(principal: &'a Principal) -> Asking<'a> {
        Asking::new(principal, None)
    }
}
