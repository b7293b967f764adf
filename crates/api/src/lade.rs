//! What this server offers beyond the service, under `/lade/v1/`: signed and permitted like the service's own
//! operations, each by the permission of the one that it is nearest to.

pub mod job;

use bytes::Bytes;
use http::Method;
use model::{Arn, Error, ErrorKind};
use percent_encoding::percent_decode_str;

use crate::call::Call;
use crate::door::Api;
use crate::reply::{self, Answer};

const ROOT: &str = "/lade/";
const JOBS: &str = "/lade/v1/jobs";

/// What a request under `/lade/` asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    ListJobs,
    DescribeJob(String),
    CancelJob(String),
    Unknown,
}

impl Asked {
    /// For the log.
    pub fn name(&self) -> &'static str {
        match self {
            Asked::ListJobs => "ListJobs",
            Asked::DescribeJob(_) => "DescribeJob",
            Asked::CancelJob(_) => "CancelJob",
            Asked::Unknown => "unknown",
        }
    }
}

/// What a path below `/lade/` stands for; `None` for all other paths.
pub fn by_path(method: &Method, path: &str) -> Option<Asked> {
    if !path.starts_with(ROOT) {
        return None;
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
        ] {
            assert_eq!(by_path(&method, path), Some(Asked::Unknown), "{method} {path}");
        }
        for path in ["/", "/lade", "/events", "/bucket/lade/v1/jobs"] {
            assert_eq!(by_path(&Method::GET, path), None, "{path}");
        }
    }
}
