//! One request of somebody who is signed in.

use access::Peer;
use access::bucket::Leaving;
use http::{Method, StatusCode};

use crate::Console;
use crate::client::{Answer, Client, Refusal};
use crate::doors::Doors;
use crate::form::Form;
use crate::page::Frame;
use crate::session::Session;
use crate::{page, reply};

pub struct Visit<'a> {
    pub console: &'a Console,
    pub session: Session,
    pub session_id: String,
    pub peer: Option<Peer>,
    pub method: Method,
    /// As it was asked for, encoded, without the query.
    pub path: String,
    /// Scheme, host and port by which the browser reached this server.
    pub origin: String,
    pub query: Form,
    /// What was sent, when something was; its token is the visitor's own.
    pub form: Form,
}

/// What becomes of a visit: a page, or the refusal that stands on one instead.
pub type Shown = Answer<Leaving>;

impl Visit<'_> {
    pub fn client(&self) -> Client<'_> {
        Client {
            server: &self.console.server,
            realm: &self.console.realm,
            clock: &*self.console.clock,
            keys: &self.session.keys,
            peer: self.peer,
        }
    }

    /// The same doors, for what goes on after the page was begun.
    pub fn doors(&self) -> Doors {
        Doors {
            server: self.console.server.clone(),
            realm: self.console.realm.clone(),
            clock: self.console.clock.clone(),
            keys: self.session.keys.clone(),
            peer: self.peer,
        }
    }

    /// Whether the browser keeps its session to connections that nobody can read.
    pub fn is_secure(&self) -> bool {
        self.console.outside.is_secure(self.peer)
    }

    pub fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    /// What all pages have around them; `crumbs` lead from the start to this page, with addresses.
    pub fn frame(&self, title: &str, crumbs: &[(&str, String)]) -> Frame {
        Frame::new(self, title, crumbs)
    }

    /// What is shown in place of a page that can't be.
    pub fn refused(&self, refusal: &Refusal) -> Leaving {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        reply::page(status, &page::Refused { frame: self.frame("This did not work", &[]), refusal })
    }
}
