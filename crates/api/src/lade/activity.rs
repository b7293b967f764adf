//! What goes on in a dataset: puts minute by minute, how many records it had, and its last jobs.

use std::collections::BTreeMap;

use catalog::{DatasetRow, EndedJob, JobKind, Point};
use model::{Arn, Error, ErrorKind, Result};
use serde::Serialize;

use super::dataset::MINUTE_MS;
use super::query::parameters;
use crate::call::Call;
use crate::door::Api;
use crate::permission::{authorize_any, authorize_on};
use crate::reply::{Answer, Seconds, not_found};

const MINUTES: i64 = 60;
const MINUTES_MAX: i64 = 24 * 60;
const JOBS_MAX: u32 = 100;

#[derive(Serialize)]
pub struct Activity {
    /// One for each minute, the one that has begun included.
    puts: Vec<Puts>,
    rows: Vec<Rows>,
    jobs: Vec<Job>,
}

#[derive(Serialize)]
struct Puts {
    /// When it began.
    minute: Seconds,
    records: u64,
}

/// Records in runs as they arrived.
#[derive(Serialize)]
struct Rows {
    at: Seconds,
    bulk: u64,
    put: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    job_arn: Arn,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    created_at: Seconds,
    /// From its creation to its end.
    seconds: Seconds,
    rows: u64,
}

/// Shows what went on in a dataset; permission is that to describe it, and for jobs of a kind that to list them, without
/// which they are left out.
///
/// # Errors
/// `NotFound` for the dataset; `Invalid` for the query.
pub async fn show(api: &Api, call: &Call, arn: &Arn) -> Answer<Activity> {
    authorize_on(api, call, "personalize:DescribeDataset", arn).await?;
    let minutes = read_query(call.query.as_deref())?;
    let dataset = api.catalog.dataset(arn).await?.ok_or_else(|| not_found("dataset", arn))?;
    let rows = api.catalog.history(dataset.id).await?;
    Ok(Activity {
        puts: puts(api, &dataset, minutes).await?,
        rows: rows.into_iter().map(Rows::from).collect(),
        jobs: jobs(api, call, &dataset).await?,
    })
}

impl From<Point> for Rows {
    fn from(Point { at_ms, bulk, put }: Point) -> Rows {
        Rows { at: Seconds(at_ms), bulk, put }
    }
}

impl From<EndedJob> for Job {
    fn from(job: EndedJob) -> Job {
        Job {
            job_arn: job.arn,
            kind: job.kind.as_str(),
            status: job.status.as_str(),
            created_at: Seconds(job.created_ms),
            seconds: Seconds(job.ended_ms - job.created_ms),
            rows: job.rows,
        }
    }
}

async fn puts(api: &Api, dataset: &DatasetRow, minutes: i64) -> Result<Vec<Puts>> {
    let last = api.clock.now_ms().div_euclid(MINUTE_MS);
    let from = last + 1 - minutes;
    let unwritten = api.targets.counts.unwritten().await;
    let mut records: BTreeMap<i64, u64> = (from..=last).map(|minute| (minute, 0)).collect();
    let counts = unwritten.of(dataset.id).into_iter().map(|count| (count.minute, count.records));
    for (minute, more) in api.catalog.put_counts(dataset.id, from).await?.into_iter().chain(counts) {
        records.entry(minute).and_modify(|records| *records += more);
    }
    let puts = |(minute, records)| Puts { minute: Seconds(minute * MINUTE_MS), records };
    Ok(records.into_iter().map(puts).collect())
}

async fn jobs(api: &Api, call: &Call, dataset: &DatasetRow) -> Result<Vec<Job>> {
    let imports = may(api, call, "personalize:ListDatasetImportJobs").await?;
    let exports = may(api, call, "personalize:ListDatasetExportJobs").await?;
    let jobs = api.catalog.ended_jobs(dataset, JOBS_MAX).await?;
    let is_shown = |job: &EndedJob| if job.kind == JobKind::Import { imports } else { exports };
    Ok(jobs.into_iter().filter(is_shown).map(Job::from).collect())
}

async fn may(api: &Api, call: &Call, action: &str) -> Result<bool> {
    match authorize_any(api, call, action).await {
        Ok(()) => Ok(true),
        Err(denial) if denial.kind == ErrorKind::Denied => Ok(false),
        Err(cause) => Err(cause),
    }
}

