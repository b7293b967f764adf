//! The files of an export: what each holds, and two ways to have it: byte by byte, or altered for spreadsheets.

use bytes::Bytes;
use csv::Dialect;
use csv::spreadsheet::Guard;
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::Value;

use super::super::dataset_group::text;
use super::{describe, path};
use crate::client::{Refusal, segment};
use crate::markup::{number, size};
use crate::reply;
use crate::visit::{Shown, Visit};

/// How many files a page shows.
const SHOWN_MAX: usize = 100;

pub struct Files {
    pub rows: Vec<File>,
    pub count: String,
    pub records: String,
    pub size: String,
    pub next: Option<String>,
    pub manifest: Option<String>,
    /// Where the files are held against the manifest.
    pub check: Option<String>,
    /// Whether no object was written, so that there is nothing to download.
    pub is_digest: bool,
    pub has_guarded: bool,
}

pub struct File {
    pub key: String,
    pub rows: String,
    pub size: String,
    pub blake3: String,
    /// Where its bytes are.
    pub path: Option<String>,
    /// Where its text is, altered for spreadsheets.
    pub guarded: Option<String>,
}

impl Files {
    /// The files of an export from `from` on; `None` where there are none.
    pub fn read(job: &Value, from: usize) -> Option<Files> {
        let all = job["files"].as_array().filter(|files| !files.is_empty())?;
        let losers = job["losers"]["files"].as_array().into_iter().flatten();
        let is_digest = option(job, "lade:output") == "digest";
        let own = path("export", &text(job, "jobName"));
        let listed: Vec<&Value> = all.iter().chain(losers).collect();
        let rows = listed.iter().enumerate().skip(from).take(SHOWN_MAX);
        let rows: Vec<File> = rows.map(|(n, file)| row(job, file, n, &own, is_digest)).collect();
        let sum = |member: &str| all.iter().filter_map(|file| file[member].as_u64()).sum::<u64>();
        let has_manifest = !is_digest && option(job, "lade:manifest") != "off" && job["status"] == "ACTIVE";
        Some(Files {
            next: (listed.len() > from + SHOWN_MAX)
                .then(|| format!("{own}?files={}#files", from + SHOWN_MAX)),
            count: number(all.len() as u64),
            records: number(sum("rows")),
            size: size(sum("bytes")),
            manifest: has_manifest
                .then(|| object(&bucket(job), &format!("{}{}", folder(job), proof::plan::MANIFEST))),
            check: has_manifest.then(|| format!("{own}/check")),
            is_digest,
            has_guarded: rows.iter().any(|row| row.guarded.is_some()),
            rows,
        })
    }
}

fn row(job: &Value, file: &Value, number_of: usize, own: &str, is_digest: bool) -> File {
    let key = text(file, "key");
    let count = |member: &str| file[member].as_u64().unwrap_or_default();
    let is_plain = key.ends_with(".csv") && !is_digest;
    File {
        path: (!is_digest).then(|| object(&bucket(job), &key)),
        guarded: is_plain.then(|| format!("{own}/spreadsheet?file={number_of}")),
        rows: number(count("rows")),
        size: size(count("bytes")),
        blake3: text(file, "blake3"),
        key,
    }
}

/// The option of an export that its tag gave.
pub fn option<'a>(job: &'a Value, key: &str) -> &'a str {
    job["options"][key].as_str().unwrap_or_default()
}

/// The bucket of a job's location.
pub fn bucket(job: &Value) -> String {
    let location = text(job, "location");
    location.strip_prefix("s3://").and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned()
}

/// What the keys of an export's files begin with.
pub fn folder(job: &Value) -> String {
    let key = text(&job["files"][0], "key");
    key.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"))
}

fn object(bucket: &str, key: &str) -> String {
    format!("/console/buckets/{}/object?key={}", segment(bucket), segment(key))
}

/// Gives a file of CSV, altered so that no spreadsheet takes a cell for a formula.
pub async fn guarded(visit: &Visit<'_>, name: &str) -> Shown {
    let job = describe(visit, "export", name).await?;
    let losers = job["losers"]["files"].as_array().into_iter().flatten();
    let mut all = job["files"].as_array().into_iter().flatten().chain(losers);
    let chosen = visit.query.get("file").parse().ok().and_then(|n| all.nth(n));
    let key = chosen.map(|file| text(file, "key")).unwrap_or_default();
    if !key.ends_with(".csv") {
        return Err(Refusal::invalid("Only files of uncompressed CSV can be altered for spreadsheets."));
    }
    let answer = visit.client().s3_open(&bucket(&job), &key).await?;
    let name = key.rsplit('/').next().unwrap_or_default().trim_end_matches(".csv").to_owned();
    // What was left out is written in one dialect, whatever the other files are in.
    let is_aws = option(&job, "lade:csv") == "aws" && !name.starts_with('_');
    let mut guard = Guard::new(if is_aws { Dialect::Aws } else { Dialect::Rfc4180 });
    let answer = answer.map(|body| {
        let altered = body.map_frame(move |frame| match frame.into_data() {
            Ok(piece) => Frame::data(Bytes::from(guard.push(&piece))),
            Err(other) => other,
        });
        altered.boxed_unsync()
    });
    Ok(reply::download(answer, &format!("{name}.altered-for-spreadsheets.csv")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(options: Value, names: &[&str]) -> Value {
        let file =
            |name: &&str| json!({ "key": format!("out/j/{name}"), "rows": 2, "bytes": 10, "blake3": "b" });
        json!({ "jobName": "j", "status": "ACTIVE", "location": "s3://bkt/out", "options": options,
            "files": names.iter().map(file).collect::<Vec<_>>() })
    }

    #[test]
    fn only_plain_csv_can_be_altered() {
        let files = Files::read(&job(json!({}), &["a.csv", "b.csv.gz", "c.parquet"]), 0).unwrap();
        let guarded: Vec<bool> = files.rows.iter().map(|row| row.guarded.is_some()).collect();
        assert_eq!(guarded, [true, false, false]);
        assert_eq!(files.rows[0].path.as_deref(), Some("/console/buckets/bkt/object?key=out%2Fj%2Fa.csv"));
        assert_eq!(
            files.manifest.as_deref(),
            Some("/console/buckets/bkt/object?key=out%2Fj%2F_manifest.json")
        );
        assert_eq!((files.records.as_str(), files.size.as_str()), ("6", "30 bytes"));
    }

    #[test]
    fn what_wrote_no_object_offers_none() {
        let files = Files::read(&job(json!({ "lade:output": "digest" }), &["a.csv"]), 0).unwrap();
        assert!(files.rows[0].path.is_none() && files.rows[0].guarded.is_none() && files.check.is_none());
        assert!(Files::read(&job(json!({ "lade:manifest": "off" }), &["a.csv"]), 0).unwrap().check.is_none());
    }

    #[test]
    fn many_files_come_in_pages() {
        let names = vec!["a.csv"; SHOWN_MAX + 1];
        let first = Files::read(&job(json!({}), &names), 0).unwrap();
        assert_eq!(
            (first.rows.len(), first.next.as_deref()),
            (SHOWN_MAX, Some("/console/jobs/export/j?files=100#files"))
        );
        assert_eq!(Files::read(&job(json!({}), &names), SHOWN_MAX).unwrap().rows.len(), 1);
    }
}
