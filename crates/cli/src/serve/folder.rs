//! The data folder: one server at a time, its region and account for life, its keys, its address.

mod backup;
mod catalog;
mod master_key;
mod root_key;

pub use backup::{holds, refuse_half_restored, restoring};
pub use catalog::{has_catalog_elsewhere, holds_records, is_owner, mark};
pub use master_key::{
    drop_successor, keep_master_key, lay_successor, prove_replaceable, read_master_key, successor_of,
    take_successor,
};

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use access::SealingKey;
use model::error::{Context, Result};
use model::{Clock, Error, Realm};
use serde::{Deserialize, Serialize};
use store::owner;

use root_key::StoredKey;

const LOCK: &str = "lock";
const REALM: &str = "realm.json";
const ROOT_KEY: &str = "root_key.json";
const MASTER_KEY: &str = "master_key";
const ADDRESS: &str = "address";
const ACCESS_KEY_ID: &str = "access_key_id";

/// A data folder that this process has for itself until it ends or drops this.
pub struct Folder {
    path: PathBuf,
    /// Whether no server was here before.
    pub is_new: bool,
    has_new_key: AtomicBool,
    _lock: File,
}

/// What `lade env` has to know of a running server.
pub struct Running {
    pub address: String,
    /// Whether it speaks TLS.
    pub is_secure: bool,
    /// The file with whom to trust, where that goes without saying for nobody.
    pub ca_bundle: Option<PathBuf>,
    pub region: String,
    pub access_key_id: String,
    /// `None` when the key was given to the server from outside.
    pub secret_access_key: Option<String>,
}

/// Where clients find an address.
pub fn url(is_secure: bool, address: impl std::fmt::Display) -> String {
    format!("{}://{address}", if is_secure { "https" } else { "http" })
}

impl Folder {
    /// Makes the folder where there is none, and takes it.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses; `InUse` when another server has it; `Invalid` when a backup was not restored to
    /// its end there.
    pub fn open(path: &Path) -> Result<Folder> {
        refuse_half_restored(path)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).unavailable(|| making(path))?;
        let path = path.canonicalize().unavailable(|| making(path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unavailable(|| making(&path))?;
        let lock = private().truncate(false).open(path.join(LOCK)).unavailable(|| making(&path))?;
        owner::give(&lock, &path).unavailable(|| making(&path))?;
        take(&lock, &path)?;
        // Left by a server that was killed.
        let _ = fs::remove_file(path.join(ADDRESS));
        let is_new = !path.join(REALM).exists();
        Ok(Folder { path, is_new, has_new_key: AtomicBool::new(false), _lock: lock })
    }

    /// Takes a folder that a server has had before.
    ///
    /// # Errors
    /// `Invalid` when there is none; otherwise as `open`.
    pub fn open_existing(path: &Path) -> Result<Folder> {
        if !path.join(REALM).exists() {
            let text = format!("{} is no data folder: name it with --data-dir", path.display());
            return Err(Error::invalid(text));
        }
        Folder::open(path)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn key_file(&self) -> PathBuf {
        self.path.join(ROOT_KEY)
    }

    /// Whether the root key was made by this very start.
    pub fn has_new_key(&self) -> bool {
        self.has_new_key.load(Ordering::Relaxed)
    }

    /// Whether commands find this folder without being told.
    pub fn is_default(&self) -> bool {
        crate::settings::data_dir(None)
            .ok()
            .and_then(|path| path.canonicalize().ok())
            .is_some_and(|path| path == self.path)
    }

    /// The region and account: those of the first start, which the given ones must equal.
    ///
    /// # Errors
    /// `Invalid` when another region or account is asked for; `Corrupt` when the stored ones can't be read.
    pub fn realm(&self, region: Option<&str>, account: Option<&str>) -> Result<Realm> {
        let Some(stored) = read::<Realm>(&self.path.join(REALM))? else {
            let realm = Realm {
                region: region.unwrap_or("us-east-1").to_owned(),
                account: account.unwrap_or("000000000000").to_owned(),
            };
            write(&self.path, REALM, &json(&realm))?;
            return Ok(realm);
        };
        same(&self.path, "region", &stored.region, region)?;
        same(&self.path, "account_id", &stored.account, account)?;
        Ok(stored)
    }

    fn note_new_key(&self) {
        self.has_new_key.store(true, Ordering::Relaxed);
    }

    pub fn master_key_file(&self) -> PathBuf {
        self.path.join(MASTER_KEY)
    }

    /// Makes the key under which records, keys of KMS, secrets of users and session tokens are sealed: 32 random bytes.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn make_master_key(&self, clock: &dyn Clock) -> Result<SealingKey> {
        let key = SealingKey::random(clock);
        write(&self.path, MASTER_KEY, key.as_bytes())?;
        Ok(key)
    }

    /// Tells other commands where the server is, and by which key it is entered.
    ///
    /// `tls` is given where it speaks TLS, and names the file with whom to trust.
    pub fn announce(
        &self,
        address: SocketAddr,
        access_key_id: &str,
        tls: Option<Option<&Path>>,
    ) -> Result<()> {
        write(&self.path, ACCESS_KEY_ID, access_key_id.as_bytes())?;
        let mut lines = format!("{address}\n").into_bytes();
        if let Some(ca_bundle) = tls {
            lines.extend_from_slice(b"tls\n");
            lines.extend_from_slice(ca_bundle.map_or(&[][..], |path| path.as_os_str().as_bytes()));
        }
        write(&self.path, ADDRESS, &lines)
    }

    /// Takes the announcement back.
    pub fn retract(&self) {
        if let Err(cause) = fs::remove_file(self.path.join(ADDRESS)) {
            tracing::warn!("the file with the server's address stays behind: {cause}");
        }
    }
}

/// Whether a server runs on a data folder at this moment.
pub fn is_served(folder: &Path) -> bool {
    File::open(folder.join(LOCK))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Finds the server that runs on a data folder.
///
/// # Errors
/// `NotFound` when none does.
pub fn running(path: &Path) -> Result<Running> {
    let none = || {
        let text = format!(
            "no server runs on the data folder {}: start one with lade serve, or name another folder with --data-dir",
            path.display()
        );
        Error::new(model::ErrorKind::NotFound, text)
    };
    let text = |name: &str| {
        fs::read_to_string(path.join(name)).map(|text| text.trim().to_owned()).map_err(|_| none())
    };
    let (announced, access_key_id) = (text(ADDRESS)?, text(ACCESS_KEY_ID)?);
    let mut lines = announced.lines();
    let (address, tls, ca_bundle) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    // A server that was killed left its address, but whoever can have the lock is alone.
    let lock = File::open(path.join(LOCK)).map_err(|_| none())?;
    if lock.try_lock_shared().is_ok() {
        return Err(none());
    }
    let realm = read::<Realm>(&path.join(REALM))?.ok_or_else(none)?;
    let key = read::<StoredKey>(&path.join(ROOT_KEY))?.filter(|key| key.access_key_id == access_key_id);
    Ok(Running {
        address: address.to_owned(),
        is_secure: tls.is_some(),
        ca_bundle: ca_bundle.map(PathBuf::from),
        region: realm.region,
        access_key_id,
        secret_access_key: key.map(|key| key.secret_access_key),
    })
}

// `running` looks at the lock for an instant, which must not stop a server from starting.
fn take(lock: &File, path: &Path) -> Result<()> {
    for _ in 0..10 {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(cause)) => return Err(cause).unavailable(|| making(path)),
        }
    }
    Err(in_use(path))
}

