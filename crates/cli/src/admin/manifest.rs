//! The manifest of a backup: what it holds, and the hash of every file. It is written last: a folder without it is no backup.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use model::Error;
use model::error::{Context, Result};
use serde::{Deserialize, Serialize};

use super::copying::private;

/// The file that says what a backup holds.
pub const MANIFEST: &str = "manifest.json";
/// Its hash, as `b3sum` writes it.
const SUM: &str = "manifest.blake3";
/// The version of the backup's format.
pub const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    /// The version that made it.
    pub lade_version: String,
    /// The moment that it is of.
    pub taken_at: String,
    pub region: String,
    pub account: String,
    /// How far its log goes.
    pub log_end: u64,
    pub has_master_key: bool,
    pub size_bytes: u64,
    pub files: Vec<Entry>,
}

/// A file of a backup, at the place that it has in a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Below the folder, with slashes.
    pub path: String,
    pub size_bytes: u64,
    /// 64 hexadecimal digits.
    pub blake3: String,
}

impl Entry {
    /// The path, which stays below the folder that it is joined to.
    ///
    /// # Errors
    /// `Corrupt` when it would leave it.
    pub fn place(&self) -> Result<PathBuf> {
        let path = PathBuf::from(&self.path);
        let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
        let outside =
            || Error::corrupt(format!("the manifest names a file outside of the backup: {}", self.path));
        if is_below && !self.path.is_empty() { Ok(path) } else { Err(outside()) }
    }
}

impl Manifest {
    /// Makes a backup of a folder whose files are all durable.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::internal("write the manifest of a backup").caused_by(cause))?;
        let sum = format!("{}  {MANIFEST}\n", blake3::hash(&bytes).to_hex());
        let draft = folder.join("manifest.draft");
        let written = || -> std::io::Result<()> {
            for (place, bytes) in [(&folder.join(SUM), sum.as_bytes()), (&draft, &bytes)] {
                let mut file = private(place)?;
                file.write_all(bytes)?;
                file.sync_all()?;
            }
            File::open(folder)?.sync_all()?;
            fs::rename(&draft, folder.join(MANIFEST))?;
            File::open(folder)?.sync_all()
        };
        written().unavailable(|| format!("write the manifest of the backup {}", folder.display()))
    }

    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// `NotFound` when the folder is no backup; `Corrupt` when the manifest is damaged, or a newer version wrote it.
    pub fn read(folder: &Path) -> Result<Manifest> {
        let none = || {
            let text = format!(
                "{} is no backup: it has no {MANIFEST}, which a backup gets last, when all else is there",
                folder.display()
            );
            Error::new(model::ErrorKind::NotFound, text)
        };
        let reading = || format!("read the manifest of the backup {}", folder.display());
        let bytes = match fs::read(folder.join(MANIFEST)) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Err(none()),
            read => read.unavailable(reading)?,
        };
        let sum = fs::read_to_string(folder.join(SUM)).unavailable(reading)?;
        let said = sum.split_whitespace().next().unwrap_or_default();
        if said != blake3::hash(&bytes).to_hex().as_str() {
            return Err(Error::corrupt(format!(
                "the manifest of the backup {} is damaged",
                folder.display()
            )));
        }
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let found: Versioned = serde_json::from_slice(&bytes).corrupt(reading)?;
        if found.format != FORMAT {
            return Err(Error::corrupt(format!(
                "the backup {} has format {}, and this version reads format {FORMAT}: restore it with the version that \
                 made it",
                folder.display(),
                found.format
            )));
        }
        serde_json::from_slice(&bytes).corrupt(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            lade_version: "1".to_owned(),
            taken_at: String::new(),
            region: "r".to_owned(),
            account: "a".to_owned(),
            log_end: 32,
            has_master_key: false,
            size_bytes: 1,
            files: vec![Entry { path: "a/b".to_owned(), size_bytes: 1, blake3: String::new() }],
        }
    }

    #[test]
    fn no_flipped_bit_of_a_manifest_goes_unseen() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap_err().kind, model::ErrorKind::NotFound);
        manifest().write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap().files, manifest().files);
        let bytes = fs::read(folder.path().join(MANIFEST)).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(folder.path().join(MANIFEST), damaged).unwrap();
            assert_eq!(
                Manifest::read(folder.path()).unwrap_err().kind,
                model::ErrorKind::Corrupt,
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_manifest_of_another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Manifest { format: FORMAT + 1, ..manifest() }.write(folder.path()).unwrap();
        let refused = Manifest::read(folder.path()).unwrap_err();
        assert!(refused.message().contains("the version that made it"), "{}", refused.message());
    }

    #[test]
    fn no_file_of_a_backup_lies_outside_of_it() {
        let place =
            |path: &str| Entry { path: path.to_owned(), size_bytes: 0, blake3: String::new() }.place();
        assert_eq!(place("s3/blobs/00/x").unwrap(), PathBuf::from("s3/blobs/00/x"));
        for path in ["", "../x", "/etc/x", "a/../../x", "./x"] {
            assert!(place(path).is_err(), "{path}");
        }
    }
}
