//! One job: how far it is, what it read and wrote, where every record went, and why it failed.

pub mod check;
pub mod files;
pub mod ledger;
pub mod rejects;

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::confirm::Question;
use super::dataset_group::{self, text, type_name};
use super::job_row::{mode_name, took};
use super::{Frame, dataset};
use crate::client::{Answer, segment};
use crate::denial::Reason;
use crate::markup::{Moment, duration, number, status, tone};
use crate::visit::{Shown, Visit};
use crate::{navigation, reply};
use files::Files;
use ledger::Ledger;
use rejects::Rejects;

#[derive(Template)]
#[template(path = "job.html")]
struct Show {
    frame: Frame,
    name: String,
    kind: &'static str,
    path: String,
    /// What stands beside it, in the order in which it is shown; true for what is code.
    facts: Vec<(&'static str, String, bool)>,
    status: String,
    tone: &'static str,
    is_open: bool,
    created: Moment,
    updated: Moment,
    took: String,
    failure: Option<Reason>,
    progress: Progress,
    ledger: Option<Ledger>,
    rejects: Option<Rejects>,
    files: Option<Files>,
    /// That nothing is left of what was deleted.
    evidence: Vec<(&'static str, String)>,
    /// What a job that only checked says of itself.
    is_check: bool,
}

pub struct Progress {
    pub rows: String,
    /// In hundredths; `None`: unknown.
    pub share: Option<u64>,
    pub eta: Option<String>,
}

/// The word of a kind in addresses, its type, the resource in its ARN, and what it is called.
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("import", "IMPORT", "dataset-import-job", "Dataset import job"),
    ("export", "EXPORT", "dataset-export-job", "Dataset export job"),
    ("deletion", "DELETION", "data-deletion-job", "Data deletion job"),
];

/// Where the page of a job is; `kind` is as the address or as the list of jobs words it.
pub fn path(kind: &str, name: &str) -> String {
    format!("/console/jobs/{}/{}", kind.to_lowercase(), segment(name))
}

/// What a kind of job is called.
pub fn kind_name(kind: &str) -> &'static str {
    KINDS.iter().find(|known| known.0 == kind || known.1 == kind).map_or("Job", |known| known.3)
}

pub fn arn(visit: &Visit<'_>, kind: &str, name: &str) -> String {
    let realm = &visit.console.realm;
    let resource = KINDS.iter().find(|known| known.0 == kind).map_or("job", |known| known.2);
    format!("arn:aws:personalize:{}:{}:{resource}/{name}", realm.region, realm.account)
}

pub async fn describe(visit: &Visit<'_>, kind: &str, name: &str) -> Answer<Value> {
    visit.client().lade(Method::GET, &format!("/jobs/{}", segment(&arn(visit, kind, name)))).await
}

/// The frame of a page about a job: it is a page of the job's group.
pub fn frame(visit: &Visit<'_>, title: &str, job: &Value) -> Frame {
    let (group, kind) = place(job);
    let (name, word) = (text(job, "jobName"), text(job, "type"));
    let mut crumbs = dataset_group::crumbs(&group);
    match kind.as_deref() {
        Some(kind) => crumbs.push((type_name(kind), dataset::path(&group, kind))),
        None => crumbs.push(("Data deletion jobs", format!("{}/deletions", dataset_group::path(&group)))),
    }
    if title != name {
        crumbs.push((&name, path(&word, &name)));
    }
    let mut frame = visit.frame(title, &crumbs);
    let below = match kind {
        Some(_) => "jobs/job",
        None => "deletions/job",
    };
    let at = format!("{}/{below}", dataset_group::path(&group));
    frame.group = Some(navigation::of_group(&at, &group));
    frame
}

// The group and the type of the dataset that a job is about.
fn place(job: &Value) -> (String, Option<String>) {
    let of = |member: &str| job[member].as_str().and_then(|arn| arn.split_once('/')).map(|(_, rest)| rest);
    match of("datasetArn").and_then(|rest| rest.split_once('/')) {
        Some((group, kind)) => (group.to_owned(), Some(kind.to_owned())),
        None => (of("datasetGroupArn").unwrap_or_default().to_owned(), None),
    }
}

pub async fn show(visit: &Visit<'_>, kind: &str, name: &str) -> Shown {
    let job = describe(visit, kind, name).await?;
    let word = text(&job, "status");
    let (created, updated) = (Moment::of(&job["createdAt"]), Moment::of(&job["lastUpdatedAt"]));
    let from = visit.query.get("files").parse().unwrap_or_default();
    let page = Show {
        frame: frame(visit, name, &job),
        kind: kind_name(kind),
        path: path(kind, name),
        facts: facts(&job),
        is_open: is_open(&word),
        status: status(&word),
        tone: tone(&word),
        took: took(created, updated),
        created,
        updated,
        failure: job["failureReason"].as_str().map(Reason::read),
        progress: progress_of(&job["progress"]),
        ledger: Ledger::read(&job["ledger"]),
        rejects: Rejects::read(&job["rejects"], name),
        files: Files::read(&job, from),
        evidence: evidence(&job["evidence"]),
        is_check: job["validateOnly"] == true,
        name: name.to_owned(),
    };
    Ok(reply::page(StatusCode::OK, &page))
}

