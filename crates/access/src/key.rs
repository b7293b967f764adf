//! The keys of KMS: found by their names, used by whom policies and grants let, never shown.

mod ciphertext;
mod data_key;
mod decision;
mod fault;
mod naming;

pub use ciphertext::EncryptionContext;
pub use data_key::keys_of_server;
pub(crate) use data_key::{KeptKeys, SERVER_DATA};
pub use decision::{is_one_of, keeps_policy_open};
pub use fault::KeyFault;
pub use naming::Naming;

use catalog::{Catalog, KeyName, KeyRow};
use model::{Arn, Clock, Error, Result};

use crate::remedy::insufficient;
use crate::seal::{KEY_BYTES, SealingKey};
use crate::{Access, Asking, Principal};

/// What the server's own data keys are sealed for; keys of KMS lie under the master key itself.
pub(crate) const SERVER_KEY: &[u8] = b"data keys of the server";

/// The name under which S3 puts an object's ARN into the context of its data key.
pub const OBJECT_CONTEXT: &str = "aws:s3:arn";

/// A key for data, in the clear and as the key that made it gives it away.
pub struct DataKey {
    pub plaintext: Vec<u8>,
    pub ciphertext: Vec<u8>,
    pub key: Arn,
}

/// What a ciphertext held, and the key that made it.
pub struct Opened {
    pub plaintext: Vec<u8>,
    pub key: Arn,
}

impl Access {
    /// A new key as its row: 256 random bits, sealed under the server's master key.
    pub fn new_key(&self, description: String, policy: String) -> KeyRow {
        let id = self.clock.uuid();
        let material = SealingKey::random(&*self.clock);
        KeyRow {
            arn: self.realm.key(&id),
            material: self.master.seal(&*self.clock, material.as_bytes(), id.as_bytes()),
            id,
            description,
            enabled: true,
            deletion_ms: None,
            policy,
            created_ms: self.clock.now_ms(),
        }
    }

    /// The key that `reference` names, for a principal who may do `action` (such as `kms:DescribeKey`) with it.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArn`, `Denied`.
    pub async fn key(
        &self,
        asking: impl Into<Asking<'_>>,
        action: &str,
        reference: &str,
        naming: Naming,
    ) -> Result<KeyRow, KeyFault> {
        let asking = asking.into();
        let key = self.named_key(asking, action, reference, naming).await?;
        self.permit_key(asking, action, &key, None).await?;
        Ok(key)
    }

    /// A new key for data of `size` bytes, encrypted under the key that `reference` names.
    ///
    /// # Errors
    /// As `key`, and those of a key that is out of use.
    pub async fn generate_data_key(
        &self,
        asking: impl Into<Asking<'_>>,
        action: &str,
        reference: &str,
        context: &EncryptionContext,
        size: usize,
    ) -> Result<DataKey, KeyFault> {
        let mut plaintext = vec![0; size];
        self.clock.fill(&mut plaintext);
        let (ciphertext, key) = self.encrypt(asking.into(), action, reference, context, &plaintext).await?;
        Ok(DataKey { plaintext, ciphertext, key })
    }

    /// Encrypts a text of a few kilobytes.
    ///
    /// # Errors
    /// As `generate_data_key`.
    pub async fn encrypt(
        &self,
        asking: impl Into<Asking<'_>>,
        action: &str,
        reference: &str,
        context: &EncryptionContext,
        text: &[u8],
    ) -> Result<(Vec<u8>, Arn), KeyFault> {
        let asking = asking.into();
        let key = self.named_key(asking, action, reference, Naming::KeyOrAlias).await?;
        self.permit_key(asking, action, &key, Some(context)).await?;
        usable(&key)?;
        let material = self.material(&key)?;
        Ok((ciphertext::seal(&*self.clock, &key.id, &material, text, context), key.arn))
    }

    /// Opens what `encrypt` made; `reference` is the key that must have made it, where the request names one.
    ///
    /// # Errors
    /// As `generate_data_key`, `IncorrectKey`, `InvalidCiphertext`.
    pub async fn decrypt(
        &self,
        asking: impl Into<Asking<'_>>,
        action: &str,
        reference: Option<&str>,
        context: &EncryptionContext,
        ciphertext: &[u8],
    ) -> Result<Opened, KeyFault> {
        let asking = asking.into();
        let id = ciphertext::key_id(ciphertext).ok_or(KeyFault::InvalidCiphertext)?;
        let key = self.catalog.key(KeyName::Id(&id)).await?.ok_or_else(unknown_maker)?;
        self.permit_key(asking, action, &key, Some(context)).await?;
        if let Some(reference) = reference
            && self.find_key(reference, Naming::KeyOrAlias).await?.id != id
        {
            return Err(KeyFault::IncorrectKey);
        }
        usable(&key)?;
        let opened = ciphertext::open(&self.material(&key)?, ciphertext, context);
        Ok(Opened { plaintext: opened.ok_or(KeyFault::InvalidCiphertext)?, key: key.arn })
    }

