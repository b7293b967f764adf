//! Datasets: a new one with its schema, and one with its jobs.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::{self, TYPES, add_tags, text, type_name};
use crate::client::{Answer, Client, Refusal, segment};
use crate::markup::{Moment, fresh_name, number, status, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

struct SchemaChoice {
    arn: String,
    name: String,
}

#[derive(Template)]
#[template(path = "dataset_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    kind: &'a str,
    kind_name: &'static str,
    types: [(&'static str, &'static str); 5],
    name: String,
    /// `new` or `existing`.
    selection: &'a str,
    schema_name: String,
    schema: String,
    schema_arn: &'a str,
    schemas: Vec<SchemaChoice>,
    tags: Vec<(String, String)>,
}

/// A job as a row of a table.
pub struct JobRow {
    pub name: String,
    pub path: String,
    pub mode: String,
    pub status: String,
    pub tone: &'static str,
    pub created: Moment,
    pub rows: String,
    pub reason: Option<String>,
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Show {
    frame: Frame,
    path: String,
    arn: String,
    name: String,
    status: String,
    tone: &'static str,
    created: Moment,
    schema_name: String,
    schema: String,
    imports: Vec<JobRow>,
    exports: Vec<JobRow>,
    takes_records: bool,
    is_exported: bool,
}

pub fn path(group: &str, kind: &str) -> String {
    format!("{}/datasets/{kind}", dataset_group::path(group))
}

/// The ARN of a dataset: its type stands in it, in capital letters.
pub fn arn(visit: &Visit<'_>, group: &str, kind: &str) -> String {
    let group = visit.console.realm.dataset_group(group).to_string();
    format!("{}/{kind}", group.replacen(":dataset-group/", ":dataset/", 1))
}

/// The way to a dataset's page.
pub fn crumbs<'a>(group: &'a str, kind: &str) -> Vec<(&'a str, String)> {
    let mut crumbs = dataset_group::crumbs(group);
    crumbs.push((type_name(kind), path(group, kind)));
    crumbs
}

