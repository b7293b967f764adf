//! *Replace schema* of a dataset of items or users.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::dataset_create::{SchemaChoice, choose, eligible};
use super::dataset_group::text;
use super::{Frame, dataset};
use crate::client::{Answer, Client, Refusal};
use crate::markup::{Moment, fresh_name, status, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

#[derive(Template)]
#[template(path = "replace_schema.html")]
struct Replace<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    dataset_arn: &'a str,
    domain: &'a str,
    /// The service replaces the schemas of items and users alone.
    is_possible: bool,
    selection: &'a str,
    schema_name: String,
    schema_prefix: String,
    schema: String,
    schema_arn: &'a str,
    schemas: Vec<SchemaChoice>,
    update: Option<Update>,
    back: String,
}

/// The latest update of the dataset.
struct Update {
    status: String,
    tone: &'static str,
    schema_name: String,
    failure: Option<String>,
    created: Moment,
}

pub async fn replace(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let dataset_arn = dataset::arn(visit, group, kind);
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": dataset_arn })).await?;
    let described = &described["dataset"];
    let present_arn = text(described, "schemaArn");
    let present = client.personalize("DescribeSchema", json!({ "schemaArn": present_arn })).await?;
    let present = &present["schema"];
    let domain = text(present, "domain");
    let mut problem = None;
    if visit.is_post() {
        match make(visit, &client, &dataset_arn, &domain).await {
            Ok(()) => return Ok(reply::to(&dataset::path(group, kind))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let mut schemas = eligible(&client, &domain, kind).await?;
    schemas.retain(|choice| choice.arn != present_arn);
    let stem = format!("{group}-{}-schema", kind.to_lowercase().replace('_', "-"));
    let or = |name: &str, fresh: String| form.given(name).map_or(fresh, str::to_owned);
    let page = Replace {
        frame: visit.frame("Replace schema", &dataset::crumbs(group, kind)),
        problem: problem.as_ref(),
        dataset_arn: &dataset_arn,
        domain: &domain,
        is_possible: matches!(kind, "ITEMS" | "USERS"),
        selection: form.given("selection").unwrap_or("new"),
        schema_name: or("schema-name", fresh_name(&stem, visit.console.clock.now_ms())),
        schema_prefix: visit.console.realm.schema("").to_string(),
        schema: if visit.is_post() {
            form.raw("schema").to_owned()
        } else {
            crate::markup::pretty(&text(present, "schema"))
        },
        schema_arn: form.get("schema-arn"),
        schemas,
        update: update(&described["latestDatasetUpdate"]),
        back: dataset::path(group, kind),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

async fn make(visit: &Visit<'_>, client: &Client<'_>, dataset_arn: &str, domain: &str) -> Answer<()> {
    let chosen = choose(&visit.form, client, domain, visit.form.raw("schema")).await?;
    let input = json!({ "datasetArn": dataset_arn, "schemaArn": chosen.arn });
    let done = client.personalize("UpdateDataset", input).await;
    chosen.or_take_back(client, done).await
}

fn update(update: &Value) -> Option<Update> {
    let word = text(update, "status");
    let arn = text(update, "schemaArn");
    update.is_object().then(|| Update {
        status: status(&word),
        tone: tone(&word),
        schema_name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        failure: update["failureReason"].as_str().map(str::to_owned),
        created: Moment::of(&update["creationDateTime"]),
    })
}
