//! The master key of a data folder: it must be there as long as anything needs it, be the one that sealed it, and may be
//! changed without rewriting data.
//!
//! Small texts are sealed anew under another master key. Data of datasets and the data keys of objects in S3 are not: the
//! keys that they were sealed with, which are derived from the old master key, are kept as a ring, sealed under the new one.

use catalog::{Catalog, KeyRow, MasterKeyChange};
use model::{Clock, Error, Result};
use seal::{KEY_BYTES, SealingKey};

use crate::key::{SERVER_DATA, SERVER_KEY, check_master};
use crate::{access_key, key};

/// What the catalog's mark is sealed for, and what it says.
const PURPOSE: &[u8] = b"mark of the master key";
const MARK: &[u8] = b"Lade";
/// What former keys are sealed for.
const RING: &[u8] = b"keys from before a change of the master key";
/// How many keys of KMS are read at once.
const PAGE: i64 = 1_000;

/// Refuses a new key where an older one sealed something: to go on would make all of that unreadable for good.
///
/// # Errors
/// `Corrupt` when the key is lost; `Unavailable` when the catalog can't be read.
pub async fn refuse_lost(catalog: &Catalog, file: &str) -> Result<()> {
    if !catalog.needs_master_key().await? {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the file {file} is missing, and what lies in the data folder was sealed with it: restore it from the backup \
         of the same folder, or name another data folder to begin anew; without it sealed records, keys of KMS, \
         secrets of access keys and objects that were encrypted with the server's key can't be read"
    )))
}

/// Checks that this is the key that sealed what is there, and marks the catalog for the next start.
///
/// # Errors
/// `Corrupt` when it is another key; `Unavailable` when the catalog can't be read or written.
pub async fn check(catalog: &Catalog, master: &SealingKey, clock: &dyn Clock) -> Result<()> {
    check_master(catalog, master).await?;
    if catalog.master_key_mark().await?.is_none() {
        catalog.set_master_key_mark(&mark(master, clock)).await?;
    }
    // Another node may have been faster.
    if is_marked_by(catalog, master).await? { Ok(()) } else { Err(another()) }
}

/// Whether the catalog is marked, and by this key.
///
/// # Errors
/// `Unavailable` when the catalog can't be read.
pub async fn is_marked_by(catalog: &Catalog, master: &SealingKey) -> Result<bool> {
    let mark = catalog.master_key_mark().await?;
    Ok(mark.is_some_and(|sealed| made(&sealed, master)))
}

/// Whether a key has made a mark.
pub fn made(mark: &[u8], master: &SealingKey) -> bool {
    master.derive(PURPOSE).open(mark, PURPOSE).as_deref() == Some(MARK)
}

fn mark(master: &SealingKey, clock: &dyn Clock) -> Vec<u8> {
    master.derive(PURPOSE).seal(clock, MARK, PURPOSE)
}

fn another() -> Error {
    Error::corrupt(
        "the master_key of this server is not the key that sealed what the catalog holds: restore master_key and the \
         catalog from the same backup, or give this node the same master_key_file as the others (where lade admin \
         rotate-master-key has changed it, the new one)",
    )
}

/// What was derived from former master keys, the oldest first.
#[derive(Clone, Default)]
pub struct KeyRing(Vec<Former>);

#[derive(Clone)]
struct Former {
    data: SealingKey,
    objects: SealingKey,
}

impl KeyRing {
    /// Opens the ring of a catalog.
    ///
    /// # Errors
    /// `Corrupt` when it lies under another key; `Unavailable` when the catalog can't be read.
    pub async fn open(catalog: &Catalog, master: &SealingKey) -> Result<KeyRing> {
        KeyRing::unseal(master, catalog.former_keys().await?)
    }

    /// Opens a ring as it lies in a catalog: numbers and sealed keys.
    ///
    /// # Errors
    /// `Corrupt` when it lies under another key.
    pub fn unseal(master: &SealingKey, former: Vec<(i64, Vec<u8>)>) -> Result<KeyRing> {
        let key = master.derive(RING);
        let damaged = || Error::corrupt("the keys from before a change of the master key can't be opened");
        let open = |(number, sealed): (i64, Vec<u8>)| {
            let opened = key.open(&sealed, &about(number)).ok_or_else(damaged)?;
            let (data, objects) = opened.split_at_checked(KEY_BYTES).ok_or_else(damaged)?;
            let key = |bytes| SealingKey::from_slice(bytes).ok_or_else(damaged);
            Ok(Former { data: key(data)?, objects: key(objects)? })
        };
        Ok(KeyRing(former.into_iter().map(open).collect::<Result<_>>()?))
    }