fn same(path: &Path, setting: &str, stored: &str, given: Option<&str>) -> Result<()> {
    match given {
        Some(given) if given != stored => Err(Error::invalid(format!(
            "the data folder {} was made with {setting} = {stored}, and the setting {setting} is now {given}: \
             start with {stored}, or with another data folder",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// The realm of a data folder; `None` before its first start.
///
/// # Errors
/// `Unavailable` when it can't be read; `Corrupt` when it makes no sense.
pub fn realm_of(folder: &Path) -> Result<Option<Realm>> {
    read(&folder.join(REALM))
}

fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<Option<T>> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).corrupt(|| format!("read {}", file.display())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause).unavailable(|| format!("read {}", file.display())),
    }
}

// Either the whole file is there after a crash, or none of it.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let written = || -> std::io::Result<()> {
        let draft = draft(folder, &format!("{name}.draft"), bytes)?;
        fs::rename(&draft, folder.join(name))?;
        File::open(folder)?.sync_all()
    };
    written().unavailable(|| format!("write {}", folder.join(name).display()))
}

// A file that is whole after a crash, but has still to get its name for good.
fn draft(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let path = folder.join(name);
    let mut file = private().truncate(true).open(&path)?;
    owner::give(&file, folder)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("a struct of texts is JSON")
}

fn making(path: &Path) -> String {
    format!("can't use the data folder {}", path.display())
}

fn in_use(path: &Path) -> Error {
    let text = format!(
        "another server runs on the data folder {}: stop it, or name another folder with --data-dir",
        path.display()
    );
    Error::new(model::ErrorKind::InUse, text)
}

#[cfg(test)]
mod tests {
    use model::clock::SimulatedClock;

    use super::*;

    #[test]
    fn a_second_server_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path()).unwrap();
        assert!(first.is_new);
        assert_eq!(Folder::open(dir.path()).err().unwrap().kind, model::ErrorKind::InUse);
        first.realm(None, None).unwrap();
        drop(first);
        assert!(!Folder::open(dir.path()).unwrap().is_new);
    }

    #[test]
    fn region_and_account_are_fixed_at_the_first_start() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let realm = folder.realm(Some("eu-west-1"), None).unwrap();
        assert_eq!(folder.realm(None, Some("000000000000")).unwrap(), realm);
        let text = folder.realm(Some("eu-north-1"), None).unwrap_err().chain();
        assert!(
            text.contains("eu-west-1") && text.contains("eu-north-1") && text.contains("region"),
            "{text}"
        );
    }

    #[test]
    fn a_running_server_is_found_by_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert!(running(dir.path()).is_err());
        let folder = Folder::open(dir.path()).unwrap();
        folder.realm(None, None).unwrap();
        let key = folder.root_keys(None, &SimulatedClock::new(0, 1)).unwrap().current;
        let address = "127.0.0.1:8080".parse().unwrap();
        folder.announce(address, &key.access_key_id, Some(Some(Path::new("/ca.pem")))).unwrap();
        let found = running(dir.path()).unwrap();
        assert_eq!((found.is_secure, found.ca_bundle.as_deref()), (true, Some(Path::new("/ca.pem"))));
        folder.announce(address, &key.access_key_id, None).unwrap();
        let found = running(dir.path()).unwrap();
        assert_eq!((found.is_secure, found.ca_bundle), (false, None));
        assert_eq!(
            (found.address.as_str(), found.secret_access_key),
            ("127.0.0.1:8080", Some(key.secret_access_key))
        );
        drop(folder);
        assert!(running(dir.path()).is_err());
    }
}
