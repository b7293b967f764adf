//! *Check manifest*: the objects of an export are read again, from first byte to last, and held against its manifest.
//!
//! The page is written while it goes on, a row for each file, so that nothing waits in memory and whoever closes the
//! page ends the check.

use std::collections::BTreeMap;

use access::bucket::Leaving;
use askama::Template;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use model::manifest::Manifest;
use proof::plan::MANIFEST;
use proof::{Difference, Expected, Reading, plan};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::super::Frame;
use super::{describe, files};
use crate::client::{Answer, Client, Refusal, object_path, segment};
use crate::doors::Doors;
use crate::markup::{number, size};
use crate::reply;
use crate::visit::{Shown, Visit};

/// How many checks may go on at once: each takes as much of a processor as it gets.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// A manifest of a hundred thousand files has about this size.
const MANIFEST_BYTES_MAX: usize = 32 << 20;
/// Stands in the page where the rows come.
const HERE: &str = "<!-- rows -->";

#[derive(Template)]
#[template(path = "job_check.html")]
struct Page {
    frame: Frame,
    path: String,
    folder: String,
    files: usize,
}

#[derive(Template)]
#[template(path = "job_check_row.html")]
struct Row<'a> {
    name: &'a str,
    rows: String,
    size: String,
    blake3: &'a str,
    differences: &'a [Difference],
}

#[derive(Template)]
#[template(path = "job_check_end.html")]
struct End<'a> {
    differences: &'a [Difference],
    count: usize,
    /// Why the check could not be ended.
    problem: Option<&'a Refusal>,
    files: String,
    rows: String,
    size: String,
    path: &'a str,
}

/// What is read after the page was begun.
struct Check {
    doors: Doors,
    path: String,
    bucket: String,
    folder: String,
    expected: Vec<Expected>,
    /// Of the manifest itself, and of what is listed.
    differences: Vec<Difference>,
    count: usize,
    rows: u64,
    bytes: u64,
    _permit: SemaphorePermit<'static>,
}

pub async fn show(visit: &Visit<'_>, name: &str) -> Shown {
    let job = describe(visit, "export", name).await?;
    let path = super::path("export", name);
    let client = visit.client();
    let busy = "Two checks are going on already. Try again when one of them has ended.";
    let permit = AT_ONCE.try_acquire().map_err(|_| Refusal { status: 503, ..Refusal::invalid(busy) })?;
    let (bucket, folder) = (files::bucket(&job), files::folder(&job));
    if folder.is_empty() || job["status"] != "ACTIVE" || files::option(&job, "lade:manifest") == "off" {
        return Err(Refusal::invalid("This job has written no manifest that files could be held against."));
    }
    let manifest = manifest(&client, &bucket, &folder).await?;
    let listed = list(&client, &bucket, &folder).await?;
    let (expected, mut differences) =
        plan::compare(&manifest, &listed).map_err(|cause| Refusal::invalid(cause.message()))?;
    differences.extend(compare(&manifest, &job));
    let frame = super::frame(visit, "Check manifest", &job);
    let page = Page {
        frame,
        path: path.clone(),
        folder: format!("s3://{bucket}/{folder}"),
        files: manifest.files.len(),
    };
    let sum = |of: fn(&model::manifest::FileEntry) -> u64| manifest.files.iter().map(of).sum();
    let check = Check {
        doors: visit.doors(),
        path,
        bucket,
        folder,
        expected,
        differences,
        count: manifest.files.len(),
        rows: sum(|file| file.rows),
        bytes: sum(|file| file.bytes),
        _permit: permit,
    };
    Ok(begin(&page, check))
}

fn begin(page: &Page, check: Check) -> Leaving {
    let Ok(text) = page.render() else {
        return reply::page(StatusCode::INTERNAL_SERVER_ERROR, page);
    };
    let (head, tail) = text.split_once(HERE).unwrap_or((&text, ""));
    let (pieces, shown) = channel(4);
    let (head, tail) = (head.to_owned(), tail.to_owned());
    tokio::spawn(async move {
        // A browser that went away takes no more pieces, which ends the check.
        let _ = check.write(&pieces, head, tail).await;
    });
    reply::pieces(stream(shown))
}

fn stream(mut shown: Receiver<String>) -> impl futures_util::Stream<Item = Bytes> {
    futures_util::stream::poll_fn(move |context| shown.poll_recv(context).map(|piece| piece.map(Bytes::from)))
}

impl Check {
    async fn write(mut self, pieces: &Sender<String>, head: String, tail: String) -> Result<(), Gone> {
        pieces.send(head).await?;
        let (mut problem, expected) = (None, std::mem::take(&mut self.expected));
        for file in &expected {
            match self.read(file, pieces).await {
                Ok(found) => {
                    pieces.send(row(file, &found)).await?;
                    self.differences.extend(found);
                }
                Err(refusal) => {
                    problem = Some(refusal);
                    break;
                }
            }
        }
        let end = End {
            differences: &self.differences,
            count: self.differences.len(),
            problem: problem.as_ref(),
            files: number(self.count as u64),
            rows: number(self.rows),
            size: size(self.bytes),
            path: &self.path,
        };
        pieces.send(end.render().unwrap_or_default() + &tail).await?;
        Ok(())
    }

