//! One job: how far it is, what it read and wrote, and why it failed.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::text;
use crate::client::{Answer, segment};
use crate::markup::{Moment, duration, number, size, status, tone};
use crate::reply;
use crate::visit::{Shown, Visit};

/// A number of the ledger, and its share of what came in.
struct Entry {
    label: &'static str,
    count: String,
    /// In hundredths.
    share: u64,
    is_out: bool,
}

struct FileRow {
    key: String,
    rows: String,
    size: String,
    blake3: String,
    path: String,
}

#[derive(Template)]
#[template(path = "job.html")]
struct Show {
    frame: Frame,
    name: String,
    arn: String,
    kind: String,
    path: String,
    status: String,
    tone: &'static str,
    is_open: bool,
    created: Moment,
    updated: Moment,
    took: String,
    location: String,
    mode: Option<String>,
    role_arn: String,
    dataset_arn: Option<String>,
    failure: Option<Failure>,
    progress: Progress,
    ledger: Vec<Entry>,
    files: Vec<FileRow>,
    manifest: Option<String>,
}

/// Why a job failed, and the policy to paste where one would mend it.
struct Failure {
    text: String,
    statement: Option<String>,
}

struct Progress {
    rows: String,
    /// In hundredths; `None`: unknown.
    share: Option<u64>,
    eta: Option<String>,
}

/// The words of the ledgers, in the order of a job's work.
const ENTRIES: [(&str, &str, bool); 12] = [
    ("readBulk", "read from import jobs", false),
    ("readPut", "read of records put one by one", false),
    ("rowsRead", "rows read", false),
    ("exactDuplicates", "equal to another in all columns", true),
    ("superseded", "older than another of the same ID", true),
    ("filtered", "filtered out", true),
    ("rowsRejected", "rejected", true),
    ("rejected", "rejected", true),
    ("written", "written", false),
    ("rowsKept", "kept", false),
    ("recordsDeleted", "records deleted", false),
    ("usersDeleted", "users deleted", false),
];

fn resource(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "import" => "dataset-import-job",
        "export" => "dataset-export-job",
        "deletion" => "data-deletion-job",
        _ => return None,
    })
}

fn arn(visit: &Visit<'_>, kind: &str, name: &str) -> String {
    let realm = &visit.console.realm;
    let resource = resource(kind).unwrap_or("job");
    format!("arn:aws:personalize:{}:{}:{resource}/{name}", realm.region, realm.account)
}

async fn describe(visit: &Visit<'_>, kind: &str, name: &str) -> Answer<Value> {
    visit.client().lade(Method::GET, &format!("/jobs/{}", segment(&arn(visit, kind, name)))).await
}

pub async fn show(visit: &Visit<'_>, kind: &str, name: &str) -> Shown {
    let job = describe(visit, kind, name).await?;
    let word = text(&job, "status");
    let (created, updated) = (Moment::of(&job["createdAt"]), Moment::of(&job["lastUpdatedAt"]));
    let location = text(&job, "location");
    let bucket = location.strip_prefix("s3://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let files: Vec<FileRow> =
        job["files"].as_array().into_iter().flatten().map(|file| row(bucket, file)).collect();
    let manifest = files.first().and_then(|file| {
        let folder = file.key.rsplit_once('/').map_or("", |(folder, _)| folder);
        (word == "ACTIVE").then(|| object_page(bucket, &format!("{folder}/_manifest.json")))
    });
    let page = Show {
        frame: visit.frame(name, &[]),
        path: format!("/console/jobs/{kind}/{}", segment(name)),
        arn: arn(visit, kind, name),
        kind: kind.to_owned(),
        is_open: is_open(&word),
        status: status(&word),
        tone: tone(&word),
        took: took(created, updated),
        created,
        updated,
        mode: job["mode"].as_str().map(str::to_owned),
        role_arn: text(&job, "roleArn"),
        dataset_arn: job["datasetArn"].as_str().map(str::to_owned),
        failure: job["failureReason"].as_str().map(failure),
        progress: progress_of(&job["progress"]),
        ledger: ledger(&job["ledger"]),
        files,
        manifest,
        location,
        name: name.to_owned(),
    };
    Ok(reply::page(StatusCode::OK, &page))
}

/// What the page's script asks for while the job runs.
pub async fn progress(visit: &Visit<'_>, kind: &str, name: &str) -> Shown {
    let job = describe(visit, kind, name).await?;
    let word = text(&job, "status");
    let Progress { rows, share, eta } = progress_of(&job["progress"]);
    Ok(reply::json(&json!({
        "isOpen": is_open(&word), "status": status(&word), "tone": tone(&word), "rows": rows, "share": share,
        "eta": eta,
    })))
}

pub async fn cancel(visit: &Visit<'_>, kind: &str, name: &str) -> Shown {
    let path = format!("/jobs/{}/cancel", segment(&arn(visit, kind, name)));
    visit.client().lade(Method::POST, &path).await?;
    Ok(reply::to(&format!("/console/jobs/{kind}/{}", segment(name))))
}

fn is_open(word: &str) -> bool {
    word.contains("PENDING") || word.contains("PROGRESS")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "durations are small and not negative"
)]
fn took(created: Moment, updated: Moment) -> String {
    duration((updated.seconds - created.seconds).max(0.0).round() as u64)
}