    /// How many times the master key was changed.
    pub fn changes(&self) -> usize {
        self.0.len()
    }

    /// The keys that data of datasets was sealed with.
    pub(crate) fn of_data(&self) -> impl Iterator<Item = &SealingKey> {
        self.0.iter().map(|former| &former.data)
    }

    /// The keys that data keys of objects in S3 were sealed with.
    pub(crate) fn of_objects(&self) -> impl Iterator<Item = &SealingKey> {
        self.0.iter().map(|former| &former.objects)
    }

    // What is in use now joins what was before.
    fn and_of(mut self, master: &SealingKey) -> KeyRing {
        self.0.push(Former { data: master.derive(SERVER_DATA), objects: master.derive(SERVER_KEY) });
        self
    }

    fn sealed(&self, master: &SealingKey, clock: &dyn Clock) -> Vec<Vec<u8>> {
        let key = master.derive(RING);
        let seal = |(number, former): (i64, &Former)| {
            let both = [former.data.as_bytes().as_slice(), former.objects.as_bytes()].concat();
            key.seal(clock, &both, &about(number))
        };
        (1..).zip(&self.0).map(seal).collect()
    }
}

// Each has its place.
fn about(number: i64) -> Vec<u8> {
    format!("key {number}").into_bytes()
}

/// What a change of the master key sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Keys of KMS.
    pub keys: usize,
    /// Secrets of access keys.
    pub secrets: usize,
    /// Former keys in the ring.
    pub former: usize,
}

/// Seals under `to` what lies under `from`, in one transaction: from there on `to` opens the catalog, and `from` does not.
///
/// Nobody else may be using the catalog. Sessions of the console and session tokens end.
///
/// # Errors
/// `Corrupt` when something does not lie under `from`; `InUse` when others have taken the catalog over; `Unavailable` when it
/// can't be read or written. Where the commit itself failed, the mark tells which of the two opens the catalog.
pub async fn change(
    catalog: &Catalog,
    from: &SealingKey,
    to: &SealingKey,
    clock: &dyn Clock,
) -> Result<Changed> {
    if !is_marked_by(catalog, from).await? {
        return Err(another());
    }
    let ring = KeyRing::open(catalog, from).await?.and_of(from);
    let keys = all_keys(catalog).await?;
    let keys = keys.iter().map(|row| Ok((row.id.clone(), key::resealed(from, to, clock, row)?)));
    let secrets = catalog.stored_secrets().await?.into_iter();
    let secrets = secrets.map(|secret| access_key::resealed(from, to, clock, secret));
    let change = MasterKeyChange {
        mark: mark(to, clock),
        keys: keys.collect::<Result<_>>()?,
        secrets: secrets.collect::<Result<_>>()?,
        former: ring.sealed(to, clock),
    };
    catalog.change_master_key(&change).await?;
    Ok(Changed { keys: change.keys.len(), secrets: change.secrets.len(), former: change.former.len() })
}

async fn all_keys(catalog: &Catalog) -> Result<Vec<KeyRow>> {
    let mut all: Vec<KeyRow> = Vec::new();
    loop {
        let after = all.last().map(|row| row.id.clone()).unwrap_or_default();
        let page = catalog.keys(&after, PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::clock::SimulatedClock;

    use super::*;

    #[tokio::test]
    async fn after_changes_the_last_key_alone_opens_the_catalog_and_its_ring_opens_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new(0, 1));
        let catalog = Catalog::open(&folder.path().join("catalog.db"), clock.clone()).await.unwrap();
        let keys: Vec<SealingKey> = (1..4).map(|n| SealingKey::new([n; KEY_BYTES])).collect();
        check(&catalog, &keys[0], &*clock).await.unwrap();
        let owner = catalog.owner_mark().await.unwrap();
        for (from, to) in keys.iter().zip(&keys[1..]) {
            assert!(change(&catalog, to, from, &*clock).await.is_err());
            change(&catalog, from, to, &*clock).await.unwrap();
            assert!(check(&catalog, from, &*clock).await.is_err());
            check(&catalog, to, &*clock).await.unwrap();
            assert!(KeyRing::open(&catalog, from).await.is_err());
        }
        let ring = KeyRing::open(&catalog, &keys[2]).await.unwrap();
        let data: Vec<_> = ring.of_data().map(SealingKey::id).collect();
        assert_eq!(data, [keys[0].derive(SERVER_DATA).id(), keys[1].derive(SERVER_DATA).id()]);
        assert_eq!(ring.changes(), 2);
        assert_eq!(catalog.owner_mark().await.unwrap(), owner, "the objects still know their catalog");
    }
}
