//! What the embedded S3 keeps: its index, and the files of its objects.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use catalog::copy::integrity;
use model::error::{Context, Result};
use model::{Error, ErrorKind};

use super::advice::{self, NEWER};
use super::data::is_old;
use super::finding::Findings;

/// What was found of the files of objects.
struct Looked {
    named: usize,
    /// Those that are missing or too short.
    missing: Vec<PathBuf>,
    /// How many no bucket names.
    orphans: usize,
}

/// Looks at the index of the embedded S3, and at the files of its objects.
pub async fn look(folder: &Path, findings: &mut Findings) {
    let s3 = folder.join("s3");
    let index = s3.join(s3::backup::INDEX);
    if !index.exists() {
        return;
    }
    if let Err(cause) = s3::backup::refuse_newer(&index).await {
        let advice = if cause.kind == ErrorKind::Invalid { NEWER } else { advice::of(&cause) };
        return findings.fail("objects", cause.chain(), advice);
    }
    match look_at_files(&s3, &index).await {
        Err(cause) => findings.fail("objects", cause.chain(), advice::of(&cause)),
        Ok(looked) => tell(&looked, findings),
    }
}

fn tell(looked: &Looked, findings: &mut Findings) {
    if let Some(first) = looked.missing.first() {
        return findings.fail(
            "objects",
            format!(
                "{} files of objects in buckets are missing or too short, such as s3/{}",
                looked.missing.len(),
                first.display()
            ),
            "upload these objects anew, or restore the last backup into a new folder",
        );
    }
    findings.ok("objects", format!("{} files of objects in buckets are there", looked.named));
    if looked.orphans > 0 {
        let text = format!("{} files of objects that no bucket names take room", looked.orphans);
        findings.warn("orphans", text, "nothing: the next start of the server deletes them");
    }
}

async fn look_at_files(s3: &Path, index: &Path) -> Result<Looked> {
    if let Some(damage) = integrity(index).await? {
        return Err(Error::corrupt(format!("{} is damaged: {damage}", index.display())));
    }
    // What is there comes first: a blob that is named later is found among the names.
    let there = blobs_in(s3)?;
    let named = s3::backup::blobs(index).await?;
    let mut missing = Vec::new();
    for (place, size) in &named {
        if is_short(&s3.join(place), *size)? {
            missing.push(place.clone());
        }
    }
    // One that was deleted meanwhile is named no more.
    let still: HashSet<PathBuf> =
        s3::backup::blobs(index).await?.into_iter().map(|(place, _)| place).collect();
    missing.retain(|place| still.contains(place));
    let orphans = there.iter().filter(|place| !still.contains(*place) && is_old(&s3.join(place))).count();
    Ok(Looked { named: named.len(), missing, orphans })
}

fn is_short(blob: &Path, size: u64) -> Result<bool> {
    match fs::metadata(blob) {
        Ok(about) => Ok(about.len() < size),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(cause) => Err(cause).unavailable(|| format!("look at {}", blob.display())),
    }
}

// A restore makes no shelf without blobs, nor a place for shelves where there are none.
fn blobs_in(s3: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for shelf in entries(&s3.join("blobs"))? {
        let is_shelf = shelf.file_type().unavailable(listing)?.is_dir();
        if !is_shelf {
            continue;
        }
        let blobs = entries(&shelf.path())?.into_iter();
        found.extend(blobs.map(|blob| Path::new("blobs").join(shelf.file_name()).join(blob.file_name())));
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect).unavailable(listing),
    }
}

fn listing() -> String {
    "list the files of objects".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_shelf_holds_no_blobs() {
        let s3 = tempfile::tempdir().unwrap();
        assert!(blobs_in(s3.path()).unwrap().is_empty());
        fs::create_dir_all(s3.path().join("blobs/aa")).unwrap();
        fs::write(s3.path().join("blobs/.DS_Store"), "x").unwrap();
        fs::write(s3.path().join("blobs/aa/aab"), "x").unwrap();
        assert_eq!(blobs_in(s3.path()).unwrap(), [Path::new("blobs/aa/aab")]);
    }
}
