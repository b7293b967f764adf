//! The root key in the data folder, and those before it that still work.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use access::{FormerKey, KeepRootKeys, RootKey, RootKeys};
use model::Clock;
use model::error::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{ACCESS_KEY_ID, Folder, ROOT_KEY, draft, json, read, write};

/// What the file held before a change, until that is durable.
const BEFORE: &str = "root_key.json.before";

/// What the file holds.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredKey {
    pub access_key_id: String,
    pub secret_access_key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<StoredFormer>,
}

#[derive(Serialize, Deserialize)]
struct StoredFormer {
    access_key_id: String,
    secret_access_key: String,
    ends_ms: i64,
}

impl StoredKey {
    fn of(keys: &RootKeys) -> StoredKey {
        let RootKey { access_key_id, secret_access_key } = keys.current.clone();
        let former = keys.former.iter().map(|one| StoredFormer {
            access_key_id: one.key.access_key_id.clone(),
            secret_access_key: one.key.secret_access_key.clone(),
            ends_ms: one.ends_ms,
        });
        StoredKey { access_key_id, secret_access_key, former: former.collect() }
    }

    fn keys(self) -> RootKeys {
        let current =
            RootKey { access_key_id: self.access_key_id, secret_access_key: self.secret_access_key };
        let former = self.former.into_iter().map(|one| {
            let StoredFormer { access_key_id, secret_access_key, ends_ms } = one;
            FormerKey { key: RootKey { access_key_id, secret_access_key }, ends_ms }
        });
        RootKeys { current, former: former.collect() }
    }
}

impl Folder {
    /// The account's root keys: the given one, else the one made at the first start, or since then in its place.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses; `Corrupt` when the stored key can't be read.
    pub fn root_keys(&self, given: Option<(String, String)>, clock: &dyn Clock) -> Result<RootKeys> {
        let alone = |current| RootKeys { current, former: Vec::new() };
        if let Some((access_key_id, secret_access_key)) = given {
            return Ok(alone(RootKey { access_key_id, secret_access_key }));
        }
        if let Some(stored) = read::<StoredKey>(&self.key_file())? {
            // Left by a change that was killed.
            let _ = fs::remove_file(self.path.join(BEFORE));
            return Ok(stored.keys());
        }
        let access_key_id = format!("AKIA{}", clock.base32(16));
        let keys = alone(RootKey { access_key_id, secret_access_key: clock.base32(40) });
        write(&self.path, ROOT_KEY, &json(&StoredKey::of(&keys)))?;
        self.note_new_key();
        Ok(keys)
    }

    /// What makes changed root keys durable, and tells commands by which one the running server is entered.
    pub fn root_keeper(&self) -> KeepRootKeys {
        let path = self.path.clone();
        Arc::new(move |keys| {
            replace(&path, &json(&StoredKey::of(keys)))
                .unavailable(|| format!("write {}", path.join(ROOT_KEY).display()))?;
            // From here on the new key holds, whatever becomes of this.
            if let Err(cause) = tell(&path, keys.current.access_key_id.as_bytes()) {
                tracing::warn!("commands on this machine don't find the new root key: {}", cause.chain());
            }
            Ok(())
        })
    }
}

/// Changes the file so that it holds the new keys if this succeeds, and those before if it fails.
///
/// A folder may refuse to be synced when the new file has its name already. The way back needs no room and no sync, as
/// what was there lies ready. If even that is refused, the new keys are what the next start reads: then they are the keys.
fn replace(folder: &Path, keys: &[u8]) -> io::Result<()> {
    let file = folder.join(ROOT_KEY);
    let before = match fs::read(&file) {
        Ok(bytes) => {
            let clear = |_: &io::Error| drop(fs::remove_file(folder.join(BEFORE)));
            Some(draft(folder, BEFORE, &bytes).inspect_err(clear)?)
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(cause),
    };
    let named = draft(folder, "root_key.json.draft", keys).and_then(|draft| fs::rename(draft, &file));
    let kept = match named {
        Ok(()) => sync(folder).or_else(|cause| go_back(folder, before.as_deref(), cause)),
        Err(cause) => Err(cause),
    };
    if let Some(before) = before {
        let _ = fs::remove_file(before);
    }
    kept
}

fn go_back(folder: &Path, before: Option<&Path>, cause: io::Error) -> io::Result<()> {
    let file = folder.join(ROOT_KEY);
    let back = match before {
        Some(before) => fs::rename(before, &file),
        None => fs::remove_file(&file),
    };
    if let Err(stays) = back {
        tracing::warn!(
            "the new root key holds, but may be lost in a power cut: {cause}; to go back was refused: {stays}"
        );
        return Ok(());
    }
    let _ = sync(folder);
    Err(cause)
}

// Only commands beside the running server ask this, and a start writes it anew: that it is there matters, not how durably.
fn tell(folder: &Path, access_key_id: &[u8]) -> Result<()> {
    write(folder, ACCESS_KEY_ID, access_key_id).or_else(|cause| {
        let file = OpenOptions::new().write(true).open(folder.join(ACCESS_KEY_ID));
        file.and_then(|mut file| file.write_all(access_key_id)).map_err(|_| cause)
    })
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use model::clock::SimulatedClock;

    use super::*;

    #[test]
    fn the_root_key_stays_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("a/b")).unwrap();
        let clock = SimulatedClock::new(0, 1);
        let made = folder.root_keys(None, &clock).unwrap().current;
        assert!(folder.has_new_key());
        let again = folder.root_keys(None, &clock).unwrap().current;
        assert_eq!(again.secret_access_key, made.secret_access_key);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&folder.key_file())), (0o700, 0o600));
    }

    #[test]
    fn changed_keys_are_there_at_the_next_start_with_those_before() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let key = |id: &str| RootKey { access_key_id: id.into(), secret_access_key: "s".into() };
        let former = vec![FormerKey { key: key("old"), ends_ms: 7 }];
        folder.root_keeper()(&RootKeys { current: key("new"), former }).unwrap();
        let read = folder.root_keys(None, &SimulatedClock::new(0, 1)).unwrap();
        assert_eq!(read.current.access_key_id, "new");
        assert_eq!((read.former[0].key.access_key_id.as_str(), read.former[0].ends_ms), ("old", 7));
        let given = Some(("given".to_owned(), "s".to_owned()));
        let given = folder.root_keys(given, &SimulatedClock::new(0, 1)).unwrap();
        assert!(given.current.access_key_id == "given" && given.former.is_empty());
    }
}