    /// A new data key under the server's own key; `about` must be the same to open it.
    pub fn seal_server_key(&self, about: &str) -> (SealingKey, Vec<u8>) {
        let key = SealingKey::random(&*self.clock);
        let sealed = self.master.derive(SERVER_KEY).seal(&*self.clock, key.as_bytes(), about.as_bytes());
        (key, sealed)
    }

    /// Opens what `seal_server_key` made; `None` when it was changed.
    pub fn open_server_key(&self, sealed: &[u8], about: &str) -> Option<SealingKey> {
        let own = self.master.derive(SERVER_KEY);
        let mut keys = std::iter::once(&own).chain(self.ring.of_objects());
        let opened = keys.find_map(|key| key.open(sealed, about.as_bytes()))?;
        SealingKey::from_slice(&opened)
    }

    /// Tries, as the role, what writing an object of S3 under a key will need; of a real store, an upload's begin tells.
    ///
    /// # Errors
    /// `Invalid` when the role can't be assumed, or may not use the key, or the key can't be used.
    pub async fn probe_key(&self, role_arn: &str, source: &Arn, key_arn: &str, object: &Arn) -> Result<()> {
        if self.has_real_s3() {
            return Ok(());
        }
        let principal = Principal::Session(self.assume(role_arn, source).await?.into());
        let context = EncryptionContext::from([(OBJECT_CONTEXT.to_owned(), object.to_string())]);
        self.try_key(&principal, key_arn, &context).await.map_err(|fault| match fault {
            KeyFault::Failed(error) => error,
            fault => Error::invalid(insufficient(key_arn, &fault.message())),
        })
    }

    async fn try_key(
        &self,
        principal: &Principal,
        key_arn: &str,
        context: &EncryptionContext,
    ) -> Result<(), KeyFault> {
        let action = "kms:GenerateDataKey";
        let made = self.generate_data_key(principal, action, key_arn, context, KEY_BYTES).await?;
        self.decrypt(principal, "kms:Decrypt", None, context, &made.ciphertext).await.map(drop)
    }

    fn material(&self, key: &KeyRow) -> Result<SealingKey> {
        material(&self.master, key)
    }
}

/// Checks that keys which are there were sealed under this master key.
///
/// # Errors
/// `Corrupt` when they were not; `Unavailable` when they can't be read.
pub async fn check_master(catalog: &Catalog, master: &SealingKey) -> Result<()> {
    match catalog.any_key().await? {
        Some(key) => material(master, &key).map(drop),
        None => Ok(()),
    }
}

/// The material of a key as it is kept under another master key.
///
/// # Errors
/// `Corrupt` when it was not sealed under the one before.
pub(crate) fn resealed(
    from: &SealingKey,
    to: &SealingKey,
    clock: &dyn Clock,
    key: &KeyRow,
) -> Result<Vec<u8>> {
    Ok(to.seal(clock, material(from, key)?.as_bytes(), key.id.as_bytes()))
}

fn material(master: &SealingKey, key: &KeyRow) -> Result<SealingKey> {
    let opened = master.open(&key.material, key.id.as_bytes());
    opened.and_then(|bytes| SealingKey::from_slice(&bytes)).ok_or_else(|| {
        Error::corrupt(
            "the keys of KMS were sealed under another master key than the one in the data folder: \
             restore master_key from the same backup as the catalog",
        )
    })
}

/// # Errors
/// `Disabled`, `PendingDeletion`.
pub fn usable(key: &KeyRow) -> Result<(), KeyFault> {
    match (key.deletion_ms, key.enabled) {
        (Some(_), _) => Err(KeyFault::PendingDeletion(key.arn.clone())),
        (None, false) => Err(KeyFault::Disabled(key.arn.clone())),
        (None, true) => Ok(()),
    }
}

// Source: Decrypt; who may not use a key does not learn whether it is there.
fn unknown_maker() -> KeyFault {
    let text = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                or you are not allowed to access.";
    KeyFault::Denied(crate::Denial { kind: model::ErrorKind::Denied, message: text.to_owned(), reason: None })
}

#[cfg(test)]
mod tests;
