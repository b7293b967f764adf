//! What this server offers beyond the service, under `/lade/v1/`: signed and permitted like the service's own
//! operations, each by the permission of the one that it is nearest to.

mod activity;
mod analysis;
mod caller;
mod dataset;
mod delivery;
pub mod event;
pub mod job;
mod node;
mod pruning;
mod query;
pub mod record;
mod rejects;
mod root_key;
mod schedule;
pub mod user;

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use http::Method;
use model::{Arn, Error, ErrorKind};
use percent_encoding::percent_decode_str;

use crate::call::Call;
use crate::door::Api;
use crate::reply::{self, Answer};

const ROOT: &str = "/lade/";
const JOBS: &str = "/lade/v1/jobs";
const DATASETS: &str = "/lade/v1/datasets";
const EVENTS: &str = "/lade/v1/events";
const USER_RECORDS: &str = "/lade/v1/user-records";
const RECORDS: &str = "/lade/v1/records";
const DELIVERIES: &str = "/lade/v1/deliveries";
const CALLER: &str = "/lade/v1/caller";
const NODES: &str = "/lade/v1/nodes";
const ANALYSES: &str = "/lade/v1/analyses";
const SCHEDULES: &str = "/lade/v1/schedules";
const PRUNINGS: &str = "/lade/v1/prunings";
const ROOT_KEY: &str = "/lade/v1/root-key";

/// What is answered piece by piece.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a request under `/lade/` asks for whose answer may be long.
#[derive(Debug, PartialEq, Eq)]
pub enum AskedLong {
    Rejects(String),
    Events,
    UserRecords,
}

impl AskedLong {
    /// For the log.
    pub fn name(&self) -> &'static str {
        match self {
            AskedLong::Rejects(_) => "GetJobRejects",
            AskedLong::Events => "WatchJobs",
            AskedLong::UserRecords => "GetUserRecords",
        }
    }

    /// What the answer is, once it is one.
    pub fn content_type(&self) -> &'static str {
        match self {
            AskedLong::Rejects(_) | AskedLong::UserRecords => "text/csv; charset=utf-8",
            AskedLong::Events => "text/event-stream",
        }
    }
}

/// As `by_path`, for what is answered piece by piece.
pub fn long_by_path(method: &Method, path: &str) -> Option<AskedLong> {
    if (method, path) == (&Method::GET, EVENTS) {
        return Some(AskedLong::Events);
    }
    if (method, path) == (&Method::POST, USER_RECORDS) {
        return Some(AskedLong::UserRecords);
    }
    let rest = path.strip_prefix(JOBS).and_then(|rest| rest.strip_prefix('/'));
    let job = rest.and_then(|rest| rest.strip_suffix("/rejects.csv")).filter(|_| method == Method::GET)?;
    let arn = percent_decode_str(job).decode_utf8().ok().filter(|arn| !arn.is_empty())?;
    Some(AskedLong::Rejects(arn.into_owned()))
}

/// Answers a request under `/lade/` piece by piece.
pub async fn open(api: &Arc<Api>, asked: &AskedLong, call: &Call) -> Answer<Pieces> {
    match asked {
        AskedLong::Rejects(arn) => {
            let arn = read_arn(arn)?;
            job::authorize(api, call, &arn).await?;
            rejects::open(api, &arn, call.query.as_deref()).await
        }
        AskedLong::Events => event::watch(api, call).await,
        AskedLong::UserRecords => user::read(api, call).await,
    }
}

/// What a request under `/lade/` asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    ListJobs,
    DescribeJob(String),
    CancelJob(String),
    ListDeliveries,
    ListDatasets,
    DescribeDataset(String),
    GetActivity(String),
    GetRecords,
    CreateAnalysis,
    DescribeAnalysis,
    ListNodes,
    PruneJobs,
    RotateRootKey,
    GetCaller,
    ListSchedules,
    DescribeSchedule(String),
    PutSchedule(String),
    DeleteSchedule(String),
    RunSchedule(String),
    PauseSchedule(String),
    ResumeSchedule(String),
    Unknown,
}

