//! *Dataset overview*: what a dataset holds, what is put to it, its jobs, and some of its records.

mod activity;
mod preview;

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::confirm::Question;
use super::dataset_group::{self, text, type_name};
use super::job_row::{self, JobTable};
use super::{Frame, dataset, dataset_group::path as group_path};
use crate::client::{Answer, Client, Refusal, aside, segment};
use crate::markup::{Moment, number, size, status, tone};
use crate::plot::Plot;
use crate::reply;
use crate::visit::{Shown, Visit};
use preview::Preview;

/// Rows of a table of jobs on this page.
const JOBS: usize = 10;

/// What a dataset holds now.
pub struct Contents {
    pub bulk: String,
    pub put: String,
    pub waiting: String,
    pub at_rest: String,
    pub files: String,
    pub puts_today: String,
    pub last_put: Moment,
}

impl Contents {
    pub fn read(told: &Value) -> Contents {
        let count = |value: &Value| number(value.as_u64().unwrap_or_default());
        let rows = &told["rows"];
        Contents {
            bulk: count(&rows["bulk"]),
            put: count(&rows["put"]),
            waiting: count(&rows["waiting"]),
            at_rest: size(told["bytesAtRest"].as_u64().unwrap_or_default()),
            files: count(&told["files"]),
            puts_today: count(&told["putsToday"]),
            last_put: Moment::of(&told["lastPutAt"]),
        }
    }

    /// Asks for what a dataset holds.
    pub async fn of(client: &Client<'_>, arn: &str) -> Answer<Contents> {
        let told = client.lade(Method::GET, &format!("/datasets/{}", segment(arn))).await?;
        Ok(Contents::read(&told))
    }
}

struct Schema {
    name: String,
    document: String,
}

/// A table of jobs, and the ways to its other pages.
struct Jobs {
    table: JobTable,
    next: Option<String>,
    is_first: bool,
}

#[derive(Template)]
#[template(path = "dataset_overview.html")]
struct Show {
    frame: Frame,
    path: String,
    arn: String,
    kind_name: &'static str,
    name: String,
    status: String,
    tone: &'static str,
    created: Moment,
    update: Option<(String, &'static str, String)>,
    tracking_id: Option<String>,
    contents: Answer<Contents>,
    plots: Answer<Vec<Plot>>,
    schema: Answer<Schema>,
    imports: Answer<Jobs>,
    exports: Answer<Jobs>,
    /// A job that was just made.
    made: String,
    takes_new_schema: bool,
    is_exported: bool,
    has_open: bool,
    preview: Option<Answer<Preview>>,
    id: String,
    id_name: &'static str,
    origin: String,
}

pub async fn show(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let arn = dataset::arn(visit, group, kind);
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
    let described = &described["dataset"];
    let word = text(described, "status");
    let imports = aside(jobs(visit, &arn, "IMPORT", "imports").await)?;
    let exports = aside(jobs(visit, &arn, "EXPORT", "exports").await)?;
    let is_open = |jobs: &Answer<Jobs>| jobs.as_ref().is_ok_and(|jobs| jobs.table.has_open);
    let page = Show {
        frame: visit.frame("Dataset overview", &crumbs(group)),
        path: dataset::path(group, kind),
        kind_name: type_name(kind),
        name: text(described, "name"),
        status: status(&word),
        tone: tone(&word),
        created: Moment::of(&described["creationDateTime"]),
        update: update(&described["latestDatasetUpdate"]),
        tracking_id: described["trackingId"].as_str().map(str::to_owned),
        contents: aside(Contents::of(&client, &arn).await)?,
        plots: aside(activity::plots(visit, &arn).await)?,
        schema: aside(schema(&client, &described["schemaArn"]).await)?,
        has_open: is_open(&imports) || is_open(&exports),
        imports,
        exports,
        made: visit.query.get("made").to_owned(),
        takes_new_schema: matches!(kind, "ITEMS" | "USERS"),
        is_exported: !matches!(kind, "ACTIONS" | "ACTION_INTERACTIONS"),
        preview: preview::asked(visit, &arn).await?,
        id: visit.query.get("id").to_owned(),
        id_name: id_name(kind),
        origin: visit.query.get("origin").to_owned(),
        arn,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

// The page stands below the list of datasets.
fn crumbs(group: &str) -> Vec<(&str, String)> {
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push(("Datasets", format!("{}/datasets", group_path(group))));
    crumbs
}

/// The column that tells what a record is about.
fn id_name(kind: &str) -> &'static str {
    match kind {
        "ITEMS" => "ITEM_ID",
        "ACTIONS" => "ACTION_ID",
        _ => "USER_ID",
    }
}

fn update(update: &Value) -> Option<(String, &'static str, String)> {
    let word = update["status"].as_str().filter(|word| *word != "ACTIVE")?;
    Some((status(word), tone(word), text(update, "failureReason")))
}

async fn schema(client: &Client<'_>, arn: &Value) -> Answer<Schema> {
    let schema = client.personalize("DescribeSchema", json!({ "schemaArn": arn })).await?;
    let schema = &schema["schema"];
    let document: Value = serde_json::from_str(&text(schema, "schema")).unwrap_or_default();
    let document = serde_json::to_string_pretty(&document).unwrap_or_default();
    Ok(Schema { name: text(schema, "name"), document })
}

async fn jobs(visit: &Visit<'_>, arn: &str, kind: &str, parameter: &str) -> Answer<Jobs> {
    let query = format!("datasetArn={}&type={kind}&maxResults={JOBS}", segment(arn));
    let token = visit.query.given(parameter);
    let table = JobTable::read(visit, &query, token).await?;
    let next = table.next.as_deref().map(|token| format!("?{parameter}={}#{parameter}", segment(token)));
    Ok(Jobs { table, next, is_first: token.is_none() })
}

/// What the script of the page asks for while jobs run.
pub async fn live(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    job_row::live(visit, "datasetArn", &dataset::arn(visit, group, kind)).await
}

/// Asks, telling what is lost, then deletes a dataset with all that it holds.
pub async fn delete(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let (client, arn) = (visit.client(), dataset::arn(visit, group, kind));
    let mut problem: Option<Refusal> = None;
    if visit.is_post() {
        match client.personalize("DeleteDataset", json!({ "datasetArn": arn })).await {
            Ok(_) => return Ok(reply::to(&format!("{}/datasets", group_path(group)))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let lost = match aside(Contents::of(&client, &arn).await)? {
        Ok(Contents { bulk, put, waiting, .. }) => {
            format!("These records are lost: {bulk} bulk, {put} put, {waiting} put and not yet at rest.")
        }
        Err(refusal) => {
            format!("All its records are lost; how many these are can't be told: {}", refusal.message)
        }
    };
    let gone = format!("The dataset {} of {group} is deleted.", type_name(kind));
    let kept = "Files of earlier exports stay where they are, and its jobs can still be looked at.";
    Question {
        frame: visit.frame("Delete dataset", &dataset::crumbs(group, kind)),
        problem: problem.as_ref(),
        losses: vec![gone, lost, kept.to_owned()],
        word: "Delete",
        back: dataset::path(group, kind),
        call: Some(("aws personalize delete-dataset --dataset-arn {arn}", arn)),
        fields: vec![],
    }
    .ask()
}
