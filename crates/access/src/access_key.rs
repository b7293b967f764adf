//! The access keys of users, in memory: every request looks its key up before anything else is known of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use catalog::Changes;
use catalog::access_key::{AccessKeyRow, LiveKey, StoredSecret};
use catalog::user::UserRow;
use model::{Clock, Error, Result};
use tokio::sync::Mutex;
use wire::sigv4::Credential;

use crate::principal::User;
use crate::seal::SealingKey;
use crate::{Access, Principal};

/// The most keys that a user has. Source: "IAM and AWS STS quotas".
const KEYS_MAX: i64 = 2;
/// What the secrets of users are sealed for.
const PURPOSE: &[u8] = b"secrets of access keys";
/// With which a sealed secret begins; no secret has a colon.
const SEALED: &str = "sealed:";

/// How the ids of users' keys begin.
const PREFIX: &str = "AKIA";
/// A key's use is written down at most this often.
const NOTED_EVERY_MS: i64 = 60_000;

/// The active keys of all users, by id.
#[derive(Default)]
pub(crate) struct AccessKeys {
    live: RwLock<HashMap<String, Live>>,
    /// Held while a key changes, so that memory sees the changes in the order of the catalog; the catalog's count of
    /// changes when all of them were read.
    changing: Mutex<i64>,
}

struct Live {
    credential: Credential,
    user: Arc<User>,
    /// The use that was written down last: when, and for which service.
    noted: std::sync::Mutex<Option<(i64, String)>>,
}

impl AccessKeys {
    pub fn find(&self, id: &str) -> Option<(Credential, Principal)> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(id).map(|key| (key.credential.clone(), Principal::User(key.user.clone())))
    }

    /// Whether a use of a key is to be written down; it counts as written from now on.
    fn must_note(&self, id: &str, service: &str, now_ms: i64) -> bool {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = live.get(id) else { return false };
        let mut noted = key.noted.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back keeps nothing from being written.
        let is_fresh = |at_ms: i64| (at_ms..at_ms + NOTED_EVERY_MS).contains(&now_ms);
        if noted.as_ref().is_some_and(|(at_ms, known)| known == service && is_fresh(*at_ms)) {
            return false;
        }
        *noted = Some((now_ms, service.to_owned()));
        true
    }

    fn put(&self, key: LiveKey, secret_access_key: String) {
        let credential = Credential { secret_access_key, session_token: None };
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let noted = live.remove(&key.id).map(|known| known.noted).unwrap_or_default();
        live.insert(key.id, Live { credential, user: Arc::new(User::of(key.user)), noted });
    }

    fn retain(&self, ids: &HashSet<String>) {
        self.live.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| ids.contains(id));
    }

    fn remove(&self, id: &str) {
        self.live.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// The changes of keys: committed first, and in force for the next request when they return.
impl Access {
    /// Reads the keys of all users; before, none of them is known, and after, who bears them is known as it is by now.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt` when the catalog can't be read, or a secret in it can't be opened.
    pub async fn load_access_keys(&self) -> Result<()> {
        let mut as_of = self.keys.changing.lock().await;
        // Asked before the keys are read: what changes meanwhile is read again.
        let identity = self.catalog.changes().await?.identity;
        self.load().await?;
        *as_of = identity;
        Ok(())
    }

    /// Reads the keys again if other nodes may have changed any since; from here on theirs hold, and no others.
    ///
    /// # Errors
    /// As `load_access_keys`.
    pub async fn follow(&self, changes: Changes) -> Result<()> {
        let mut as_of = self.keys.changing.lock().await;
        if *as_of != changes.identity {
            self.load().await?;
            *as_of = changes.identity;
        }
        Ok(())
    }

    /// Looks at once what other nodes have changed, where this one has not looked for a while.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        if self.catalog.is_behind() {
            self.follow(self.catalog.changes().await?).await?;
        }
        Ok(())
    }

    /// A key that another node may just have made.
    pub(crate) async fn key_made_elsewhere(&self, id: &str) -> Result<Option<(Credential, Principal)>> {
        if !self.catalog.is_shared() || !id.starts_with(PREFIX) {
            return Ok(None);
        }
        if let Some(key) = self.catalog.live_key(id).await? {
            self.keep(key)?;
        }
        Ok(self.keys.find(id))
    }

    async fn load(&self) -> Result<()> {
        let keys = self.catalog.live_keys().await?;
        self.keys.retain(&keys.iter().map(|key| key.id.clone()).collect());
        keys.into_iter().try_for_each(|key| self.keep(key))
    }

    /// Seals the secrets of a catalog that holds them as they are.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be written.
    pub async fn seal_access_keys(&self) -> Result<()> {
        let _changing = self.keys.changing.lock().await;
        let mut clear = self.catalog.stored_secrets().await?;
        clear.retain(|secret| !secret.text.starts_with(SEALED));
        if clear.is_empty() {
            return Ok(());
        }
        let sealed = |secret: StoredSecret| StoredSecret {
            text: self.sealed(&secret.text, &secret.access_key_id, &secret.user_id),
            ..secret
        };
        self.catalog.replace_secrets(&clear.into_iter().map(sealed).collect::<Vec<_>>()).await
    }

    /// Makes a key for a user; the secret is told here and never again.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; `LimitExceeded` when it has two keys.
    pub async fn create_access_key(&self, user: &str) -> Result<(AccessKeyRow, String)> {
        let _changing = self.keys.changing.lock().await;
        let (id, secret) = (format!("{PREFIX}{}", self.clock.base32(16)), self.clock.base32(40));
        let seal = |user: &UserRow| self.sealed(&secret, &id, &user.id);
        let (row, key) = self.catalog.create_access_key(user, &id, seal, KEYS_MAX).await?;
        self.keys.put(key, secret.clone());
        Ok((row, secret))
    }

    /// Lets a key of a user work, or stops it.
    ///
    /// # Errors
    /// `NotFound` when there is no such user, or it has no such key.
    pub async fn set_access_key_active(&self, user: &str, id: &str, is_active: bool) -> Result<()> {
        let _changing = self.keys.changing.lock().await;
        match self.catalog.set_access_key_active(user, id, is_active).await? {
            Some(key) => self.keep(key)?,
            None => self.keys.remove(id),
        }
        Ok(())
    }

    /// # Errors
    /// `NotFound` when there is no such user, or it has no such key.
    pub async fn delete_access_key(&self, user: &str, id: &str) -> Result<()> {
        let _changing = self.keys.changing.lock().await;
        self.catalog.delete_access_key(user, id).await?;
        self.keys.remove(id);
        Ok(())
    }

    /// What is to be written down of a verified request that bore a key: nothing for keys that are no user's, and nothing
    /// more within a minute, so that calls don't wait for it.
    pub fn note_use(
        &self,
        id: &str,
        service: &str,
    ) -> Option<impl Future<Output = Result<()>> + Send + 'static> {
        let now_ms = self.clock.now_ms();
        if !self.keys.must_note(id, service, now_ms) {
            return None;
        }
        let (catalog, id, service) = (self.catalog.clone(), id.to_owned(), service.to_owned());
        Some(async move { catalog.note_access_key_use(&id, now_ms, &service).await })
    }

    fn keep(&self, key: LiveKey) -> Result<()> {
        let secret = open(&self.master, &key.sealed_secret, &about(&key.id, &key.user.id))?;
        self.keys.put(key, secret);
        Ok(())
    }

    fn sealed(&self, secret: &str, access_key_id: &str, user_id: &str) -> String {
        seal(&self.master, &*self.clock, secret, &about(access_key_id, user_id))
    }
}

