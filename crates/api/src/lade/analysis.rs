//! The analysis of a dataset group's data: begun, and what came of the last one.

use access::trail;
use catalog::{AnalysisRow, JobRow, Page};
use model::{Arn, DatasetType, Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::door::Api;
use crate::permission::authorize_on;
use crate::reply::{Answer, Seconds, not_found};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    dataset_group_arn: Arn,
}

/// How it stands with the analysis that was begun last, and what came of the last one that was done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    dataset_group_arn: Arn,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    started_at: Option<Seconds>,
    /// Null while it goes on.
    finished_at: Option<Seconds>,
    progress: Option<Progress>,
    /// What `datasets` and `insights` are of, which is an earlier analysis while one goes on.
    result: Option<Made>,
    datasets: Value,
    insights: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    rows_done: u64,
    /// Null while nobody knows.
    rows_total: Option<u64>,
}

/// When a result was made and of what.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    started_at: Seconds,
    finished_at: Seconds,
    /// When the records were what was analyzed.
    taken_at: Seconds,
    rows: u64,
}

/// Begins an analysis, unless one of the group is open; permission is that to describe the group, and that to export on
/// each of its datasets.
///
/// # Errors
/// `NotFound` and `InUse` for the group; `Invalid` when it has no dataset.
pub async fn begin(api: &Api, call: &Call) -> Answer<Shown> {
    let wrong = |_| Error::invalid("The body must be JSON with the member datasetGroupArn.");
    let Input { dataset_group_arn: group } = serde_json::from_slice(&call.body).map_err(wrong)?;
    authorize(api, call, &group).await?;
    for dataset in api.catalog.datasets(Some(&group), &Page::first(DatasetType::ALL.len())).await? {
        authorize_on(api, call, "personalize:CreateDatasetExportJob", &dataset.arn).await?;
    }
    api.catalog.create_analysis(&api.realm.analysis(&api.clock.hex(32)), &group).await?;
    api.bell.notify_one();
    show(api, group).await
}

/// Shows what is known of a group's data; permission is that to describe the group.
///
/// # Errors
/// `NotFound` for the group; `Invalid` when the key of the group, under which the result is sealed, can't be used.
pub async fn describe(api: &Api, call: &Call) -> Answer<Shown> {
    let group = group_of(call.query.as_deref())?;
    authorize(api, call, &group).await?;
    show(api, group).await
}

async fn authorize(api: &Api, call: &Call, group: &Arn) -> Result<()> {
    trail::resource(group.as_str());
    authorize_on(api, call, "personalize:DescribeDatasetGroup", group).await
}

fn group_of(query: Option<&str>) -> Result<Arn> {
    let value = query.and_then(|query| query.strip_prefix("datasetGroupArn="));
    let text = value.and_then(|value| percent_decode_str(value).decode_utf8().ok());
    let arn = text.and_then(|text| Arn::parse(&text));
    arn.ok_or_else(|| Error::invalid("The only parameter is datasetGroupArn, the ARN of a dataset group."))
}

async fn show(api: &Api, group: Arn) -> Answer<Shown> {
    if api.catalog.dataset_group(&group).await?.is_none() {
        return Err(not_found("dataset group", &group));
    }
    let (job, last) = api.catalog.analysis(&group).await?;
    let mut result = match &last {
        Some(row) => read(api, &group, row).await?,
        None => Value::Null,
    };
    let mut list = |member: &str| match result.get_mut(member).map(Value::take) {
        Some(list) => list,
        None => Value::Array(Vec::new()),
    };
    let (datasets, insights) = (list("datasets"), list("insights"));
    let ended = job.as_ref().filter(|job| job.status.is_terminal());
    Ok(Shown {
        status: job.as_ref().map_or("NONE", |job| job.status.as_str()),
        started_at: job.as_ref().map(|job| Seconds(job.created_ms)),
        finished_at: ended.map(|job| Seconds(job.updated_ms)),
        progress: job.as_ref().map(progress),
        failure_reason: job.and_then(|job| job.failure_reason),
        result: last.map(made),
        dataset_group_arn: group,
        datasets,
        insights,
    })
}

async fn read(api: &Api, group: &Arn, row: &AnalysisRow) -> Result<Value> {
    let damaged = || Error::new(ErrorKind::Corrupt, "what came of an analysis can't be read");
    let keys = api.access.data_keys(row.dataset_id, group).await?;
    let text = keys.read(&row.result, group.as_str().as_bytes()).map_err(|_| damaged())?;
    serde_json::from_slice(&text).map_err(|cause| damaged().caused_by(cause))
}

fn progress(job: &JobRow) -> Progress {
    let (done, total) = (job.progress.rows_done, job.progress.rows_total);
    Progress { rows_done: done, rows_total: Some(total).filter(|total| *total > 0) }
}

fn made(row: AnalysisRow) -> Made {
    Made {
        started_at: Seconds(row.started_ms),
        finished_at: Seconds(row.finished_ms),
        taken_at: Seconds(row.taken_ms),
        rows: row.rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_only_parameter() {
        let arn = "arn:aws:personalize:us-east-1:000000000000:dataset-group/g";
        let encoded = arn.replace(':', "%3A").replace('/', "%2F");
        for text in [arn, &encoded] {
            assert_eq!(group_of(Some(&format!("datasetGroupArn={text}"))).unwrap().as_str(), arn);
        }
        for query in [None, Some(""), Some("datasetGroupArn="), Some("datasetGroupArn=g"), Some("group=g")] {
            assert_eq!(group_of(query).unwrap_err().kind, ErrorKind::Invalid, "{query:?}");
        }
    }
}
