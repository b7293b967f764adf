//! *Import data*: a dataset import job, with the policy that its bucket needs.

use access::S3Location;
use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::dataset_group::{self, add_tags, type_name};
use super::role_choice::{self, RoleChoice, chosen};
use super::{Frame, bucket, dataset, policies};
use crate::api_call;
use crate::client::{Answer, Refusal, aside, segment};
use crate::form::Form;
use crate::markup::fresh_name;
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

const OPERATION: &str = "CreateDatasetImportJob";

#[derive(Template)]
#[template(path = "import_job_create.html")]
struct Create<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    preview_path: String,
    dataset_name: &'static str,
    name: String,
    role: &'a str,
    role_arn: &'a str,
    roles: Vec<RoleChoice>,
    location: &'a str,
    mode: &'a str,
    /// Whether there is data to replace or add to.
    has_imports: bool,
    /// Whether metrics can be published.
    has_attribution: Answer<bool>,
    publishes: bool,
    metrics_path: String,
    tolerance: &'a str,
    only_checks: bool,
    records_path: String,
    tags: Vec<(String, String)>,
    policy: String,
    command: String,
    input: String,
}

pub async fn create(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let dataset_arn = dataset::arn(visit, group, kind);
    let mut problem = None;
    match (visit.is_post(), form.get("go")) {
        (true, "policy") => {}
        (true, "bucket") => match S3Location::parse(form.get("location")) {
            Some(place) => {
                return Ok(reply::to(&format!("{}/policy?add=personalize", bucket::path(&place.bucket))));
            }
            None => {
                problem =
                    Some(Refusal::invalid("Type the S3 Location first: s3://<bucket>/<folder path>/<file>"))
            }
        },
        (true, _) => match client.personalize(OPERATION, input(form, &dataset_arn)).await {
            Ok(_) => return Ok(reply::to(&super::job::path("import", form.get("name")))),
            Err(refusal) => problem = Some(refusal),
        },
        (false, _) => {}
    }
    let roles = role_choice::trusting(&client).await?;
    let fresh = || fresh_name("import", visit.console.clock.now_ms());
    let name = form.given("name").map_or_else(fresh, str::to_owned);
    let mut shown = form.clone();
    shown.fill("name", &name);
    shown.fill("role", roles.first().map_or(role_choice::CUSTOM, |role| &role.arn));
    let made = input(&shown, &dataset_arn);
    let page = Create {
        frame: visit.frame("Import data", &dataset::crumbs(group, kind)),
        problem: problem.as_ref(),
        preview_path: format!("{}/import/preview", dataset::path(group, kind)),
        dataset_name: type_name(kind),
        name,
        role: form.get("role"),
        role_arn: form.get("role-arn"),
        roles,
        location: form.get("location"),
        mode: form.given("mode").unwrap_or("FULL"),
        has_imports: has_imports(visit, &dataset_arn).await?,
        has_attribution: aside(has_attribution(visit, group).await)?,
        publishes: form.given("publish").is_some(),
        metrics_path: format!("{}/metrics", dataset_group::path(group)),
        tolerance: form.get("opt-tolerance"),
        only_checks: form.given("opt-validate-only").is_some(),
        records_path: format!("{}/records", dataset::path(group, kind)),
        tags: form.tags(),
        policy: policy(form),
        command: api_call::command(OPERATION, &made),
        input: api_call::pretty(&made),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

/// What the page's script asks for while somebody types.
pub fn preview(visit: &Visit<'_>, group: &str, kind: &str) -> Shown {
    let mut told = api_call::boxes(OPERATION, &input(&visit.query, &dataset::arn(visit, group, kind)));
    told["policy"] = policy(&visit.query).into();
    Ok(reply::json(&told))
}

// What the bucket that was typed has to let the service do.
fn policy(form: &Form) -> String {
    let place = S3Location::parse(form.get("location"));
    policies::of_bucket(place.as_ref().map_or("bucket-name", |place| &place.bucket))
}

fn input(form: &Form, dataset_arn: &str) -> Value {
    let mut input = json!({
        "jobName": form.get("name"), "datasetArn": dataset_arn, "roleArn": chosen(form),
        "dataSource": { "dataLocation": form.get("location") }, "importMode": form.given("mode").unwrap_or("FULL"),
    });
    if form.given("publish").is_some() {
        input["publishAttributionMetricsToS3"] = true.into();
    }
    let options = ["tolerance", "validate-only"];
    let given = options.iter().filter_map(|name| {
        let value = form.given(&format!("opt-{name}")).filter(|value| *value != "0")?;
        Some((format!("lade:{name}"), value.to_owned()))
    });
    let tags: Vec<(String, String)> = given.chain(form.tags()).collect();
    add_tags(&mut input, &tags);
    input
}

// A job that only checked is no import that others could be added to.
async fn has_imports(visit: &Visit<'_>, dataset_arn: &str) -> Answer<bool> {
    let place = format!("/jobs?datasetArn={}&type=IMPORT&status=ACTIVE&maxResults=100", segment(dataset_arn));
    let listed = aside(visit.client().lade(Method::GET, &place).await)?;
    let is_import = |job: &Value| job["validateOnly"] != true;
    // Who may not list jobs may still be allowed to add to data.
    Ok(listed.map_or(true, |listed| listed["jobs"].as_array().is_some_and(|jobs| jobs.iter().any(is_import))))
}

async fn has_attribution(visit: &Visit<'_>, group: &str) -> Answer<bool> {
    let arn = visit.console.realm.dataset_group(group).to_string();
    let asked = json!({ "datasetGroupArn": arn, "maxResults": 1 });
    let listed = visit.client().personalize("ListMetricAttributions", asked).await?;
    Ok(listed["metricAttributions"].as_array().is_some_and(|all| !all.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_were_not_chosen_are_no_tags() {
        let of = |text: &str| input(&Form::parse(text), "d");
        assert!(of("name=j&location=s3://bkt/a&opt-tolerance=0").get("tags").is_none());
        let input = of(
            "name=j&location=s3://bkt/a&opt-tolerance=5&opt-validate-only=true&publish=true&mode=INCREMENTAL",
        );
        let tags = json!([{ "tagKey": "lade:tolerance", "tagValue": "5" }, { "tagKey": "lade:validate-only", "tagValue": "true" }]);
        assert_eq!((&input["tags"], &input["importMode"]), (&tags, &json!("INCREMENTAL")));
        assert_eq!(input["publishAttributionMetricsToS3"], true);
    }

    #[test]
    fn the_policy_is_for_the_bucket_that_was_typed() {
        let of = |text: &str| policy(&Form::parse(text));
        assert!(of("location=s3://my-data/in/a.csv").contains("arn:aws:s3:::my-data/*"));
        assert!(of("location=my").contains("arn:aws:s3:::bucket-name/*"));
    }
}
