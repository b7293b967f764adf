//! The doors of a visitor who may have left: for pages that are still being written when their handler has ended.

use std::sync::Arc;

use access::Peer;
use access::bucket::EmbeddedS3;
use model::{Clock, Realm};

use crate::client::Client;
use crate::session::Keys;

pub struct Doors {
    pub server: Arc<EmbeddedS3>,
    pub realm: Realm,
    pub clock: Arc<dyn Clock>,
    pub keys: Keys,
    pub peer: Option<Peer>,
}

impl Doors {
    pub fn client(&self) -> Client<'_> {
        Client {
            server: &self.server,
            realm: &self.realm,
            clock: &*self.clock,
            keys: &self.keys,
            peer: self.peer,
        }
    }
}
