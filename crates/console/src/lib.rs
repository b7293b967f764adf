//! The console: pages for a browser, made of what the server's own doors answer.
//!
//! It is a client like any other. Each page asks by requests that are signed with the visitor's keys, so a page shows and
//! does what these keys may, and the audit log has a line for it.

mod api_call;
mod assets;
mod box_plot;
mod client;
mod denial;
mod doors;
mod form;
mod markup;
mod metric;
mod navigation;
mod origin;
mod page;
mod plot;
mod reply;
mod route;
mod schema;
mod session;
mod shares;
mod visit;
mod xml;

use std::sync::Arc;

use access::Access;
use access::bucket::{Arriving, EmbeddedS3, Leaving};
use futures_util::future::BoxFuture;
use model::{Clock, Realm};

pub use crate::origin::Outside;
use crate::session::Sessions;

/// The console of a server.
pub struct Console {
    /// Answers requests as the server does that listens.
    server: Arc<EmbeddedS3>,
    realm: Realm,
    clock: Arc<dyn Clock>,
    sessions: Sessions,
    outside: Outside,
}

impl Console {
    pub fn new(server: EmbeddedS3, access: Arc<Access>, clock: Arc<dyn Clock>, outside: Outside) -> Console {
        let (realm, sessions) = (access.realm.clone(), Sessions::new(access));
        Console { server: Arc::new(server), realm, clock, sessions, outside }
    }

    /// Whether a request without a signature is for the console.
    pub fn takes(path: &str) -> bool {
        path == "/" || path == "/personalize/home" || path == "/console" || path.starts_with("/console/")
    }

    /// Answers a request of a browser; every outcome is a page.
    pub fn answer(&self, request: Arriving) -> BoxFuture<'_, Leaving> {
        // Boxed: async code is compiled where it is polled, and belongs to this crate.
        Box::pin(route::answer(self, request))
    }
}