impl Asked {
    /// For the log.
    pub fn name(&self) -> &'static str {
        match self {
            Asked::ListJobs => "ListJobs",
            Asked::DescribeJob(_) => "DescribeJob",
            Asked::CancelJob(_) => "CancelJob",
            Asked::ListDeliveries => "ListDeliveries",
            Asked::ListDatasets => "ListDatasetContents",
            Asked::DescribeDataset(_) => "DescribeDatasetContents",
            Asked::GetActivity(_) => "GetDatasetActivity",
            Asked::GetRecords => "GetRecords",
            Asked::CreateAnalysis => "CreateAnalysis",
            Asked::DescribeAnalysis => "DescribeAnalysis",
            Asked::ListNodes => "ListNodes",
            Asked::PruneJobs => "PruneJobs",
            Asked::RotateRootKey => "RotateRootKey",
            Asked::GetCaller => "GetCaller",
            Asked::ListSchedules => "ListExportSchedules",
            Asked::DescribeSchedule(_) => "DescribeExportSchedule",
            Asked::PutSchedule(_) => "PutExportSchedule",
            Asked::DeleteSchedule(_) => "DeleteExportSchedule",
            Asked::RunSchedule(_) => "RunExportSchedule",
            Asked::PauseSchedule(_) => "PauseExportSchedule",
            Asked::ResumeSchedule(_) => "ResumeExportSchedule",
            Asked::Unknown => "unknown",
        }
    }
}

/// What a path below `/lade/` stands for; `None` for all other paths.
pub fn by_path(method: &Method, path: &str) -> Option<Asked> {
    if !path.starts_with(ROOT) {
        return None;
    }
    if (method, path) == (&Method::GET, DELIVERIES) {
        return Some(Asked::ListDeliveries);
    }
    if (method, path) == (&Method::POST, RECORDS) {
        return Some(Asked::GetRecords);
    }
    if let Some(rest) = path.strip_prefix(DATASETS) {
        return Some(if method == Method::GET { of_datasets(rest) } else { Asked::Unknown });
    }
    if let Some(rest) = path.strip_prefix(SCHEDULES) {
        return Some(of_schedules(method, rest));
    }
    match (method, path) {
        (&Method::POST, ANALYSES) => return Some(Asked::CreateAnalysis),
        (&Method::POST, PRUNINGS) => return Some(Asked::PruneJobs),
        (&Method::POST, ROOT_KEY) => return Some(Asked::RotateRootKey),
        (&Method::GET, CALLER) => return Some(Asked::GetCaller),
        (&Method::GET, NODES) => return Some(Asked::ListNodes),
        (&Method::GET, ANALYSES) => return Some(Asked::DescribeAnalysis),
        _ => {}
    }
    let Some(rest) = path.strip_prefix(JOBS) else { return Some(Asked::Unknown) };
    let asked = match (method, rest.strip_prefix('/')) {
        (&Method::GET, None) if rest.is_empty() => Asked::ListJobs,
        (&Method::GET, Some(job)) => named(job, Asked::DescribeJob),
        (&Method::POST, Some(rest)) => {
            rest.strip_suffix("/cancel").map_or(Asked::Unknown, |job| named(job, Asked::CancelJob))
        }
        _ => Asked::Unknown,
    };
    Some(asked)
}

fn of_datasets(rest: &str) -> Asked {
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Asked::ListDatasets,
        None => Asked::Unknown,
        Some(dataset) => match dataset.strip_suffix("/activity") {
            Some(dataset) => named(dataset, Asked::GetActivity),
            None => named(dataset, Asked::DescribeDataset),
        },
    }
}

