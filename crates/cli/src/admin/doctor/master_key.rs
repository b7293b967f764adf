//! The master key: whether it is there and opens what is sealed, also where a change of it broke off.

use std::path::Path;

use access::{KeyRing, SealingKey, master_key};
use catalog::Catalog;
use model::clock::SystemClock;
use model::{Error, ErrorKind};

use super::finding::Findings;
use crate::serve::folder::{read_master_key, successor_of};
use crate::settings::Settings;

const CHECK: &str = "master key";
const LAST: &str = "put the key there that was in use last: nothing else opens what is sealed, and after a change by \
                    lade admin rotate-master-key no older key does";
const UNREADABLE: &str = "run this command as the server's user, who must be able to read that file";
const UNLOOKED: &str =
    "make room in the system's folder for temporary files (TMPDIR), and run this command again";
const NEVER_MADE: &str = "put a key of 32 random bytes there, or take the setting master_key_file away";

/// What is amiss, and what to do.
type Told = (String, &'static str);

/// The key that the catalog is sealed under, found as a start finds it, with those before it. Nothing is changed but the copy.
pub async fn open(
    folder: &Path,
    settings: Option<&Settings>,
    catalog: &Catalog,
    findings: &mut Findings,
) -> Option<(SealingKey, KeyRing)> {
    let given = settings.and_then(|settings| settings.master_key_file.as_deref());
    let file = given.map_or_else(|| folder.join("master_key"), Path::to_owned);
    let file = file.canonicalize().unwrap_or(file);
    let opened = async {
        let (master, told) = find(&file, given.is_some(), catalog).await?;
        master_key::check(catalog, &master, &SystemClock).await.map_err(advised)?;
        // What was sealed before a change of the key is opened by the ring.
        let ring = KeyRing::open(catalog, &master).await.map_err(advised)?;
        Ok::<_, (Error, &'static str)>((master, ring, told))
    };
    match opened.await {
        Err((cause, advice)) => {
            findings.fail(CHECK, cause.chain(), advice);
            None
        }
        Ok((master, ring, told)) => {
            match told {
                None => findings.ok(CHECK, "it opens what is sealed"),
                Some((text, advice)) => findings.warn(CHECK, text, advice),
            }
            Some((master, ring))
        }
    }
}

async fn find(
    file: &Path,
    is_given: bool,
    catalog: &Catalog,
) -> Result<(SealingKey, Option<Told>), (Error, &'static str)> {
    let mut told = None;
    let next = successor_of(file);
    if next.exists() {
        let key = read(&next)?;
        if master_key::is_marked_by(catalog, &key).await.map_err(advised)? {
            let text = format!(
                "a change of it broke off: the key that opens what is sealed is in {}",
                next.display()
            );
            let advice =
                "start the server once: it puts that key in its place; until then do not delete the file";
            return Ok((key, Some((text, advice))));
        }
        let text = format!("a change of it broke off and changed nothing: {} opens nothing", next.display());
        told = Some((text, "start the server once: it deletes that file, and the key stays as it is"));
    }
    if !file.exists() {
        master_key::refuse_lost(catalog, &file.display().to_string()).await.map_err(advised)?;
        if is_given {
            return Err((Error::corrupt(format!("{} is missing", file.display())), NEVER_MADE));
        }
        let text = "there is none yet, and nothing is sealed: the first start was cut off";
        // Any key does where nothing is sealed.
        return Ok((
            SealingKey::random(&SystemClock),
            Some((text.to_owned(), "start the server: it makes one")),
        ));
    }
    Ok((read(file)?, told))
}

fn read(file: &Path) -> Result<SealingKey, (Error, &'static str)> {
    read_master_key(file).map_err(|cause| match cause.kind {
        ErrorKind::Corrupt => (cause, LAST),
        _ => (cause, UNREADABLE),
    })
}

// The catalog that is asked is the copy.
fn advised(cause: Error) -> (Error, &'static str) {
    match cause.kind {
        ErrorKind::Corrupt => (cause, LAST),
        _ => (cause, UNLOOKED),
    }
}
