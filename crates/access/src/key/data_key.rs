//! The keys that datasets are sealed with: of the server's own, or of the key of KMS that their group was given.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalog::DatasetGroupRow;
use catalog::dataset_group::GroupKey;
use model::{Arn, Error, ErrorKind, Result};
use seal::DataKeys;

use super::{EncryptionContext, KEY_BYTES, KeyFault, Naming, insufficient};
use crate::master_key::KeyRing;
use crate::seal::SealingKey;
use crate::{Access, Asking, Principal};

/// The name under which a dataset group's ARN stands in the context of its data key.
const GROUP_CONTEXT: &str = "aws:personalize:dataset-group-arn";
/// What data keys of datasets without a key of KMS are derived for.
pub(crate) const SERVER_DATA: &[u8] = b"data of datasets";
/// How long an unwrapped key is used before KMS is asked again: a key that is disabled is out of use within a minute.
const KEPT_MS: i64 = 20_000;
const DECRYPT: &str = "kms:Decrypt";
const GENERATE: &str = "kms:GenerateDataKeyWithoutPlaintext";

/// The keys in use, by dataset: incarnations have ids that are never given twice.
#[derive(Default)]
pub(crate) struct KeptKeys(Mutex<HashMap<i64, Kept>>);

struct Kept {
    keys: DataKeys,
    /// When KMS was asked; none where there is nobody to ask.
    asked_ms: Option<i64>,
}

impl Access {
    /// What seals and opens the data of a dataset of this group.
    ///
    /// # Errors
    /// `NotFound` when the group is gone; `Invalid` when its key can't be used: it is disabled, or the group's role may
    /// not use it any more.
    pub async fn data_keys(&self, dataset_id: i64, group: &Arn) -> Result<DataKeys> {
        if let Some(keys) = self.kept.get(dataset_id, self.clock.now_ms()) {
            return Ok(keys);
        }
        let gone =
            || Error::new(ErrorKind::NotFound, format!("The given dataset group does not exist: {group}"));
        let row = self.catalog.dataset_group(group).await?.ok_or_else(gone)?;
        let asked_ms = row.key.as_ref().map(|_| self.clock.now_ms());
        let keys = match &row.key {
            Some(key) => self.sealing(&self.open_group_key(group, key).await?, dataset_id),
            None => self.of_server(dataset_id),
        };
        self.kept.keep(dataset_id, Kept { keys: keys.clone(), asked_ms });
        Ok(keys)
    }

    // Data from before the master key was changed stays as it was sealed.
    fn of_server(&self, dataset_id: i64) -> DataKeys {
        let key = self.master.derive(SERVER_DATA);
        let own = match self.seals_data {
            true => self.sealing(&key, dataset_id),
            false => DataKeys::opening(of_dataset(&key, dataset_id)),
        };
        and_former(own, &self.ring, dataset_id)
    }

    fn sealing(&self, key: &SealingKey, dataset_id: i64) -> DataKeys {
        DataKeys::sealing(of_dataset(key, dataset_id), self.clock.clone())
    }

    /// Decides whether a caller may use a key itself, which it is about to give to a group.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when there is no such key.
    pub async fn permit_group_key(&self, caller: Asking<'_>, group: &Arn, key: &str) -> Result<()> {
        for action in [DECRYPT, GENERATE] {
            self.permit_caller(caller, action, group, key).await.map_err(refused_to_caller(key))?;
        }
        Ok(())
    }

    /// A new data key for a group, as the group's role gets it: encrypted, and tried.
    ///
    /// # Errors
    /// `Invalid` when the role can't be assumed or may not use the key, or it can't be used.
    pub async fn new_group_key(&self, group: &Arn, role: &Arn, key: &Arn) -> Result<GroupKey> {
        let data_key = self.generate_group_key(group, role.as_str(), key).await?;
        let (kms_key_arn, role_arn) = (key.clone(), role.clone());
        let made = GroupKey { kms_key_arn, role_arn, data_key };
        self.open_group_key(group, &made).await?;
        Ok(made)
    }