fn of_schedules(method: &Method, rest: &str) -> Asked {
    let Some(name) = rest.strip_prefix('/') else {
        return if rest.is_empty() && method == Method::GET { Asked::ListSchedules } else { Asked::Unknown };
    };
    match (method, name.split_once('/')) {
        (&Method::GET, None) => named(name, Asked::DescribeSchedule),
        (&Method::PUT, None) => named(name, Asked::PutSchedule),
        (&Method::DELETE, None) => named(name, Asked::DeleteSchedule),
        (&Method::POST, Some((name, "run"))) => named(name, Asked::RunSchedule),
        (&Method::POST, Some((name, "pause"))) => named(name, Asked::PauseSchedule),
        (&Method::POST, Some((name, "resume"))) => named(name, Asked::ResumeSchedule),
        _ => Asked::Unknown,
    }
}

// An ARN may come with its colons and slashes encoded, or as it is.
fn named(job: &str, asked: fn(String) -> Asked) -> Asked {
    match percent_decode_str(job).decode_utf8() {
        Ok(arn) if !arn.is_empty() => asked(arn.into_owned()),
        _ => Asked::Unknown,
    }
}

/// Answers a request under `/lade/`.
pub async fn answer(api: &Api, asked: Asked, call: &Call) -> Answer<Bytes> {
    match asked {
        Asked::ListJobs => reply::body(&job::list(api, call, job::read_query(call.query.as_deref())?).await?),
        Asked::DescribeJob(arn) => reply::body(&job::describe(api, call, &read_arn(&arn)?).await?),
        Asked::CancelJob(arn) => reply::body(&job::cancel(api, call, &read_arn(&arn)?).await?),
        Asked::ListDeliveries => reply::body(&delivery::list(api, call).await?),
        Asked::ListDatasets => {
            reply::body(&dataset::list(api, call, dataset::read_query(call.query.as_deref())?).await?)
        }
        Asked::DescribeDataset(arn) => reply::body(&dataset::describe(api, call, &read_arn(&arn)?).await?),
        Asked::GetActivity(arn) => reply::body(&activity::show(api, call, &read_arn(&arn)?).await?),
        Asked::GetRecords => reply::body(&record::read(api, call).await?),
        Asked::CreateAnalysis => reply::body(&analysis::begin(api, call).await?),
        Asked::DescribeAnalysis => reply::body(&analysis::describe(api, call).await?),
        Asked::GetCaller => reply::body(&caller::show(call)),
        Asked::ListNodes => reply::body(&node::list(api, call).await?),
        Asked::ListSchedules => reply::body(&schedule::list(api, call).await?),
        Asked::DescribeSchedule(name) => reply::body(&schedule::describe(api, call, &name).await?),
        Asked::PutSchedule(name) => reply::body(&schedule::put(api, call, &name).await?),
        Asked::DeleteSchedule(name) => reply::body(&schedule::delete(api, call, &name).await?),
        Asked::RunSchedule(name) => reply::body(&schedule::run(api, call, &name).await?),
        Asked::PauseSchedule(name) => reply::body(&schedule::pause(api, call, &name, true).await?),
        Asked::ResumeSchedule(name) => reply::body(&schedule::pause(api, call, &name, false).await?),
        Asked::PruneJobs => reply::body(&pruning::prune(api, call).await?),
        Asked::RotateRootKey => reply::body(&root_key::rotate(api, call).await?),
        Asked::Unknown => {
            let text = format!("There is nothing at {} {}.", call.method, call.path);
            Err(Error::new(ErrorKind::NotFound, text).into())
        }
    }
}

