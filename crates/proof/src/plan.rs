//! What a manifest promises, compared with the names that are there; what is left is to be read file by file.

use std::collections::{BTreeMap, HashSet};

use csv::Dialect;
use model::error::{Error, Result};
use model::export::{Compression, Format};
use model::manifest::{FileEntry, Manifest};

use crate::difference::Difference;
use crate::rows::Form;

pub const MANIFEST: &str = "_manifest.json";

/// A file that is there, and what it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its name in the folder: a folder may have been copied elsewhere.
    pub name: String,
    pub entry: FileEntry,
    pub form: Form,
}

/// Compares the manifest with itself and with the files that are there (name and size in bytes).
///
/// # Errors
/// `Invalid` for a manifest of another version or format.
pub fn compare(
    manifest: &Manifest,
    listed: &BTreeMap<String, u64>,
) -> Result<(Vec<Expected>, Vec<Difference>)> {
    let form = form(manifest)?;
    let mut differences = sums(manifest);
    let (mut expected, mut names) = (Vec::new(), HashSet::new());
    let losers = manifest.losers.iter().flat_map(|losers| &losers.files);
    let left_out = losers_form(manifest)?;
    let all = manifest.files.iter().map(|entry| (entry, &form));
    for (entry, form) in all.chain(losers.map(|entry| (entry, &left_out))) {
        let name = entry.key.rsplit('/').next().unwrap_or_default().to_owned();
        if name.is_empty() || name == ".." || !names.insert(name.clone()) {
            differences.push(Difference::new(&entry.key, "key", "a name of its own in the folder", "none"));
        } else if listed.contains_key(&name) {
            expected.push(Expected { name, entry: entry.clone(), form: form.clone() });
        } else {
            let found = format!("{} bytes", entry.bytes);
            differences.push(Difference::new(&name, "file", found, "no such file"));
        }
    }
    for (name, bytes) in listed {
        if Form::is_data(name) && !names.contains(name) {
            let found = format!("{bytes} bytes");
            differences.push(Difference::new(
                name,
                "file",
                "no such file: the manifest does not list it",
                found,
            ));
        }
    }
    Ok((expected, differences))
}

// Every record that was read went somewhere, and what was written is in the files.
fn sums(manifest: &Manifest) -> Vec<Difference> {
    let l = &manifest.ledger;
    let add = |numbers: &[u64]| numbers.iter().map(|n| u128::from(*n)).sum::<u128>();
    let read = add(&[l.read_bulk, l.read_put]);
    let gone = add(&[l.exact_duplicates, l.superseded, l.filtered, l.written]);
    let rows = manifest.files.iter().map(|file| u128::from(file.rows)).sum::<u128>();
    let mut differences = Vec::new();
    if read != gone {
        let expected = format!("readBulk + readPut = {read} records that went somewhere");
        differences.push(Difference::new(MANIFEST, "ledger", expected, gone.to_string()));
    }
    if rows != u128::from(l.written) {
        let expected = format!("{} rows written by the ledger", l.written);
        differences.push(Difference::new(MANIFEST, "rows", expected, format!("{rows} rows in its files")));
    }
    differences
}

/// How the files of an export are written.
///
/// # Errors
/// `Invalid` for a manifest of another version, format or compression.
pub fn form(manifest: &Manifest) -> Result<Form> {
    let compression = manifest.compression.as_deref().unwrap_or("none");
    let format = Format::parse(&manifest.format).zip(Compression::parse(compression));
    let Some((format, compression)) = format.filter(|_| manifest.version == 1) else {
        let (version, format) = (manifest.version, &manifest.format);
        return Err(Error::invalid(format!(
            "{MANIFEST} has version {version}, format {format} and compression {compression}; this version of lade reads \
             version 1, csv, jsonl and parquet, and none, gzip and zstd"
        )));
    };
    let columns = manifest.columns.clone().map_or_else(|| fields(manifest), Ok)?;
    let dialect = if manifest.csv.as_deref() == Some("aws") { Dialect::Aws } else { Dialect::Rfc4180 };
    Ok(Form { format, compression, dialect, columns })
}

