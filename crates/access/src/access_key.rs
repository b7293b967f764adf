//! The access keys of users, in memory: every request looks its key up before anything else is known of it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use catalog::access_key::{AccessKeyRow, LiveKey};
use model::Result;
use tokio::sync::Mutex;
use wire::sigv4::Credential;

use crate::principal::User;
use crate::{Access, Principal};

/// The most keys that a user has. Source: "IAM and AWS STS quotas".
const KEYS_MAX: i64 = 2;

/// The active keys of all users, by id.
#[derive(Default)]
pub(crate) struct AccessKeys {
    live: RwLock<HashMap<String, (Credential, Arc<User>)>>,
    /// Held while a key changes, so that memory sees the changes in the order of the catalog.
    changing: Mutex<()>,
}

impl AccessKeys {
    pub fn find(&self, id: &str) -> Option<(Credential, Principal)> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(id).map(|(credential, user)| (credential.clone(), Principal::User(user.clone())))
    }

    fn put(&self, key: LiveKey) {
        let credential = Credential { secret_access_key: key.secret_access_key, session_token: None };
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.insert(key.id, (credential, Arc::new(User::of(key.user))));
    }

    fn remove(&self, id: &str) {
        self.live.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// The changes of keys: committed first, and in force for the next request when they return.
impl Access {
    /// Reads the keys of all users; before, none of them is known.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt` when the catalog can't be read.
    pub async fn load_access_keys(&self) -> Result<()> {
        let _changing = self.keys.changing.lock().await;
        self.catalog.live_keys().await?.into_iter().for_each(|key| self.keys.put(key));
        Ok(())
    }

    /// Makes a key for a user; the secret is told here and never again.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; `LimitExceeded` when it has two keys.
    pub async fn create_access_key(&self, user: &str) -> Result<(AccessKeyRow, String)> {
        let _changing = self.keys.changing.lock().await;
        let (id, secret) = (format!("AKIA{}", self.clock.base32(16)), self.clock.base32(40));
        let (row, key) = self.catalog.create_access_key(user, &id, &secret, KEYS_MAX).await?;
        self.keys.put(key);
        Ok((row, secret))
    }

    /// Lets a key of a user work, or stops it.
    ///
    /// # Errors
    /// `NotFound` when there is no such user, or it has no such key.
    pub async fn set_access_key_active(&self, user: &str, id: &str, is_active: bool) -> Result<()> {
        let _changing = self.keys.changing.lock().await;
        match self.catalog.set_access_key_active(user, id, is_active).await? {
            Some(key) => self.keys.put(key),
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
}