pub async fn create(visit: &Visit<'_>, group: &str) -> Shown {
    let client = visit.client();
    let given = if visit.is_post() { visit.form.get("type") } else { visit.query.get("type") };
    let kind = TYPES.iter().find(|(word, _)| *word == given).map_or("INTERACTIONS", |(word, _)| word);
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let described =
        client.personalize("DescribeDatasetGroup", json!({ "datasetGroupArn": group_arn })).await?;
    let domain = text(&described["datasetGroup"], "domain");
    let mut problem = None;
    if visit.is_post() {
        match make(visit, &client, &group_arn, &domain, kind).await {
            Ok(()) => return Ok(reply::to(&format!("{}/import", path(group, kind)))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let schemas = eligible(&client, &domain, kind).await?;
    let now_ms = visit.console.clock.now_ms();
    let stem = format!("{group}-{}", kind.to_lowercase().replace('_', "-"));
    let or = |name: &str, fresh: String| visit.form.given(name).map_or(fresh, str::to_owned);
    let page = Create {
        frame: visit.frame("Create dataset", &dataset_group::crumbs(group)),
        problem: problem.as_ref(),
        kind,
        kind_name: type_name(kind),
        types: TYPES,
        name: or("name", stem.clone()),
        selection: visit.form.given("selection").unwrap_or("new"),
        schema_name: or("schema-name", fresh_name(&format!("{stem}-schema"), now_ms)),
        schema: or("schema", default_schema(&domain, kind)),
        schema_arn: visit.form.get("schema-arn"),
        schemas,
        tags: visit.form.tags(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

// A schema that was made for a dataset which then could not be is taken back.
async fn make(
    visit: &Visit<'_>,
    client: &Client<'_>,
    group_arn: &str,
    domain: &str,
    kind: &str,
) -> Answer<()> {
    let form = &visit.form;
    let is_new = form.get("selection") != "existing";
    let schema_arn = if is_new {
        let mut input = json!({ "name": form.get("schema-name"), "schema": form.raw("schema") });
        if !domain.is_empty() {
            input["domain"] = domain.into();
        }
        text(&client.personalize("CreateSchema", input).await?, "schemaArn")
    } else {
        form.get("schema-arn").to_owned()
    };
    let mut input = json!({
        "name": form.get("name"), "datasetGroupArn": group_arn, "datasetType": kind, "schemaArn": schema_arn,
    });
    add_tags(&mut input, &form.tags());
    let made = client.personalize("CreateDataset", input).await;
    if made.is_err() && is_new {
        let _ = client.personalize("DeleteSchema", json!({ "schemaArn": schema_arn })).await;
    }
    made.map(drop)
}

// Schemas of the group's domain whose record is called as the type demands.
async fn eligible(client: &Client<'_>, domain: &str, kind: &str) -> Answer<Vec<SchemaChoice>> {
    let listed = client.personalize("ListSchemas", json!({ "maxResults": 100 })).await?;
    let mut choices = Vec::new();
    for schema in listed["schemas"].as_array().into_iter().flatten() {
        let arn = text(schema, "schemaArn");
        if text(schema, "domain") != domain {
            continue;
        }
        let described = client.personalize("DescribeSchema", json!({ "schemaArn": arn })).await?;
        let document: Value = serde_json::from_str(&text(&described["schema"], "schema")).unwrap_or_default();
        if document["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&record_name(kind))) {
            choices.push(SchemaChoice { arn, name: text(schema, "name") });
        }
    }
    Ok(choices)
}

fn record_name(kind: &str) -> String {
    kind.replace('_', "")
}

/// The schema that the guide gives for a type, of a domain or of none.
fn default_schema(domain: &str, kind: &str) -> String {
    let field = |name: &str, kinds: Value| json!({ "name": name, "type": kinds });
    let word = |name: &str| field(name, json!("string"));
    let category = |name: &str| json!({ "name": name, "type": ["null", "string"], "categorical": true });
    let number = |name: &str, of: &str| field(name, json!(["null", of]));
    let fields = match (kind, domain) {
        ("INTERACTIONS", "") => vec![word("USER_ID"), word("ITEM_ID"), field("TIMESTAMP", json!("long"))],
        ("INTERACTIONS", _) => {
            vec![word("USER_ID"), word("ITEM_ID"), word("EVENT_TYPE"), field("TIMESTAMP", json!("long"))]
        }
        ("ITEMS", "ECOMMERCE") => vec![
            word("ITEM_ID"),
            number("PRICE", "float"),
            json!({ "name": "CATEGORY_L1", "type": ["string"], "categorical": true }),
        ],
        ("ITEMS", "VIDEO_ON_DEMAND") => vec![
            word("ITEM_ID"),
            json!({ "name": "GENRES", "type": ["string"], "categorical": true }),
            field("CREATION_TIMESTAMP", json!("long")),
        ],
        ("ITEMS", _) => {
            vec![word("ITEM_ID"), category("CATEGORY_L1"), number("CREATION_TIMESTAMP", "long")]
        }
        ("USERS", "") => vec![word("USER_ID"), number("AGE", "int"), category("GENDER")],
        ("USERS", _) => vec![word("USER_ID"), category("MEMBERSHIP_STATUS")],
        ("ACTIONS", _) => vec![word("ACTION_ID"), number("VALUE", "long"), category("MEMBERSHIP_LEVEL")],
        _ => vec![word("USER_ID"), word("ACTION_ID"), word("EVENT_TYPE"), field("TIMESTAMP", json!("long"))],
    };
    let name = match kind {
        "INTERACTIONS" => "Interactions",
        "ITEMS" => "Items",
        "USERS" => "Users",
        "ACTIONS" => "Actions",
        _ => "ActionInteractions",
    };
    let schema = json!({
        "type": "record", "name": name, "namespace": "com.amazonaws.personalize.schema", "fields": fields,
        "version": "1.0",
    });
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

pub async fn show(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let client = visit.client();
    let arn = arn(visit, group, kind);
    let described = client.personalize("DescribeDataset", json!({ "datasetArn": arn })).await?;
    let described = &described["dataset"];
    let input = json!({ "schemaArn": described["schemaArn"] });
    let schema = client.personalize("DescribeSchema", input).await?;
    let schema = &schema["schema"];
    let document: Value = serde_json::from_str(&text(schema, "schema")).unwrap_or_default();
    let query = format!("/jobs?datasetArn={}&maxResults=100", segment(&arn));
    let jobs = client.lade(Method::GET, &query).await?;
    let of = |word: &str| {
        let jobs = jobs["jobs"].as_array().into_iter().flatten();
        jobs.filter(|job| job["type"] == word).map(job_row).collect::<Vec<_>>()
    };
    let word = text(described, "status");
    let page = Show {
        frame: visit.frame(type_name(kind), &dataset_group::crumbs(group)),
        path: path(group, kind),
        name: text(described, "name"),
        status: status(&word),
        tone: tone(&word),
        created: Moment::of(&described["creationDateTime"]),
        schema_name: text(schema, "name"),
        schema: serde_json::to_string_pretty(&document).unwrap_or_default(),
        imports: of("import"),
        exports: of("export"),
        takes_records: true,
        is_exported: !matches!(kind, "ACTIONS" | "ACTION_INTERACTIONS"),
        arn,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

/// A row for a job as `/lade/v1/jobs` shows it.
pub fn job_row(job: &Value) -> JobRow {
    let (name, kind, word) = (text(job, "jobName"), text(job, "type"), text(job, "status"));
    let ledger = &job["ledger"];
    let rows = ["written", "rowsKept", "recordsDeleted"].iter().find_map(|member| ledger[member].as_u64());
    JobRow {
        path: format!("/console/jobs/{kind}/{}", segment(&name)),
        mode: text(job, "mode"),
        status: status(&word),
        tone: tone(&word),
        created: Moment::of(&job["createdAt"]),
        rows: rows.or(job["progress"]["rowsDone"].as_u64()).map_or_else(String::new, number),
        reason: job["failureReason"].as_str().map(str::to_owned),
        name,
    }
}

pub async fn delete(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let arn = arn(visit, group, kind);
    visit.client().personalize("DeleteDataset", json!({ "datasetArn": arn })).await?;
    Ok(reply::to(&dataset_group::path(group)))
}
