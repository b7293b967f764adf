//! The account's root keys: the one that holds, and former ones until their time is up.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use model::{Error, Result};
use tokio::sync::Mutex;
use wire::sigv4::Credential;

use crate::Access;

/// The account's root credentials.
#[derive(Clone)]
pub struct RootKey {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// A root key that has a successor, and works until its time is up.
#[derive(Clone)]
pub struct FormerKey {
    pub key: RootKey,
    pub ends_ms: i64,
}

/// The root key that holds, and those before it that still work.
#[derive(Clone)]
pub struct RootKeys {
    pub current: RootKey,
    pub former: Vec<FormerKey>,
}

/// Makes root keys durable: when it returns, the next start knows them.
pub type KeepRootKeys = Arc<dyn Fn(&RootKeys) -> Result<()> + Send + Sync>;

/// What came of giving the root another key.
pub struct Rotated {
    pub key: RootKey,
    pub former_key_id: String,
    /// Until when the key before works.
    pub former_ends_ms: i64,
}

impl RootKey {
    fn credential(&self) -> Credential {
        Credential { secret_access_key: self.secret_access_key.clone(), session_token: None }
    }
}

/// The root's keys in memory: every request may ask.
pub(crate) struct Roots {
    keys: RwLock<RootKeys>,
    /// `None` where others decide which key the root has.
    keep: Option<KeepRootKeys>,
    changing: Mutex<()>,
}

impl Roots {
    pub fn new(current: RootKey) -> Roots {
        Roots::kept(RootKeys { current, former: Vec::new() }, None)
    }

    pub fn kept(keys: RootKeys, keep: Option<KeepRootKeys>) -> Roots {
        Roots { keys: RwLock::new(keys), keep, changing: Mutex::default() }
    }

    /// The secret of a root key that works now.
    pub fn find(&self, access_key_id: &str, now_ms: i64) -> Option<Credential> {
        let keys = self.read();
        if keys.current.access_key_id == access_key_id {
            return Some(keys.current.credential());
        }
        let former = keys.former.iter().find(|one| one.key.access_key_id == access_key_id)?;
        (now_ms < former.ends_ms).then(|| former.key.credential())
    }

    pub fn is_live(&self, access_key_id: &str, now_ms: i64) -> bool {
        self.find(access_key_id, now_ms).is_some()
    }

    /// The key with which a session that begins now ends: nobody can tell by which key it was asked for, so that of
    /// several it is the first to go.
    pub fn shortest_lived(&self, now_ms: i64) -> String {
        let keys = self.read();
        let live = keys.former.iter().filter(|one| now_ms < one.ends_ms);
        let key = live.min_by_key(|one| one.ends_ms).map_or(&keys.current, |one| &one.key);
        key.access_key_id.clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, RootKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RootKeys {
    /// These keys with another one before them; none of the others works longer than `grace_ms` from now.
    fn followed_by(&self, next: RootKey, now_ms: i64, grace_ms: i64) -> RootKeys {
        let ends_ms = now_ms.saturating_add(grace_ms);
        let last = FormerKey { key: self.current.clone(), ends_ms };
        let mut former: Vec<FormerKey> = self.former.iter().cloned().chain([last]).collect();
        for one in &mut former {
            one.ends_ms = one.ends_ms.min(ends_ms);
        }
        former.retain(|one| now_ms < one.ends_ms);
        RootKeys { current: next, former }
    }
}

impl Access {
    /// The same with root keys that `keep` makes durable when they change; without it they can't be changed here.
    #[must_use]
    pub fn with_root_keys(self, keys: RootKeys, keep: Option<KeepRootKeys>) -> Access {
        Access { root: Roots::kept(keys, keep), ..self }
    }

    /// Gives the root a new key, which is durable when this returns; the one before works for `grace_ms` more.
    ///
    /// # Errors
    /// `Invalid` when the root's key is set from outside; `Unavailable` when it can't be kept, and stays as it is.
    pub async fn rotate_root_key(&self, grace_ms: i64) -> Result<Rotated> {
        let keep = self.root.keep.clone().ok_or_else(|| {
            Error::invalid(
                "The root key of this server is set by its settings (root_access_key_id, root_secret_access_key): set \
                 another one there, and start the server again.",
            )
        })?;
        let _changing = self.root.changing.lock().await;
        let key = RootKey {
            access_key_id: format!("AKIA{}", self.clock.base32(16)),
            secret_access_key: self.clock.base32(40),
        };
        let now_ms = self.clock.now_ms();
        let (next, former_key_id) = {
            let keys = self.root.read();
            (keys.followed_by(key.clone(), now_ms, grace_ms), keys.current.access_key_id.clone())
        };
        let durable = next.clone();
        let kept = tokio::task::spawn_blocking(move || keep(&durable)).await;
        kept.map_err(|cause| Error::internal("keep the root key").caused_by(cause))??;
        *self.root.keys.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(Rotated { key, former_key_id, former_ends_ms: now_ms.saturating_add(grace_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> RootKey {
        RootKey { access_key_id: id.into(), secret_access_key: format!("secret of {id}") }
    }

    #[test]
    fn a_former_key_works_until_its_time_is_up_and_no_longer_than_a_later_change_says() {
        let first = RootKeys { current: key("a"), former: Vec::new() };
        let second = first.followed_by(key("b"), 1_000, 500);
        let roots = Roots::kept(second.clone(), None);
        assert!(roots.is_live("a", 1_499) && !roots.is_live("a", 1_500) && roots.is_live("b", i64::MAX));
        assert_eq!((roots.shortest_lived(1_499), roots.shortest_lived(1_500)), ("a".into(), "b".into()));
        let third = Roots::kept(second.followed_by(key("c"), 1_100, 200), None);
        assert!(third.is_live("a", 1_299) && third.is_live("b", 1_299) && !third.is_live("a", 1_300));
        let at_once = Roots::kept(second.followed_by(key("c"), 1_100, 0), None);
        assert!(!at_once.is_live("a", 1_100) && !at_once.is_live("b", 1_100) && at_once.is_live("c", 1_100));
    }
}