fn row(bucket: &str, file: &Value) -> FileRow {
    let key = text(file, "key");
    let count = |member: &str| file[member].as_u64().unwrap_or_default();
    FileRow {
        path: object_page(bucket, &key),
        rows: number(count("rows")),
        size: size(count("bytes")),
        blake3: text(file, "blake3"),
        key,
    }
}

fn object_page(bucket: &str, key: &str) -> String {
    format!("/console/buckets/{}/object?key={}", segment(bucket), segment(key))
}

fn progress_of(progress: &Value) -> Progress {
    let count = |member: &str| progress[member].as_u64();
    let part = |done: &str, all: &str| Some(count(done)? * 100 / count(all).filter(|all| *all > 0)?);
    Progress {
        rows: number(count("rowsDone").unwrap_or_default()),
        share: part("rowsDone", "rowsTotal")
            .or_else(|| part("bytesDone", "bytesTotal"))
            .map(|share| share.min(100)),
        eta: count("etaSeconds").map(duration),
    }
}

fn ledger(ledger: &Value) -> Vec<Entry> {
    let count = |name: &str| ledger[name].as_u64();
    let all = ["readBulk", "readPut", "rowsRead"].iter().filter_map(|name| count(name)).sum::<u64>().max(1);
    let entry = |(name, label, is_out): &(&'static str, &'static str, bool)| {
        let found = count(name)?;
        Some(Entry {
            label,
            count: number(found),
            share: (found * 100).div_ceil(all).min(100),
            is_out: *is_out,
        })
    };
    ENTRIES.iter().filter_map(entry).collect()
}

/// A reason that ends with a statement to add shows it apart, in lines.
fn failure(reason: &str) -> Failure {
    let at = reason.find(": {").map(|at| at + 2);
    let statement = at.and_then(|at| {
        let parsed: Value = serde_json::from_str(&reason[at..]).ok()?;
        serde_json::to_string_pretty(&parsed).ok()
    });
    let text = match (at, &statement) {
        (Some(at), Some(_)) => reason[..at].trim_end().to_owned(),
        _ => reason.to_owned(),
    };
    Failure { text, statement }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_to_add_stands_apart_from_the_reason() {
        let Failure { text, statement } =
            failure("No. Add this statement to the policy: {\"Effect\":\"Allow\"}");
        assert_eq!(text, "No. Add this statement to the policy:");
        assert_eq!(statement.as_deref(), Some("{\n  \"Effect\": \"Allow\"\n}"));
        assert_eq!(failure("a: {b").statement, None);
    }

    #[test]
    fn a_ledger_shows_what_it_has_with_its_share() {
        let entries = ledger(&json!({ "readBulk": 6, "readPut": 4, "exactDuplicates": 1, "written": 9 }));
        let shown: Vec<_> = entries.iter().map(|entry| (entry.share, entry.is_out)).collect();
        assert_eq!(shown, [(60, false), (40, false), (10, true), (90, false)]);
    }
}