fn read_query(text: Option<&str>) -> Result<i64> {
    let mut minutes = MINUTES;
    for (name, value) in parameters(text) {
        if name != "minutes" {
            return Err(Error::invalid(format!("There is no parameter {name}; there is minutes.")));
        }
        let found = value.parse().ok().filter(|minutes| (1..=MINUTES_MAX).contains(minutes));
        let must = || {
            let text =
                format!("The parameter minutes must be a number from 1 to {MINUTES_MAX}, and is {value}.");
            Error::invalid(text)
        };
        minutes = found.ok_or_else(must)?;
    }
    Ok(minutes)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{Fixture, body};

    /// The minute in which the clock of a fixture begins.
    const BEGIN: i64 = 1_790_000_000 / 60 * 60;

    async fn ask(f: &Fixture, path: &str) -> (u16, Value) {
        let root = access::Principal::Root { arn: f.realm.root() };
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let response = f.send_query(root, Method::GET, path, query).await;
        (response.status().as_u16(), body(&response))
    }

    async fn put(f: &Fixture, dataset: &str) {
        let items = json!([{"itemId": "i", "properties": r#"{"price": 1}"#}]);
        assert_eq!(f.put("/items", json!({"datasetArn": dataset, "items": items})).await.0, 200);
    }

    #[tokio::test]
    async fn puts_are_told_minute_by_minute_whether_they_are_written_down_or_not() {
        let f = Fixture::new().await;
        let dataset = f.items().await;
        put(&f, &dataset).await;
        f.api.write_put_counts().await.unwrap();
        put(&f, &dataset).await;
        f.clock.advance_ms(2 * MINUTE_MS);
        put(&f, &dataset).await;
        let path = format!("/lade/v1/datasets/{dataset}/activity");
        let (status, told) = ask(&f, &format!("{path}?minutes=4")).await;
        let minute = |n: i64, records: u64| json!({"minute": BEGIN + 60 * n, "records": records});
        let puts = json!([minute(-1, 0), minute(0, 2), minute(1, 0), minute(2, 1)]);
        assert_eq!((status, told), (200, json!({"puts": puts, "rows": [], "jobs": []})));
        let encoded = path.replace(&dataset, &dataset.replace(':', "%3A").replace('/', "%2F"));
        let (_, told) = ask(&f, &encoded).await;
        assert_eq!(told["puts"].as_array().unwrap().len(), 60);
        let (_, told) = ask(&f, &format!("{path}?minutes=2")).await;
        assert_eq!(told["puts"], json!([minute(1, 0), minute(2, 1)]));
    }

    #[tokio::test]
    async fn counts_of_minutes_are_kept_for_a_week() {
        let f = Fixture::new().await;
        let dataset = f.items().await;
        put(&f, &dataset).await;
        f.api.write_put_counts().await.unwrap();
        let id = f.catalog.dataset(&Arn::parse(&dataset).unwrap()).await.unwrap().unwrap().id;
        for (days, kept) in [(6, 1), (1, 2), (1, 2)] {
            f.clock.advance_ms(days * 24 * 60 * MINUTE_MS + 1);
            put(&f, &dataset).await;
            f.api.write_put_counts().await.unwrap();
            let counts = f.catalog.put_counts(id, 0).await.unwrap();
            assert_eq!(counts.len(), kept + 1, "{counts:?}");
        }
    }

    #[tokio::test]
    async fn what_there_is_not_is_refused() {
        let f = Fixture::new().await;
        let dataset = f.items().await;
        for query in ["minutes=0", "minutes=1441", "minutes=x", "hours=1"] {
            let (status, _) = ask(&f, &format!("/lade/v1/datasets/{dataset}/activity?{query}")).await;
            assert_eq!(status, 400, "{query}");
        }
        assert_eq!(ask(&f, &format!("/lade/v1/datasets/{dataset}2/activity")).await.0, 404);
        let path = format!("/lade/v1/datasets/{dataset}/activity");
        let response = f.send_query(f.session(), Method::GET, &path, None).await;
        assert_eq!(response.status(), 403);
    }
}
