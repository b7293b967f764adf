//! The catalog, the master key, and what the embedded S3 keeps.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::{Access, KeyRing, RootKey, S3Endpoint, master_key};
use catalog::Catalog;
use catalog::copy::{Copy, format, integrity, refuse_newer};
use model::clock::SystemClock;
use model::error::{Context, Result};
use model::{Clock, Error};

use super::finding::Findings;
use crate::serve::folder::{self, read_master_key};
use crate::settings::Settings;

/// A folder that goes with this process.
pub struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// `Unavailable` when the system's folder for such things can't be written to.
    pub fn make() -> Result<Scratch> {
        let clock: &dyn Clock = &SystemClock;
        let path = std::env::temp_dir().join(format!("lade-doctor-{}", clock.hex(16)));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.unavailable(|| format!("make the folder {}", path.display()))?;
        Ok(Scratch(path))
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
}

/// Copies the catalog and opens the copy with the master key; the catalog itself is only read.
pub async fn open(
    folder: &Path,
    settings: Option<&Settings>,
    scratch: &Scratch,
    findings: &mut Findings,
) -> Option<Opened> {
    if settings.is_some_and(|settings| settings.catalog.is_some()) {
        let text = "it is in PostgreSQL, and was not looked at";
        findings.warn("catalog", text, "look at it with that server's own tools, such as pg_amcheck");
        return None;
    }
    let file = folder.join("catalog.db");
    match look_at_catalog(&file, &scratch.0).await {
        Err((cause, advice)) => {
            findings.fail("catalog", cause.chain(), advice);
            None
        }
        Ok((catalog, found)) => {
            findings.ok("catalog", format!("whole, in format {found}"));
            let access = look_at_master_key(folder, settings, &catalog, findings).await?;
            Some(Opened { catalog, file: scratch.0.join("catalog.db"), access })
        }
    }
}

const RESTORE: &str = "stop the server, keep the folder as it is, and restore the last backup into a new one";

async fn look_at_catalog(file: &Path, scratch: &Path) -> Result<(Catalog, i64), (Error, &'static str)> {
    if !file.exists() {
        return Err((Error::corrupt(format!("{} is missing", file.display())), RESTORE));
    }
    refuse_newer(file).await.map_err(|cause| (cause, "take the newer version, which wrote it"))?;
    let restore = |cause| (cause, RESTORE);
    let found = format(file).await.map_err(restore)?;
    if let Some(damage) = integrity(file).await.map_err(restore)? {
        return Err((Error::corrupt(format!("{} is damaged: {damage}", file.display())), RESTORE));
    }
    let copied = scratch.join("catalog.db");
    let mut copy = Copy::prepare(file, &copied).await.map_err(restore)?;
    copy.hold().await.map_err(restore)?;
    copy.write().await.map_err(restore)?;
    // An older format is brought forward in the copy alone.
    let catalog = Catalog::open(&copied, Arc::new(SystemClock)).await.map_err(restore)?;
    Ok((catalog, found))
}

async fn look_at_master_key(
    folder: &Path,
    settings: Option<&Settings>,
    catalog: &Catalog,
    findings: &mut Findings,
) -> Option<Access> {
    let file = settings.and_then(|settings| settings.master_key_file.clone());
    let file = file.unwrap_or_else(|| folder.join("master_key"));
    let advice = "put the key back that was here at the first start: nothing else opens what it sealed";
    let opened = async {
        if !file.exists() {
            master_key::refuse_lost(catalog, &file.display().to_string()).await?;
        }
        let master = read_master_key(&file)?;
        master_key::check(catalog, &master, &SystemClock).await?;
        // What was sealed before a change of the key is opened by the ring.
        let ring = KeyRing::open(catalog, &master).await?;
        Ok::<_, Error>((master, ring))
    };
    let (master, ring) = match opened.await {
        Ok(opened) => opened,
        Err(cause) => {
            findings.fail("master key", cause.chain(), advice);
            return None;
        }
    };
    findings.ok("master key", "it opens what is sealed");
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

/// Looks at the index of the embedded S3, and at the files of its objects.
pub async fn look_at_objects(folder: &Path, findings: &mut Findings) {
    let s3 = folder.join("s3");
    let index = s3.join(s3::backup::INDEX);
    if !index.exists() {
        return;
    }
    let looked = async {
        s3::backup::refuse_newer(&index).await?;
        if let Some(damage) = integrity(&index).await? {
            return Err(Error::corrupt(format!("{} is damaged: {damage}", index.display())));
        }
        // What is there comes first: a blob that is named later is found among the names.
        let there = blobs_in(&s3)?;
        let named = s3::backup::blobs(&index).await?;
        let is_short = |(place, size): &&(PathBuf, u64)| {
            fs::metadata(s3.join(place)).map_or(true, |about| about.len() < *size)
        };
        let missing: Vec<PathBuf> = named.iter().filter(is_short).map(|(place, _)| place.clone()).collect();
        // One that was deleted meanwhile is named no more.
        let still: HashSet<PathBuf> =
            s3::backup::blobs(&index).await?.into_iter().map(|(place, _)| place).collect();
        let missing: Vec<&PathBuf> = missing.iter().filter(|place| still.contains(*place)).collect();
        let orphans = there.iter().filter(|place| !still.contains(*place) && is_old(&s3.join(place))).count();
        Ok((named.len(), missing.first().map(|place| (missing.len(), place.display().to_string())), orphans))
    };
    match looked.await {
        Err(cause) => findings.fail("objects", cause.chain(), RESTORE),
        Ok((_, Some((missing, first)), _)) => findings.fail(
            "objects",
            format!("{missing} files of objects in buckets are missing or too short, such as s3/{first}"),
            "upload these objects anew, or restore the last backup into a new folder",
        ),
        Ok((named, None, orphans)) => {
            findings.ok("objects", format!("{named} files of objects in buckets are there"));
            if orphans > 0 {
                let text = format!("{orphans} files of objects that no bucket names take room");
                findings.warn("orphans", text, "nothing: the next start of the server deletes them");
            }
        }
    }
}

fn blobs_in(s3: &Path) -> Result<Vec<PathBuf>> {
    let listing = || "list the files of objects".to_owned();
    let mut found = Vec::new();
    for shelf in fs::read_dir(s3.join("blobs")).unavailable(listing)? {
        let shelf = shelf.unavailable(listing)?.file_name();
        for blob in fs::read_dir(s3.join("blobs").join(&shelf)).unavailable(listing)? {
            found.push(Path::new("blobs").join(&shelf).join(blob.unavailable(listing)?.file_name()));
        }
    }
    Ok(found)
}