    /// Tries, as the group's role, what its data needs: to be read, and to be written anew.
    ///
    /// # Errors
    /// `Invalid` when the role can't be assumed or may not use the key, or it can't be used.
    pub async fn probe_group_key(&self, group: &DatasetGroupRow) -> Result<()> {
        let Some(key) = &group.key else { return Ok(()) };
        self.open_group_key(&group.arn, key).await?;
        self.generate_group_key(&group.arn, key.role_arn.as_str(), &key.kms_key_arn).await.map(drop)
    }

    async fn permit_caller(
        &self,
        caller: Asking<'_>,
        action: &str,
        group: &Arn,
        key: &str,
    ) -> Result<(), KeyFault> {
        // What a real key's own policy says is for the real KMS to decide, about the group's role.
        if let Some(arn) = Arn::parse(key)
            && self.is_real_key(&arn).await?
        {
            return self.permit_keys(caller, action, key).await;
        }
        let row = self.named_key(caller, action, key, Naming::Key).await?;
        self.permit_key(caller, action, &row, Some(&context(group))).await
    }

    async fn generate_group_key(&self, group: &Arn, role: &str, key: &Arn) -> Result<Vec<u8>> {
        if let Some(key) = self.real_key(role, group, key).await? {
            return key.generate_without_plaintext(&context(group)).await;
        }
        let session = Principal::Session(self.assume(role, group).await?.into());
        let made = self.generate_data_key(&session, GENERATE, key.as_str(), &context(group), KEY_BYTES).await;
        Ok(made.map_err(refused_to_role(key.as_str()))?.ciphertext)
    }

    async fn open_group_key(&self, group: &Arn, key: &GroupKey) -> Result<SealingKey> {
        let plaintext = self.open_data_key(group, key).await?;
        SealingKey::from_slice(&plaintext)
            .ok_or_else(|| Error::corrupt("a dataset group's data key has another size"))
    }

    async fn open_data_key(&self, group: &Arn, key: &GroupKey) -> Result<Vec<u8>> {
        let (role, arn) = (key.role_arn.as_str(), &key.kms_key_arn);
        if let Some(real) = self.real_key(role, group, arn).await? {
            return real.decrypt(&key.data_key, &context(group)).await;
        }
        let session = Principal::Session(self.assume(role, group).await?.into());
        let opened =
            self.decrypt(&session, DECRYPT, Some(arn.as_str()), &context(group), &key.data_key).await;
        Ok(opened.map_err(refused_to_role(arn.as_str()))?.plaintext)
    }
}

impl KeptKeys {
    // A clock that was set back makes nothing last longer.
    fn get(&self, dataset_id: i64, now_ms: i64) -> Option<DataKeys> {
        let mut kept = self.lock();
        let found = kept.get(&dataset_id)?;
        if found.asked_ms.is_none_or(|asked_ms| (asked_ms..asked_ms + KEPT_MS).contains(&now_ms)) {
            return Some(found.keys.clone());
        }
        kept.remove(&dataset_id);
        None
    }

    fn keep(&self, dataset_id: i64, kept: Kept) {
        self.lock().insert(dataset_id, kept);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What opens the data of a dataset whose group has no key of its own.
pub fn keys_of_server(master: &SealingKey, ring: &KeyRing, dataset_id: i64) -> DataKeys {
    and_former(DataKeys::opening(of_dataset(&master.derive(SERVER_DATA), dataset_id)), ring, dataset_id)
}

fn and_former(keys: DataKeys, ring: &KeyRing, dataset_id: i64) -> DataKeys {
    ring.of_data().fold(keys, |keys, former| keys.and_opening(of_dataset(former, dataset_id)))
}

fn of_dataset(key: &SealingKey, dataset_id: i64) -> SealingKey {
    key.derive(format!("dataset {dataset_id}").as_bytes())
}

fn context(group: &Arn) -> EncryptionContext {
    EncryptionContext::from([(GROUP_CONTEXT.to_owned(), group.to_string())])
}

fn refused_to_role(key: &str) -> impl FnOnce(KeyFault) -> Error {
    move |fault| match fault {
        KeyFault::Failed(error) => error,
        fault => Error::invalid(insufficient(key, &fault.message())),
    }
}

fn refused_to_caller(key: &str) -> impl FnOnce(KeyFault) -> Error {
    move |fault| match fault {
        KeyFault::Denied(denial) => denial.into(),
        fault => refused_to_role(key)(fault),
    }
}

#[cfg(test)]
mod tests;
