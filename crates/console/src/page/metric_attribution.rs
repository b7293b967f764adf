//! The metric attribution of a group: what it watches, where its reports are, and its end.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::Frame;
use super::confirm::Question;
use super::dataset_group::{self, text};
use crate::client::{Answer, Client, Refusal, segment};
use crate::markup::{Moment, status, tone};
use crate::metric::Metric;
use crate::reply;
use crate::visit::{Shown, Visit};

#[derive(Template)]
#[template(path = "metric_attribution.html")]
struct Show {
    frame: Frame,
    path: String,
    attribution: Option<Attribution>,
    metrics: Vec<Metric>,
    /// That the metrics may not be seen.
    problem: Option<Refusal>,
}

/// A metric attribution as the service describes it.
pub struct Attribution {
    pub arn: String,
    pub name: String,
    pub status: String,
    pub tone: &'static str,
    pub created: Moment,
    pub updated: Moment,
    pub failure: Option<String>,
    pub role_arn: String,
    pub output: Option<String>,
    pub key_arn: Option<String>,
    /// Where the bucket's page shows the reports.
    pub reports: Option<String>,
}

pub fn home(group: &str) -> String {
    format!("{}/metrics", dataset_group::path(group))
}

pub fn crumbs(group: &str) -> Vec<(&str, String)> {
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push(("Metric attribution", home(group)));
    crumbs
}

/// The metric attribution of a group, if it has one: there is one at most.
pub async fn find(visit: &Visit<'_>, client: &Client<'_>, group: &str) -> Answer<Option<Attribution>> {
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let input = json!({ "datasetGroupArn": group_arn, "maxResults": 1 });
    let listed = client.personalize("ListMetricAttributions", input).await?;
    let Some(found) = listed["metricAttributions"].as_array().and_then(|all| all.first()) else {
        return Ok(None);
    };
    let input = json!({ "metricAttributionArn": found["metricAttributionArn"] });
    let described = client.personalize("DescribeMetricAttribution", input).await?;
    Ok(Some(read(&described["metricAttribution"])))
}

fn read(described: &Value) -> Attribution {
    let word = text(described, "status");
    let config = &described["metricsOutputConfig"];
    let destination = &config["s3DataDestination"];
    let output = destination["path"].as_str().map(str::to_owned);
    Attribution {
        arn: text(described, "metricAttributionArn"),
        name: text(described, "name"),
        status: status(&word),
        tone: tone(&word),
        created: Moment::of(&described["creationDateTime"]),
        updated: Moment::of(&described["lastUpdatedDateTime"]),
        failure: described["failureReason"].as_str().map(str::to_owned),
        role_arn: text(config, "roleArn"),
        reports: output.as_deref().and_then(reports),
        output,
        key_arn: destination["kmsKeyArn"].as_str().map(str::to_owned),
    }
}

/// The metrics of an attribution; there are ten at most.
pub async fn metrics(client: &Client<'_>, arn: &str) -> Answer<Vec<Metric>> {
    let input = json!({ "metricAttributionArn": arn, "maxResults": 100 });
    let listed = client.personalize("ListMetricAttributionMetrics", input).await?;
    Ok(listed["metrics"].as_array().into_iter().flatten().filter_map(Metric::read).collect())
}

// The page of a bucket at the folder that reports are written to.
fn reports(output: &str) -> Option<String> {
    let (bucket, key) = output.strip_prefix("s3://")?.split_once('/').unwrap_or((&output[5..], ""));
    let folder = if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
    Some(format!("{}?prefix={}", super::bucket::path(bucket), segment(&folder)))
}

pub async fn show(visit: &Visit<'_>, group: &str) -> Shown {
    let client = visit.client();
    let attribution = find(visit, &client, group).await?;
    let listed = match &attribution {
        Some(attribution) => metrics(&client, &attribution.arn).await,
        None => Ok(Vec::new()),
    };
    let (metrics, problem) = match listed {
        Ok(metrics) => (metrics, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let frame = visit.frame("Metric attribution", &dataset_group::crumbs(group));
    Ok(reply::page(StatusCode::OK, &Show { frame, path: home(group), attribution, metrics, problem }))
}

pub async fn delete(visit: &Visit<'_>, group: &str) -> Shown {
    let client = visit.client();
    let Some(attribution) = find(visit, &client, group).await? else {
        return Ok(reply::to(&home(group)));
    };
    let mut problem = None;
    if visit.is_post() {
        let input = json!({ "metricAttributionArn": attribution.arn });
        match client.personalize("DeleteMetricAttribution", input).await {
            Ok(_) => return Ok(reply::to(&home(group))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let losses = [
        "Its metrics go with it, and import jobs publish no further reports.",
        "Reports that were written stay in their bucket.",
    ];
    Question {
        frame: visit.frame(&format!("Delete metric attribution {}?", attribution.name), &crumbs(group)),
        problem: problem.as_ref(),
        losses: losses.map(str::to_owned).into(),
        word: "Delete metric attribution",
        back: home(group),
        call: Some((
            "aws personalize delete-metric-attribution --metric-attribution-arn {arn}",
            attribution.arn.clone(),
        )),
        fields: vec![],
    }
    .ask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_in_the_folder_of_their_bucket() {
        let of = |output: &str| reports(output).unwrap_or_default();
        assert_eq!(of("s3://b/a b/c"), "/console/buckets/b?prefix=a%20b%2Fc%2F");
        assert_eq!(of("s3://b/a/"), "/console/buckets/b?prefix=a%2F");
        assert_eq!(
            (of("s3://b/"), of("s3://b")),
            ("/console/buckets/b?prefix=".into(), "/console/buckets/b?prefix=".into())
        );
        assert_eq!(of("https://b/a"), "");
    }
}
