//! *Create dataset export job*, field by field as it is documented, with what this server has beyond that.

mod options;

use access::S3Location;
use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::dataset_group::add_tags;
use super::dataset_overview::Contents;
use super::role_choice::{self, RoleChoice, chosen};
use super::{Frame, dataset};
use crate::api_call;
use crate::client::{Answer, Refusal, aside, segment};
use crate::form::Form;
use crate::markup::fresh_name;
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};
use options::{Choice, Typed};

const OPERATION: &str = "CreateDatasetExportJob";

/// The words of the console for the modes, and what each takes.
const MODES: [(&str, &str, &str); 3] = [
    ("BULK", "Bulk", "only data that was imported in bulk, by dataset import jobs"),
    ("PUT", "Incremental", "only data that was put, by the console or PutEvents, PutUsers and PutItems"),
    ("ALL", "Both", "all of the data in the dataset"),
];

#[derive(Template)]
#[template(path = "export_job_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    preview_path: String,
    name: String,
    role: &'a str,
    role_arn: &'a str,
    roles: Vec<RoleChoice>,
    path: &'a str,
    key_arn: &'a str,
    mode: &'a str,
    modes: [(&'static str, &'static str, &'static str); 3],
    contents: Answer<Contents>,
    choices: Vec<Choice>,
    typed: Vec<Typed>,
    has_options: bool,
    tags: Vec<(String, String)>,
    first: String,
    command: String,
    input: String,
}

pub async fn create(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let dataset_arn = dataset::arn(visit, group, kind);
    let mut problem = None;
    if visit.is_post() {
        match client.personalize(OPERATION, input(form, &dataset_arn, kind)).await {
            Ok(_) => {
                let made = segment(form.get("name"));
                return Ok(reply::to(&format!("{}?made={made}#exports", dataset::path(group, kind))));
            }
            Err(refusal) => problem = Some(refusal),
        }
    }
    let name = match form.given("name") {
        Some(name) => name.to_owned(),
        None => fresh_name("export", visit.console.clock.now_ms()),
    };
    let roles = role_choice::trusting(&client).await?;
    let shown = as_shown(form, &name, roles.first());
    let made = input(&shown, &dataset_arn, kind);
    let page = Create {
        frame: visit.frame("Create dataset export job", &dataset::crumbs(group, kind)),
        problem: problem.as_ref(),
        preview_path: format!("{}/export/preview", dataset::path(group, kind)),
        role: form.get("role"),
        role_arn: form.get("role-arn"),
        roles,
        path: form.get("path"),
        key_arn: form.get("key-arn"),
        mode: form.given("mode").unwrap_or("ALL"),
        modes: MODES,
        contents: aside(Contents::of(&client, &dataset_arn).await)?,
        choices: options::choices(form),
        typed: options::typed(form),
        has_options: !options::tags(form, kind).is_empty(),
        tags: form.tags(),
        first: first(&shown, kind),
        command: api_call::command(OPERATION, &made),
        input: api_call::pretty(&made),
        name,
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

/// What the page's script asks for while somebody types.
pub fn preview(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let form = &visit.query;
    let mut told = api_call::boxes(OPERATION, &input(form, &dataset::arn(visit, group, kind), kind));
    told["first"] = first(form, kind).into();
    Ok(reply::json(&told))
}

// What a browser would send of the form as it is first shown.
fn as_shown(form: &Form, name: &str, role: Option<&RoleChoice>) -> Form {
    let mut shown = form.clone();
    shown.fill("name", name);
    shown.fill("mode", "ALL");
    shown.fill("role", role.map_or(role_choice::CUSTOM, |role| &role.arn));
    shown
}

fn input(form: &Form, dataset_arn: &str, kind: &str) -> Value {
    let mut destination = json!({ "path": form.get("path") });
    if let Some(key) = form.given("key-arn") {
        destination["kmsKeyArn"] = key.into();
    }
    let mut input = json!({
        "jobName": form.get("name"), "datasetArn": dataset_arn, "roleArn": chosen(form),
        "ingestionMode": form.get("mode"), "jobOutput": { "s3DataDestination": destination },
    });
    let tags: Vec<(String, String)> = options::tags(form, kind).into_iter().chain(form.tags()).collect();
    add_tags(&mut input, &tags);
    input
}

/// The first object that the job would write.
fn first(form: &Form, kind: &str) -> String {
    if form.get("path").is_empty() {
        return String::new();
    }
    match S3Location::parse(form.get("path")) {
        Some(place) if form.get("opt-output") == "digest" => {
            format!(
                "none: the job only tells what its files in s3://{}/{} would be",
                place.bucket,
                place.prefix()
            )
        }
        Some(place) => {
            let suffix = options::suffix(form);
            let (bucket, prefix, name) = (&place.bucket, place.prefix(), form.get("name"));
            format!("s3://{bucket}/{prefix}{name}/{kind}-00000{suffix}")
        }
        None => "This is no path of the form s3://<name of your S3 bucket>/<folder path>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        first(&Form::parse(text), "ITEMS")
    }

    #[test]
    fn the_first_object_is_told_beforehand() {
        assert_eq!(of("name=j&path=s3://bkt"), "s3://bkt/j/ITEMS-00000.csv");
        assert_eq!(of("name=j&path=s3://bkt/a/b"), "s3://bkt/a/b/j/ITEMS-00000.csv");
        assert_eq!(of("name=j&path=s3://bkt/a/&opt-compression=gzip"), "s3://bkt/a/j/ITEMS-00000.csv.gz");
        assert_eq!(
            of("name=j&path=s3://bkt/&opt-format=parquet&opt-compression=zstd"),
            "s3://bkt/j/ITEMS-00000.parquet"
        );
        assert!(of("name=j&path=bkt").starts_with("This is no path"));
        assert!(of("name=j&path=s3://bkt/a&opt-output=digest").starts_with("none"));
        assert_eq!(of("name=j"), "");
    }

    #[test]
    fn options_travel_as_tags_before_those_of_the_visitor() {
        let form = Form::parse(
            "name=j&path=s3://b&mode=PUT&role=r&opt-format=jsonl&tag-key=k&tag-value=v&key-arn=a",
        );
        let input = input(&form, "d", "ITEMS");
        let tags =
            json!([{ "tagKey": "lade:format", "tagValue": "jsonl" }, { "tagKey": "k", "tagValue": "v" }]);
        assert_eq!((&input["tags"], &input["ingestionMode"]), (&tags, &json!("PUT")));
        assert_eq!(input["jobOutput"]["s3DataDestination"]["kmsKeyArn"], "a");
    }
}