fn read_arn(text: &str) -> Answer<Arn> {
    Arn::parse(text).ok_or_else(|| Error::invalid(format!("This is no ARN: {text}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:personalize:us-east-1:000000000000:dataset-import-job/cancel";

    #[test]
    fn a_path_names_a_job_encoded_or_not() {
        let encoded = ARN.replace(':', "%3A").replace('/', "%2F");
        for arn in [ARN, &encoded] {
            let described = by_path(&Method::GET, &format!("{JOBS}/{arn}"));
            assert_eq!(described, Some(Asked::DescribeJob(ARN.to_owned())));
            let cancelled = by_path(&Method::POST, &format!("{JOBS}/{arn}/cancel"));
            assert_eq!(cancelled, Some(Asked::CancelJob(ARN.to_owned())));
        }
        assert_eq!(by_path(&Method::GET, JOBS), Some(Asked::ListJobs));
    }

    #[test]
    fn a_path_names_a_dataset_encoded_or_not() {
        let dataset = ARN.replace("dataset-import-job/cancel", "dataset/g/ITEMS");
        let encoded = dataset.replace(':', "%3A").replace('/', "%2F");
        for arn in [&dataset, &encoded] {
            let asked = |more: &str| by_path(&Method::GET, &format!("{DATASETS}/{arn}{more}"));
            assert_eq!(asked(""), Some(Asked::DescribeDataset(dataset.clone())));
            assert_eq!(asked("/activity"), Some(Asked::GetActivity(dataset.clone())));
        }
        assert_eq!(by_path(&Method::GET, DATASETS), Some(Asked::ListDatasets));
        assert_eq!(by_path(&Method::POST, RECORDS), Some(Asked::GetRecords));
        for path in ["/lade/v1/datasetsx", "/lade/v1/datasets/", "/lade/v1/datasets//activity", RECORDS] {
            assert_eq!(by_path(&Method::GET, path), Some(Asked::Unknown), "{path}");
        }
    }

    #[test]
    fn a_path_and_a_method_say_what_becomes_of_a_schedule() {
        let asked = |method: Method, more: &str| by_path(&method, &format!("{SCHEDULES}{more}")).unwrap();
        assert_eq!(asked(Method::GET, ""), Asked::ListSchedules);
        assert_eq!(asked(Method::GET, "/n"), Asked::DescribeSchedule("n".to_owned()));
        assert_eq!(asked(Method::PUT, "/n"), Asked::PutSchedule("n".to_owned()));
        assert_eq!(asked(Method::DELETE, "/n"), Asked::DeleteSchedule("n".to_owned()));
        assert_eq!(asked(Method::POST, "/n/run"), Asked::RunSchedule("n".to_owned()));
        assert_eq!(asked(Method::POST, "/n/pause"), Asked::PauseSchedule("n".to_owned()));
        assert_eq!(asked(Method::POST, "/n/resume"), Asked::ResumeSchedule("n".to_owned()));
        for (method, more) in [
            (Method::POST, "/n"),
            (Method::GET, "/"),
            (Method::PUT, ""),
            (Method::POST, "/n/x"),
            (Method::GET, "x"),
        ] {
            assert_eq!(asked(method, more), Asked::Unknown);
        }
    }

    #[test]
    fn rows_that_were_left_out_are_found_below_their_job() {
        let path = format!("{JOBS}/{ARN}/rejects.csv");
        assert_eq!(long_by_path(&Method::GET, &path), Some(AskedLong::Rejects(ARN.to_owned())));
        assert_eq!(long_by_path(&Method::POST, &path), None);
        assert_eq!(long_by_path(&Method::GET, &format!("{JOBS}/rejects.csv")), None);
    }

    #[test]
    fn other_paths_of_the_namespace_are_unknown_and_all_others_are_not_ours() {
        for (method, path) in [
            (Method::GET, "/lade/"),
            (Method::GET, "/lade/v2/jobs"),
            (Method::GET, "/lade/v1/jobs/"),
            (Method::GET, "/lade/v1/jobsx"),
            (Method::POST, "/lade/v1/jobs"),
            (Method::POST, "/lade/v1/jobs/arn"),
            (Method::DELETE, "/lade/v1/jobs/arn"),
            (Method::GET, "/lade/v1/jobs/%ff"),
            (Method::GET, PRUNINGS),
            (Method::GET, ROOT_KEY),
        ] {
            assert_eq!(by_path(&method, path), Some(Asked::Unknown), "{method} {path}");
        }
        for path in ["/", "/lade", "/events", "/bucket/lade/v1/jobs"] {
            assert_eq!(by_path(&Method::GET, path), None, "{path}");
        }
    }
}
