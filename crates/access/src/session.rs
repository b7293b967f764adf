//! Live role sessions, in memory only: their keys work until they expire, or nobody needs them any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Clock;
use wire::sigv4::Credential;

use crate::principal::RoleSession;

/// How long the keys of a session work: 12 hours, the most that a role can allow.
pub(crate) const LIFE_MS: i64 = 12 * 3600 * 1000;

/// The sessions of this process, by access key id.
#[derive(Default)]
pub(crate) struct Sessions {
    live: Mutex<HashMap<String, (Credential, Arc<RoleSession>)>>,
}

/// The keys of one session; they stop working when this is dropped.
pub(crate) struct SessionKeys {
    pub access_key_id: String,
    pub credential: Credential,
    sessions: Arc<Sessions>,
}

impl Sessions {
    /// Makes keys for a session; expired ones are forgotten on the way.
    pub fn mint(self: &Arc<Self>, session: RoleSession, clock: &Arc<dyn Clock>) -> SessionKeys {
        let access_key_id = format!("ASIA{}", clock.base32(16));
        let secret_access_key = clock.base32(40);
        let credential = Credential { secret_access_key, session_token: Some(clock.base32(128)) };
        let now_ms = clock.now_ms();
        let mut live = self.lock();
        live.retain(|_, (_, session)| session.expires_ms > now_ms);
        live.insert(access_key_id.clone(), (credential.clone(), Arc::new(session)));
        drop(live);
        SessionKeys { access_key_id, credential, sessions: self.clone() }
    }

    pub fn find(&self, access_key_id: &str, now_ms: i64) -> Option<(Credential, Arc<RoleSession>)> {
        self.lock().get(access_key_id).filter(|(_, session)| session.expires_ms > now_ms).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Credential, Arc<RoleSession>)>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.access_key_id);
    }
}

#[cfg(test)]
impl Sessions {
    /// The access key id of the one live session.
    pub fn only_key(&self) -> String {
        self.lock().keys().next().expect("a test has made a session").clone()
    }
}
