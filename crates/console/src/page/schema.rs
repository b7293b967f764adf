//! Schemas: the list, and one with its JSON.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::Frame;
use super::confirm::Question;
use super::dataset_group::text;
use crate::client::segment;
use crate::markup::Moment;
use crate::reply;
use crate::visit::{Shown, Visit};

const HOME: &str = "/console/schemas";

struct SchemaRow {
    name: String,
    path: String,
    domain: String,
    created: Moment,
}

#[derive(Template)]
#[template(path = "schemas.html")]
struct List {
    frame: Frame,
    rows: Vec<SchemaRow>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "schema.html")]
struct Show {
    frame: Frame,
    path: String,
    arn: String,
    domain: String,
    created: Moment,
    schema: String,
}

fn path(name: &str) -> String {
    format!("{HOME}/{}", segment(name))
}

pub async fn list(visit: &Visit<'_>) -> Shown {
    let mut input = json!({ "maxResults": 100 });
    if let Some(token) = visit.query.given("next") {
        input["nextToken"] = token.into();
    }
    let listed = visit.client().personalize("ListSchemas", input).await?;
    let row = |schema: &Value| {
        let name = text(schema, "name");
        let created = Moment::of(&schema["creationDateTime"]);
        SchemaRow { path: path(&name), domain: domain(schema), created, name }
    };
    let page = List {
        frame: visit.frame("Schemas", &[]),
        rows: listed["schemas"].as_array().into_iter().flatten().map(row).collect(),
        next: listed["nextToken"].as_str().map(segment),
    };
    Ok(reply::page(StatusCode::OK, &page))
}

fn domain(schema: &Value) -> String {
    match schema["domain"].as_str() {
        Some("ECOMMERCE") => "E-commerce".to_owned(),
        Some("VIDEO_ON_DEMAND") => "Video on demand".to_owned(),
        Some(other) => other.to_owned(),
        None => "Custom".to_owned(),
    }
}

pub async fn show(visit: &Visit<'_>, name: &str) -> Shown {
    let arn = visit.console.realm.schema(name).to_string();
    let described = visit.client().personalize("DescribeSchema", json!({ "schemaArn": arn })).await?;
    let described = &described["schema"];
    let page = Show {
        frame: visit.frame(name, &[("Schemas", HOME.to_owned())]),
        path: path(name),
        domain: domain(described),
        created: Moment::of(&described["creationDateTime"]),
        schema: crate::markup::pretty(&text(described, "schema")),
        arn,
    };
    Ok(reply::page(StatusCode::OK, &page))
}

pub async fn delete(visit: &Visit<'_>, name: &str) -> Shown {
    let arn = visit.console.realm.schema(name).to_string();
    let mut problem = None;
    if visit.is_post() {
        match visit.client().personalize("DeleteSchema", json!({ "schemaArn": arn })).await {
            Ok(_) => return Ok(reply::to(HOME)),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let crumbs = [("Schemas", HOME.to_owned()), (name, path(name))];
    Question {
        frame: visit.frame(&format!("Delete schema {name}?"), &crumbs),
        problem: problem.as_ref(),
        losses: vec!["A schema that a dataset has can't be deleted.".to_owned()],
        word: "Delete schema",
        back: path(name),
        call: Some(("aws personalize delete-schema --schema-arn {arn}", arn)),
        fields: vec![],
    }
    .ask()
}