fn facts(job: &Value) -> Vec<(&'static str, String, bool)> {
    let is_export = job["type"] == "EXPORT";
    let mode = job["mode"].as_str().map(mode_name);
    let role = text(job, "roleArn");
    let options = job["options"].as_object().into_iter().flatten();
    let options: Vec<String> =
        options.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let tolerance = job["tolerance"].as_u64().filter(|rows| *rows > 0);
    let all = [
        ("ARN", Some(text(job, "jobArn")), true),
        (if is_export { "Export data type" } else { "Import mode" }, mode.map(str::to_owned), false),
        (
            if is_export { "Amazon S3 data output path" } else { "S3 Location" },
            Some(text(job, "location")),
            true,
        ),
        ("IAM service role", Some(role), true),
        ("Options", Some(options.join(" · ")).filter(|text| !text.is_empty()), true),
        ("Wrong rows it may leave out", tolerance.map(number), false),
        ("Cancelled by", job["cancelledBy"].as_str().map(str::to_owned), true),
    ];
    all.into_iter().filter_map(|(name, value, is_code)| Some((name, value?, is_code))).collect()
}

fn evidence(evidence: &Value) -> Vec<(&'static str, String)> {
    let count = |member: &str| evidence[member].as_u64().map(number);
    let all = [
        ("Users looked for", count("usersChecked")),
        ("Runs read", count("runsRead")),
        ("Log segments read", count("segmentsRead")),
        ("Records found", count("recordsFound")),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What the page's script asks for while the job runs.
pub async fn progress(visit: &Visit<'_>, kind: &str, name: &str) -> Shown {
    let job = describe(visit, kind, name).await?;
    Ok(reply::json(&live(&job)))
}

/// How far a job is, for scripts.
pub fn live(job: &Value) -> Value {
    let word = text(job, "status");
    let Progress { rows, share, eta } = progress_of(&job["progress"]);
    json!({
        "isOpen": is_open(&word), "status": status(&word), "tone": tone(&word), "rows": rows, "share": share,
        "eta": eta,
    })
}

/// Asks whether the job shall end before its work is done, and ends it.
pub async fn cancel(visit: &Visit<'_>, kind: &str, name: &str) -> Shown {
    let mut problem = None;
    if visit.is_post() {
        let path = format!("/jobs/{}/cancel", segment(&arn(visit, kind, name)));
        match visit.client().lade(Method::POST, &path).await {
            Ok(_) => return Ok(reply::to(&self::path(kind, name))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let job = describe(visit, kind, name).await?;
    let what = match kind {
        "import" => "None of its rows are imported; what the dataset holds stays as it is.",
        "export" => "No file of it becomes visible, and what it has written is given up.",
        _ => "Records that it has not deleted yet stay. A job that has deleted some goes on to its end.",
    };
    let ends = format!("{} {name} ends before its work is done.", kind_name(kind));
    let arn = arn(visit, kind, name);
    Question {
        frame: frame(visit, "Cancel job", &job),
        problem: problem.as_ref(),
        losses: vec![ends, what.to_owned()],
        word: "Cancel job",
        back: path(kind, name),
        call: Some(("lade cancel {arn}", arn)),
        fields: vec![],
    }
    .ask()
}

pub fn is_open(word: &str) -> bool {
    word.contains("PENDING") || word.contains("PROGRESS")
}

fn progress_of(progress: &Value) -> Progress {
    let count = |member: &str| progress[member].as_u64();
    let part =
        |done: &str, all: &str| Some(count(done)?.saturating_mul(100) / count(all).filter(|all| *all > 0)?);
    Progress {
        rows: number(count("rowsDone").unwrap_or_default()),
        share: part("rowsDone", "rowsTotal")
            .or_else(|| part("bytesDone", "bytesTotal"))
            .map(|share| share.min(100)),
        eta: count("etaSeconds").map(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_belongs_to_the_group_of_its_dataset() {
        let of = |member: &str, arn: &str| place(&json!({ member: arn }));
        let dataset = of("datasetArn", "arn:aws:personalize:r:1:dataset/shop/ITEMS");
        assert_eq!(dataset, ("shop".to_owned(), Some("ITEMS".to_owned())));
        let group = of("datasetGroupArn", "arn:aws:personalize:r:1:dataset-group/shop");
        assert_eq!(group, ("shop".to_owned(), None));
    }

    #[test]
    fn addresses_know_the_types_of_jobs_in_either_case() {
        assert_eq!(path("IMPORT", "a b"), "/console/jobs/import/a%20b");
        assert_eq!((kind_name("EXPORT"), kind_name("deletion")), ("Dataset export job", "Data deletion job"));
    }

    #[test]
    fn progress_is_a_share_of_what_is_known() {
        let share = |progress: Value| progress_of(&progress).share;
        assert_eq!(share(json!({ "rowsDone": 1, "rowsTotal": 3 })), Some(33));
        assert_eq!(
            share(json!({ "rowsDone": 9, "rowsTotal": null, "bytesDone": 5, "bytesTotal": 10 })),
            Some(50)
        );
        assert_eq!(share(json!({ "rowsDone": 5, "rowsTotal": 4 })), Some(100));
        assert_eq!(share(json!({ "rowsDone": 5 })), None);
    }
}