    // Holds a piece of a file at a time.
    async fn read(&self, file: &Expected, pieces: &Sender<String>) -> Answer<Vec<Difference>> {
        let key = format!("{}{}", self.folder, file.name);
        let mut body = self.doors.client().s3_open(&self.bucket, &key).await?.into_body();
        let mut reading = Reading::new(file);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| unread(&file.name))?;
            if let Some(piece) = frame.data_ref() {
                reading.push(piece);
            }
            if pieces.is_closed() {
                return Err(unread(&file.name));
            }
        }
        Ok(reading.end())
    }
}

/// Nobody looks at the page any more.
struct Gone;

impl<T> From<tokio::sync::mpsc::error::SendError<T>> for Gone {
    fn from(_: tokio::sync::mpsc::error::SendError<T>) -> Gone {
        Gone
    }
}

fn row(file: &Expected, differences: &[Difference]) -> String {
    let row = Row {
        name: &file.name,
        rows: number(file.entry.rows),
        size: size(file.entry.bytes),
        blake3: &file.entry.blake3,
        differences,
    };
    row.render().unwrap_or_default()
}

fn unread(name: &str) -> Refusal {
    Refusal { status: 503, ..Refusal::invalid(format!("{name} could not be read to its end.")) }
}

async fn manifest(client: &Client<'_>, bucket: &str, folder: &str) -> Answer<Manifest> {
    let mut body = client.s3_open(bucket, &format!("{folder}{MANIFEST}")).await?.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| unread(MANIFEST))?;
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(Refusal::invalid(format!("{MANIFEST} is larger than this page reads.")));
        }
    }
    let wrong = |_| Refusal::invalid(format!("{MANIFEST} is no manifest of an export."));
    serde_json::from_slice(&text).map_err(wrong)
}

// Names below the folder, with their sizes in bytes.
async fn list(client: &Client<'_>, bucket: &str, folder: &str) -> Answer<BTreeMap<String, u64>> {
    let (mut listed, mut next) = (BTreeMap::new(), String::new());
    loop {
        let path = format!("{}?list-type=2&prefix={}{next}", object_path(bucket, ""), segment(folder));
        let page = client.s3(Method::GET, path, "").await?;
        for object in page.all("Contents") {
            let key = object.text_of(&["Key"]);
            let name = key.strip_prefix(folder).unwrap_or(key).to_owned();
            listed.insert(name, object.text_of(&["Size"]).parse().unwrap_or_default());
        }
        match page.text_of(&["NextContinuationToken"]) {
            "" => return Ok(listed),
            token => next = format!("&continuation-token={}", segment(token)),
        }
    }
}

// Whoever can replace files and manifest can't replace what the job wrote down.
fn compare(manifest: &Manifest, job: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut known: BTreeMap<&str, &Value> = BTreeMap::new();
    for file in job["files"].as_array().into_iter().flatten() {
        known.insert(file["key"].as_str().unwrap_or_default(), file);
    }
    for file in &manifest.files {
        let of_job = known.remove(file.key.as_str()).and_then(|file| file["blake3"].as_str());
        if of_job != Some(file.blake3.as_str()) {
            let expected =
                format!("blake3 {} of {}, as the job wrote down", of_job.unwrap_or("none"), file.key);
            differences.push(Difference::new(MANIFEST, "blake3", expected, &*file.blake3));
        }
    }
    let missing = known.into_keys();
    differences.extend(missing.map(|key| Difference::new(MANIFEST, "files", key, "not in the manifest")));
    differences
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_that_was_replaced_differs_from_what_the_job_wrote_down() {
        let file = |key: &str, hash: &str| json!({ "key": key, "rows": 1, "bytes": 1, "crc64nvme": "", "blake3": hash });
        let manifest = |files: Value| -> Manifest {
            serde_json::from_value(json!({ "version": 1, "jobArn": "j", "datasetArn": "d", "ingestionMode": "ALL",
                "schema": {}, "format": "csv", "snapshot": { "sequence": 1, "takenAt": "" }, "files": files,
                "ledger": { "readBulk": 0, "readPut": 0, "exactDuplicates": 0, "superseded": 0, "filtered": 0, "written": 0 } }))
            .unwrap()
        };
        let job = json!({ "files": [file("a", "1"), file("b", "2")] });
        let what = |files| compare(&manifest(files), &job).iter().map(|d| d.what).collect::<Vec<_>>();
        assert!(what(json!([file("a", "1"), file("b", "2")])).is_empty());
        assert_eq!(what(json!([file("a", "9"), file("b", "2")])), ["blake3"]);
        assert_eq!(what(json!([file("a", "1")])), ["files"]);
        assert_eq!(what(json!([file("a", "1"), file("b", "2"), file("c", "3")])), ["blake3"]);
    }
}
