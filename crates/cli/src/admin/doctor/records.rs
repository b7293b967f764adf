//! The records: the log, and the runs that the catalog names.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use catalog::copy::{Named, named};
use catalog::{DatasetRow, RunRow};
use model::error::{Context, Result};
use model::{Error, ErrorKind};
use store::log::copy::Survey;
use store::run::{EVERYTHING, OpenRun};
use store::{Objects, log};

use super::advice::{self, NEWER, RESTORE};
use super::data::{Opened, is_old};
use super::finding::Findings;

/// Reads the whole log.
pub fn look_at_log(folder: &Path, opened: Option<&Opened>, findings: &mut Findings) {
    let log = folder.join("log");
    if !log.exists() {
        return;
    }
    if let Err(cause) = log::copy::check_formats(&log) {
        let advice = if cause.kind == ErrorKind::Corrupt { NEWER } else { advice::of(&cause) };
        return findings.fail("log", cause.chain(), advice);
    }
    let looked = || -> Result<(usize, u64)> {
        let survey = Survey::begin(&log)?;
        for stretch in survey.stretches() {
            let file = log.join(&stretch.name);
            let mut bytes = match fs::read(&file) {
                // Flushed and deleted since.
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.unavailable(|| format!("read {}", file.display()))?,
            };
            bytes.truncate(usize::try_from(stretch.size_bytes).unwrap_or(usize::MAX));
            stretch.check(&bytes)?;
        }
        Ok((survey.stretches().len(), survey.end()))
    };
    match looked() {
        Err(cause) => findings.fail("log", cause.chain(), advice::of(&cause)),
        Ok((segments, end)) => {
            findings.ok("log", format!("{segments} segments are whole, up to position {end}"));
            if opened.is_none() {
                findings.warn(
                    "log",
                    "what the catalog says of it was not compared",
                    "mend first what is told of the catalog",
                );
            }
        }
    }
}

/// Opens, or reads, each run that the catalog names.
pub async fn look_at_runs(folder: &Path, opened: &Opened, deep: bool, findings: &mut Findings) {
    let runs = folder.join("runs");
    let live = folder.join("catalog.db");
    let (there, said) = match (names_in(&runs), named(&opened.file).await) {
        (Ok(there), Ok(said)) => (there, said),
        (Err(cause), _) | (_, Err(cause)) => {
            return findings.fail("runs", cause.chain(), advice::of(&cause));
        }
    };
    if said.objects.starts_with("s3://") {
        let text = format!("they lie in {}, and were not looked at", said.objects);
        return findings.warn("runs", text, "look at the bucket with its own tools");
    }
    // A log that can't be read was told of before.
    if Survey::begin(&folder.join("log")).is_ok_and(|survey| said.flushed > survey.end()) {
        let text = "it ends before what the catalog says was read of it: a part of it is missing";
        findings.fail("log", text, RESTORE);
    }
    match read_all(&runs, opened, deep, &said).await {
        Err(cause) => findings.fail("runs", cause.chain(), advice::of(&cause)),
        Ok((checked, failures)) => {
            let mut failed = 0;
            for (row, cause) in failures {
                // One that was replaced meanwhile is named no more.
                let still =
                    named(&live).await.is_ok_and(|now| now.runs.iter().any(|(o, _)| *o == row.run.object));
                if still || !live.exists() {
                    failed += 1;
                    tell(&cause, findings);
                }
            }
            if failed == 0 {
                let how = if deep { "all of it was read" } else { "its end and size; --deep reads all" };
                findings.ok("runs", format!("{checked} files of records are whole ({how})"));
            }
        }
    }
    look_for_orphans(&runs, &live, there, findings).await;
}

fn tell(cause: &Error, findings: &mut Findings) {
    match cause.kind {
        ErrorKind::Corrupt | ErrorKind::Unavailable => {
            findings.fail("runs", cause.chain(), advice::of(cause));
        }
        _ => findings.warn(
            "runs",
            cause.chain(),
            "enable the key of the group, so that its records can be read",
        ),
    }
}

/// How many runs were looked at, and what is wrong with some.
type Looked = (usize, Vec<(RunRow, Error)>);

async fn read_all(runs: &Path, opened: &Opened, deep: bool, said: &Named) -> Result<Looked> {
    let needed: HashSet<&str> = said.runs.iter().map(|(object, _)| object.as_str()).collect();
    let objects = if runs.exists() { Some(Objects::beside(runs)?) } else { None };
    let (mut checked, mut failures) = (0, Vec::new());
    for dataset in opened.catalog.all_datasets().await? {
        for row in opened.catalog.all_runs(dataset.id).await? {
            if !needed.contains(row.run.object.as_str()) {
                continue;
            }
            checked += 1;
            if let Err(cause) = look_at(runs, objects.as_ref(), opened, &dataset, &row, deep).await {
                failures.push((row, cause));
            }
        }
    }
    Ok((checked, failures))
}

async fn look_at(
    runs: &Path,
    objects: Option<&Objects>,
    opened: &Opened,
    dataset: &DatasetRow,
    row: &RunRow,
    deep: bool,
) -> Result<()> {
    let object = &row.run.object;
    let missing = || Error::corrupt(format!("run {object} is missing"));
    let Some(objects) = objects else { return Err(missing()) };
    let size = match fs::metadata(runs.join(object)) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        about => about.unavailable(|| format!("look at run {object}"))?.len(),
    };
    if size != row.run.size_bytes {
        let text = format!("run {object} has {size} bytes, and the catalog says {}", row.run.size_bytes);
        return Err(Error::corrupt(text));
    }
    let objects = objects.with_keys(opened.access.data_keys(dataset.id, &dataset.group_arn).await?);
    let (row, layout) = (row.clone(), dataset.layout.clone());
    let read = move || -> Result<()> {
        let run = OpenRun::open(&objects, &row.run.object, &layout, row.run.sequence_base)?;
        let mut rows = 0;
        if deep {
            for batch in run.read(EVERYTHING, true)? {
                rows += batch?.hashes.len() as u64;
            }
        } else {
            rows = run.rows();
        }
        match rows == row.run.rows {
            true => Ok(()),
            false => Err(Error::corrupt(format!(
                "run {} has another number of records than the catalog says",
                row.run.object
            ))),
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(Error::internal("reading a run panicked")))
}

async fn look_for_orphans(runs: &Path, live: &Path, there: Vec<String>, findings: &mut Findings) {
    // The names come behind what was there: an object that was just finished is among them.
    let Ok(now) = named(live).await else { return };
    let named = now.runs.iter().map(|(object, _)| object).chain(&now.others).chain(&now.retired);
    let named: HashSet<&String> = named.collect();
    let is_written = |name: &str| now.attempts.iter().any(|attempt| name.starts_with(attempt.as_str()));
    let is_orphan = |name: &&String| !named.contains(*name) && !is_written(name) && is_old(&runs.join(name));
    let orphans = there.iter().filter(is_orphan).count();
    if orphans > 0 {
        let text = format!("{orphans} files in runs/ that the catalog does not name take room");
        findings.warn("orphans", text, "nothing: the server deletes them when it runs");
    }
}

fn names_in(runs: &Path) -> Result<Vec<String>> {
    let listing = || "list the folder of runs".to_owned();
    match fs::read_dir(runs) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            let names = entries.unavailable(listing)?;
            let names =
                names.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
            names.collect::<std::io::Result<_>>().unavailable(listing)
        }
    }
}
