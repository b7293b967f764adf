//! Which objects a data location names: one file, or the CSV files of a folder.

use model::error::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::bucket::{Bucket, ObjectEntry};

/// The name under which an export describes itself.
pub const MANIFEST: &str = "_manifest.json";

/// How far down a folder is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Import jobs leave sub-folders out.
    FirstLevel,
    /// Data deletion jobs read them too.
    AllLevels,
}

/// The files of a data location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// In byte order of their keys.
    pub files: Vec<ObjectEntry>,
    /// Whether the folder is one that an export wrote: its files need no backslash escapes.
    pub is_exported: bool,
}

impl Source {
    /// Finds the files that `key` names in a bucket.
    ///
    /// A key that ends in a slash is a folder; one that names no object but has keys below it is one too. In a folder
    /// only names ending in `.csv` count, down to `depth`, and none that begins with `_` or `.`.
    ///
    /// Source: "Importing bulk records", "Preparing your input file" of data deletion jobs.
    ///
    /// # Errors
    /// `Invalid` when there is no such file; those of `Bucket::list`.
    pub async fn find(bucket: &Bucket, key: &str, depth: Depth) -> Result<Source> {
        if !key.is_empty() && !key.ends_with('/') {
            let listed = bucket.list(key, true).await?;
            if let Some(file) = listed.into_iter().find(|entry| entry.key == key) {
                return Ok(Source { files: vec![file], is_exported: false });
            }
        }
        let slash = if key.is_empty() || key.ends_with('/') { "" } else { "/" };
        let folder = format!("{key}{slash}");
        let mut source = Source::of_folder(&folder, bucket.list(&folder, depth == Depth::FirstLevel).await?);
        if source.is_exported {
            source.is_exported = !is_documented(bucket, &format!("{folder}{MANIFEST}")).await?;
        }
        if source.files.is_empty() {
            Err(Error::new(ErrorKind::Invalid, "Invalid Data location."))
        } else {
            Ok(source)
        }
    }

    /// The size of all files, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn of_folder(folder: &str, mut entries: Vec<ObjectEntry>) -> Source {
        let is_exported = entries.iter().any(|entry| entry.key[folder.len()..] == *MANIFEST);
        entries.retain(|entry| is_data_file(entry.key.rsplit('/').next().unwrap_or_default()));
        entries.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
        Source { files: entries, is_exported }
    }
}

/// A manifest of a million files has about this size.
const MANIFEST_BYTES_MAX: usize = 256 << 20;

/// What a manifest says of the dialect.
#[derive(Deserialize)]
struct Written {
    csv: Option<String>,
}

// Whether an export was asked for the documented dialect. A manifest that says nothing, or can't be read by this role,
// does not say so.
async fn is_documented(bucket: &Bucket, manifest: &str) -> Result<bool> {
    let mut body = match bucket.get(manifest, None, None).await {
        Ok((_, body)) => body,
        Err(cause) if cause.kind == ErrorKind::Unavailable => return Err(cause),
        Err(_) => return Ok(false),
    };
    let mut text = Vec::new();
    while let Some(piece) = body.next().await? {
        text.extend_from_slice(&piece);
        if text.len() > MANIFEST_BYTES_MAX {
            return Ok(false);
        }
    }
    let written: Option<Written> = serde_json::from_slice(&text).ok();
    Ok(written.and_then(|written| written.csv).is_some_and(|dialect| dialect == "aws"))
}

fn is_data_file(name: &str) -> bool {
    !name.starts_with(['_', '.']) && name.to_ascii_lowercase().ends_with(".csv")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> ObjectEntry {
        ObjectEntry { key: key.to_owned(), size: 1, etag: String::new() }
    }

    #[test]
    fn a_folder_is_its_csv_files_in_order() {
        let keys = ["in/", "in/b.CSV", "in/a.csv", "in/_x.csv", "in/.y.csv", "in/c.txt"];
        let source = Source::of_folder("in/", keys.map(entry).to_vec());
        assert_eq!(source.files, ["in/a.csv", "in/b.CSV"].map(entry));
        assert!(!source.is_exported);
    }

    #[test]
    fn below_sub_folders_the_name_alone_decides() {
        let keys =
            ["in/a/", "in/a/b.csv", "in/_a/c.csv", "in/a/_d.csv", "in/a.csv/e.txt", "in/a/_manifest.json"];
        let source = Source::of_folder("in/", keys.map(entry).to_vec());
        assert_eq!(source.files, ["in/_a/c.csv", "in/a/b.csv"].map(entry));
        assert!(!source.is_exported);
    }

    #[test]
    fn a_manifest_tells_an_exported_folder() {
        assert!(Source::of_folder("", ["_manifest.json", "a.csv"].map(entry).to_vec()).is_exported);
    }
}