fn losers_form(manifest: &Manifest) -> Result<Form> {
    let own = ["_RULE", "_COPIES"].map(str::to_owned);
    let columns = fields(manifest)?.into_iter().chain(own).collect();
    let (format, compression, dialect) = (Format::Csv, Compression::None, Dialect::Rfc4180);
    Ok(Form { format, compression, dialect, columns })
}

fn fields(manifest: &Manifest) -> Result<Vec<String>> {
    let unread = || Error::invalid(format!("{MANIFEST} holds no schema with fields"));
    let fields = manifest.schema["fields"].as_array().ok_or_else(unread)?;
    let names = fields.iter().map(|field| field["name"].as_str().map(str::to_owned));
    names.collect::<Option<_>>().ok_or_else(unread)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        let file = |n: u64, rows: u64| json!({"key": format!("out/j/I-0000{n}.csv"), "rows": rows, "bytes": 10, "crc64nvme": "", "blake3": ""});
        let ledger = json!({"readBulk": 5, "readPut": 2, "exactDuplicates": 2, "superseded": 1, "filtered": 0, "written": 4});
        serde_json::from_value(json!({"version": 1, "jobArn": "j", "datasetArn": "d", "ingestionMode": "ALL",
            "schema": {"fields": [{"name": "A"}, {"name": "B"}]}, "format": "csv",
            "snapshot": {"sequence": 1, "takenAt": ""}, "files": [file(0, 3), file(1, 1)], "ledger": ledger}))
        .unwrap()
    }

    fn listed(names: &[&str]) -> BTreeMap<String, u64> {
        names.iter().map(|name| ((*name).to_owned(), 10)).collect()
    }

    const ALL: [&str; 3] = ["I-00000.csv", "I-00001.csv", MANIFEST];

    #[test]
    fn what_is_listed_and_there_is_to_be_read() {
        let (expected, differences) = compare(&manifest(), &listed(&ALL)).unwrap();
        assert_eq!(differences, []);
        assert_eq!(expected.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), &ALL[..2]);
        assert_eq!(expected[0].form.header(), b"A,B\n");
    }

    #[test]
    fn a_missing_and_an_extra_file_are_named() {
        let names = ["I-00000.csv", "sub/x.CSV", MANIFEST, "notes.txt"];
        let (expected, differences) = compare(&manifest(), &listed(&names)).unwrap();
        assert_eq!(expected.len(), 1);
        let files: Vec<&str> = differences.iter().map(|d| d.file.as_str()).collect();
        assert_eq!(files, ["I-00001.csv", "sub/x.CSV"]);
    }

    #[test]
    fn a_ledger_that_does_not_add_up_is_a_difference() {
        let mut changed = manifest();
        changed.ledger.read_put = 3;
        let (_, differences) = compare(&changed, &listed(&ALL)).unwrap();
        assert_eq!((differences.len(), differences[0].what), (1, "ledger"));
        let mut changed = manifest();
        changed.files[0].rows = 2;
        let (_, differences) = compare(&changed, &listed(&ALL)).unwrap();
        assert_eq!((differences.len(), differences[0].what), (1, "rows"));
    }

    #[test]
    fn two_entries_of_one_name_are_a_difference() {
        let mut changed = manifest();
        changed.files[1].key = "elsewhere/I-00000.csv".into();
        let (_, differences) = compare(&changed, &listed(&ALL)).unwrap();
        assert_eq!(differences.iter().map(|d| d.what).collect::<Vec<_>>(), ["key", "file"]);
    }

    #[test]
    fn another_version_is_refused() {
        let changed = Manifest { version: 2, ..manifest() };
        assert!(compare(&changed, &listed(&ALL)).unwrap_err().message().contains("version 2"));
    }
}
