//! An export compared with its dataset: the server is asked what the files would be now, and writes none.

use model::Clock;
use model::clock::SystemClock;
use model::error::{Error, ErrorKind, Result};
use model::manifest::{FileEntry, Manifest};
use serde_json::{Value, json};

use crate::client::Client;
use crate::job::{AnyLedger, Job, State, watch};
use proof::Difference;

/// What came of the comparison.
pub enum Compared {
    /// The dataset holds what the files hold.
    Same,
    /// Nothing of the dataset changed, and yet they differ.
    Different(Vec<Difference>),
    /// What was exported is not there any more, or more is: nothing can be said.
    Changed(String),
}

/// Compares the files of a manifest with the dataset as it is now.
///
/// Two export jobs are made that write nothing: one for what the same export would be now, and, where that differs, one
/// for whether anything came since.
///
/// # Errors
/// `Invalid` when the server does not know the job; its own words when it refuses.
pub async fn compare(client: &Client, manifest: &Manifest) -> Result<Compared> {
    let former = former(client, manifest).await?;
    let now = digest(client, manifest, &former, None).await?;
    let files = serde_json::from_value::<Vec<FileEntry>>(now.raw["files"].clone());
    let files =
        files.map_err(|e| Error::unavailable("the server's list of files can't be read").caused_by(e))?;
    let differences = differences(manifest, &files);
    if differences.is_empty() {
        return Ok(Compared::Same);
    }
    // Options that begin at another export can't begin at this one too.
    if manifest.since.is_some() {
        return Ok(Compared::Changed(
            "an export since another one can be compared only while nothing came".into(),
        ));
    }
    match digest(client, manifest, &former, Some(manifest.job_arn.as_str())).await {
        Ok(since) => Ok(match since.members.ledger {
            Some(AnyLedger::Export(ledger)) if ledger.written == 0 => Compared::Different(differences),
            Some(AnyLedger::Export(ledger)) => {
                Compared::Changed(format!("{} records came since the export", ledger.written))
            }
            _ => Compared::Changed("the server does not tell what came since the export".into()),
        }),
        Err(cause) if cause.kind == ErrorKind::Invalid => Ok(Compared::Changed(cause.message().to_owned())),
        Err(cause) => Err(cause),
    }
}

async fn former(client: &Client, manifest: &Manifest) -> Result<Job> {
    client.job(&manifest.job_arn).await.map_err(|cause| match cause.kind {
        ErrorKind::NotFound => {
            let text = format!("this server has made no job {}", manifest.job_arn);
            Error::invalid(text).caused_by(cause)
        }
        _ => cause,
    })
}

async fn digest(client: &Client, manifest: &Manifest, former: &Job, since: Option<&str>) -> Result<Job> {
    let mut options = manifest.options.clone();
    options.insert("lade:output".to_owned(), "digest".to_owned());
    if let Some(since) = since {
        options.insert("lade:since".to_owned(), since.to_owned());
    }
    let tags: Vec<Value> =
        options.iter().map(|(key, value)| json!({ "tagKey": key, "tagValue": value })).collect();
    let input = json!({
        "jobName": format!("verify-{}", (&SystemClock as &dyn Clock).hex(16)),
        "datasetArn": manifest.dataset_arn, "roleArn": former.raw["roleArn"],
        "ingestionMode": manifest.ingestion_mode, "tags": tags,
        "jobOutput": { "s3DataDestination": { "path": former.members.location } },
    });
    let created = client.personalize("CreateDatasetExportJob", input).await?;
    let arn = created["datasetExportJobArn"].as_str();
    let arn = arn.ok_or_else(|| Error::unavailable("the server's answer names no job"))?;
    let job = watch::until_over(client, arn).await?;
    if job.state() == State::Done {
        return Ok(job);
    }
    let reason = job.members.failure_reason.as_deref().unwrap_or("no reason was given");
    Err(Error::unavailable(format!("the dataset could not be read: {reason}")))
}

fn differences(manifest: &Manifest, now: &[FileEntry]) -> Vec<Difference> {
    let name = |entry: &FileEntry| entry.key.rsplit('/').next().unwrap_or_default().to_owned();
    let told = |entry: &FileEntry| format!("{} rows, blake3 {}", entry.rows, entry.blake3);
    let none = || "no such file".to_owned();
    let mut differences = Vec::new();
    for file in &manifest.files {
        let found = now.iter().find(|other| name(other) == name(file));
        let found_text = found.map_or_else(none, told);
        if told(file) != found_text {
            differences.push(Difference::new(&name(file), "dataset", told(file), found_text));
        }
    }
    for file in now.iter().filter(|file| !manifest.files.iter().any(|other| name(other) == name(file))) {
        differences.push(Difference::new(&name(file), "dataset", none(), told(file)));
    }
    differences
}
