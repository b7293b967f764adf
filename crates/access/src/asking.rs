//! Who asks for a permission, and from where: what conditions may want to know of a request beside what it is about.

use std::net::IpAddr;

use crate::{Context, Principal};

/// A principal with what is known of where its request came from.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    pub principal: &'a Principal,
    /// `None` for what the server asks by itself on somebody's behalf.
    pub source_ip: Option<IpAddr>,
}

impl Asking<'_> {
    pub(crate) fn context(self) -> Context {
        Context::from_peer(self.source_ip)
    }
}

impl<'a> From<&'a Principal> for Asking<'a> {
    fn from(principal: &'a Principal) -> Asking<'a> {
        Asking { principal, source_ip: None }
    }
}
