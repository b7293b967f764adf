//! The master key of a data folder: it must be there as long as anything needs it, and be the one that sealed it.

use catalog::Catalog;
use model::{Clock, Error, Result};
use seal::SealingKey;

use crate::key::check_master;

/// What the catalog's mark is sealed for, and what it says.
const PURPOSE: &[u8] = b"mark of the master key";
const MARK: &[u8] = b"Lade";

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
    let key = master.derive(PURPOSE);
    if catalog.master_key_mark().await?.is_none() {
        catalog.set_master_key_mark(&key.seal(clock, MARK, PURPOSE)).await?;
    }
    // Another node may have been faster.
    match catalog.master_key_mark().await? {
        Some(sealed) if key.open(&sealed, PURPOSE).as_deref() == Some(MARK) => Ok(()),
        _ => Err(Error::corrupt(
            "the master_key of this server is not the key that sealed what the catalog holds: restore master_key and the \
             catalog from the same backup, or give this node the same master_key_file as the others",
        )),
    }
}
