//! The catalog, and a copy of it with the keys that open what is sealed.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::{Access, KeyRing, RootKey, S3Endpoint, SealingKey};
use catalog::Catalog;
use catalog::copy::{Copy, format, integrity, refuse_newer};
use catalog::damage::is_damage;
use model::clock::SystemClock;
use model::error::{Context, Result};
use model::{Clock, Error, ErrorKind};

use super::advice::{self, NEWER, RESTORE};
use super::finding::Findings;
use super::master_key;
use crate::serve::folder;
use crate::settings::Settings;

const OTHER: &str =
    "the records in the folder belong to another catalog than this one, which would delete them";

/// A folder that goes with this process.
struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// `Unavailable` when the system's folder for such things can't be written to.
    fn make() -> Result<Scratch> {
        let clock: &dyn Clock = &SystemClock;
        let path = std::env::temp_dir().join(format!("lade-doctor-{}", clock.hex(16)));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.unavailable(|| format!("make the folder {}", path.display()))?;
        Ok(Scratch(path))
    }

    fn file(&self) -> PathBuf {
        self.0.join("catalog.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A copy of the catalog, in this version's format, and what opens what is sealed.
pub struct Opened {
    pub catalog: Catalog,
    /// The copy's file.
    pub file: PathBuf,
    pub access: Access,
    _scratch: Scratch,
}

/// Copies the catalog and opens the copy with the master key; the catalog itself is only read.
pub async fn open(folder: &Path, settings: Option<&Settings>, findings: &mut Findings) -> Option<Opened> {
    if settings.is_some_and(|settings| settings.catalog.is_some()) || folder::has_catalog_elsewhere(folder) {
        let text = "it is in PostgreSQL, and was not looked at";
        findings.warn("catalog", text, "look at it with that server's own tools, such as pg_amcheck");
        return None;
    }
    let (scratch, catalog) = look_at_catalog(folder, findings).await?;
    let keys = master_key::open(folder, settings, &catalog, findings).await;
    let access = keys.and_then(|keys| access(folder, settings, &catalog, keys));
    let Some(access) = access else {
        catalog.close().await;
        return None;
    };
    Some(Opened { catalog, file: scratch.file(), access, _scratch: scratch })
}

async fn look_at_catalog(folder: &Path, findings: &mut Findings) -> Option<(Scratch, Catalog)> {
    let file = &folder.join("catalog.db");
    if fs::metadata(file).map_or(0, |about| about.len()) == 0 && !folder::holds_records(folder) {
        findings.warn("catalog", "there is none yet: no start came to its end", "start the server");
        return None;
    }
    let found = match check(file).await {
        Ok(found) => found,
        Err((cause, advice)) => {
            findings.fail("catalog", cause.chain(), advice);
            return None;
        }
    };
    let copied = copy(file).await;
    if let Some(cause) = copied.as_ref().err().filter(|cause| is_damage(cause)) {
        findings.fail("catalog", cause.chain(), RESTORE);
        return None;
    }
    let (scratch, catalog) = match copied {
        Ok(copied) => copied,
        Err(cause) => {
            findings.ok("catalog", format!("whole, in format {found}"));
            tell_uncopied(&cause, findings);
            return None;
        }
    };
    match folder::is_owner(folder, &catalog).await {
        Ok(true) => {
            findings.ok("catalog", format!("whole, in format {found}"));
            return Some((scratch, catalog));
        }
        Ok(false) => findings.fail("catalog", OTHER, RESTORE),
        Err(cause) => findings.fail("catalog", cause.chain(), advice::of(&cause)),
    }
    catalog.close().await;
    None
}

async fn check(file: &Path) -> Result<i64, (Error, &'static str)> {
    if !file.exists() {
        return Err((Error::corrupt(format!("{} is missing", file.display())), RESTORE));
    }
    let advised = |cause: Error| {
        let advice = advice::of(&cause);
        (cause, advice)
    };
    refuse_newer(file).await.map_err(|cause| match cause.kind {
        ErrorKind::Corrupt => (cause, NEWER),
        _ => advised(cause),
    })?;
    let found = format(file).await.map_err(advised)?;
    match integrity(file).await.map_err(advised)? {
        None => Ok(found),
        Some(damage) => Err((Error::corrupt(format!("{} is damaged: {damage}", file.display())), RESTORE)),
    }
}

async fn copy(file: &Path) -> Result<(Scratch, Catalog)> {
    let scratch = Scratch::make()?;
    let mut copy = Copy::prepare(file, &scratch.file()).await?;
    copy.hold().await?;
    copy.write().await?;
    // An older format is brought forward in the copy alone.
    let catalog = Catalog::open(&scratch.file(), Arc::new(SystemClock)).await?;
    Ok((scratch, catalog))
}

// The catalog was read to its end before.
fn tell_uncopied(cause: &Error, findings: &mut Findings) {
    let temp = std::env::temp_dir();
    let text = format!(
        "keys and runs were not looked at, as the catalog could not be copied to {}: {}",
        temp.display(),
        cause.chain()
    );
    let advice = match cause.kind {
        ErrorKind::InUse => "run this command again".to_owned(),
        _ => format!(
            "make room in {}, or name a folder in TMPDIR that has room for the catalog and can be written to",
            temp.display()
        ),
    };
    findings.fail("copy", text, advice);
}

fn access(
    folder: &Path,
    settings: Option<&Settings>,
    catalog: &Catalog,
    (master, ring): (SealingKey, KeyRing),
) -> Option<Access> {
    let realm = folder::realm_of(folder).ok().flatten()?;
    let root = RootKey { access_key_id: String::new(), secret_access_key: String::new() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let nowhere = S3Endpoint { url: "http://127.0.0.1:9".to_owned() };
    let mut services = settings.map(|settings| settings.services.clone()).unwrap_or_default();
    if services.region.is_empty() {
        services.region.clone_from(&realm.region);
    }
    let is_plain = settings.is_some_and(|settings| settings.is_plain_at_rest);
    let access = Access::new(catalog.clone(), clock, realm, root, nowhere, master);
    Some(access.with_plain_data(is_plain).with_services(&services).with_key_ring(ring))
}

/// What is younger may just be being written.
const YOUNG: Duration = Duration::from_secs(600);

/// Whether a file is old enough to be in the way.
pub fn is_old(file: &Path) -> bool {
    let age =
        fs::metadata(file).and_then(|about| about.modified()).map(|at| at.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age > YOUNG)
}