/// A secret as it is kept under another master key.
///
/// # Errors
/// `Corrupt` when it was not sealed under the one before.
pub(crate) fn resealed(
    from: &SealingKey,
    to: &SealingKey,
    clock: &dyn Clock,
    secret: StoredSecret,
) -> Result<StoredSecret> {
    let about = about(&secret.access_key_id, &secret.user_id);
    let clear = match secret.text.starts_with(SEALED) {
        true => open(from, &secret.text, &about)?,
        false => secret.text,
    };
    Ok(StoredSecret { text: seal(to, clock, &clear, &about), ..secret })
}

fn open(master: &SealingKey, text: &str, about: &str) -> Result<String> {
    let sealed = text.strip_prefix(SEALED).and_then(|text| STANDARD.decode(text).ok());
    let opened = sealed.and_then(|sealed| master.derive(PURPOSE).open(&sealed, about.as_bytes()));
    opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Error::corrupt(
            "the secrets of access keys were sealed under another master key than the one in the data folder: \
             restore master_key from the same backup as the catalog",
        )
    })
}

fn seal(master: &SealingKey, clock: &dyn Clock, secret: &str, about: &str) -> String {
    let sealed = master.derive(PURPOSE).seal(clock, secret.as_bytes(), about.as_bytes());
    format!("{SEALED}{}", STANDARD.encode(sealed))
}

// A secret opens in its own row only.
fn about(access_key_id: &str, user_id: &str) -> String {
    format!("{access_key_id} of {user_id}")
}
