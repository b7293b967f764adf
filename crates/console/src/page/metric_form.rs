//! *Configure metric attribution* → *Define metric attributes* → *Review and create*, and the same to edit one.

use askama::Template;
use http::StatusCode;
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::text;
use super::metric_attribution::{self as attribution, crumbs, home};
use super::role_choice::{self, CUSTOM, RoleChoice, chosen};
use crate::client::{Answer, Client, Refusal};
use crate::form::Form;
use crate::metric::{self, Metric, SAMPLE_COUNT};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

/// The pages of the way to a new one; an edit has all on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Configure,
    Define,
    Review,
    Edit,
}

impl Step {
    /// What Enter does.
    fn next(self) -> &'static str {
        match self {
            Step::Configure => "define",
            Step::Define => "review",
            Step::Review => "create",
            Step::Edit => "update",
        }
    }
}

struct MetricRow {
    metric: Metric,
    /// All of it as it was, for the API call.
    before: String,
}

#[derive(Template)]
#[template(path = "metric_form.html")]
struct Page<'a> {
    frame: Frame,
    problem: Option<&'a Refusal>,
    step: Step,
    /// That of the group, or of the attribution that is edited.
    arn: String,
    name: String,
    path: String,
    key_arn: String,
    role: String,
    role_arn: String,
    roles: Vec<RoleChoice>,
    draft: Draft,
    rows: Vec<MetricRow>,
    /// Those that were there before and are no more.
    gone: Vec<Metric>,
    seen: Vec<String>,
    expressions: Vec<String>,
    back: String,
}

impl Page<'_> {
    fn has(&self, step: Step) -> bool {
        self.step == step || self.step == Step::Edit
    }
}

/// The metrics while they are edited.
struct Draft {
    is_json: bool,
    metrics: Vec<Metric>,
    json: String,
}

impl Draft {
    /// What the form holds, after the button of the editor that was pressed, if one was.
    fn of(form: &Form) -> (Draft, Option<Refusal>) {
        let is_json = form.get("view") == "json";
        let mut draft =
            Draft { is_json, metrics: metric::rows_of(form), json: form.raw("metrics").to_owned() };
        let mut problem = None;
        if is_json {
            match metric::parse(&draft.json) {
                Ok(metrics) => draft.metrics = metrics,
                // Back to the first page, anything goes.
                Err(_) if form.get("do") == "configure" => {}
                Err(refusal) => problem = Some(refusal),
            }
        }
        match form.get("do") {
            "build" if problem.is_none() => draft.is_json = false,
            "json" if !is_json => {
                draft.is_json = true;
                draft.json = metric::write(&draft.metrics);
            }
            "add-metric" => draft.metrics.push(blank()),
            pressed => {
                let number = pressed.strip_prefix("remove-metric-").and_then(|number| number.parse().ok());
                if let Some(number) = number.filter(|number| *number < draft.metrics.len()) {
                    draft.metrics.remove(number);
                }
            }
        }
        (draft, problem)
    }
}

fn blank() -> Metric {
    Metric { expression: SAMPLE_COUNT.to_owned(), ..Metric::default() }
}

pub async fn create(visit: &Visit<'_>, group: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let (mut draft, mut problem) = Draft::of(form);
    let mut step = match form.get("do") {
        "" | "configure" => Step::Configure,
        "review" | "create" if problem.is_none() => Step::Review,
        _ => Step::Define,
    };
    if step == Step::Review && draft.metrics.is_empty() {
        let message = "Define one metric at least, with its event type and its name.".to_owned();
        problem = Some(Refusal { status: 400, code: String::new(), message });
        step = Step::Define;
    }
    if step == Step::Define && !draft.is_json && draft.metrics.is_empty() {
        draft.metrics.push(blank());
    }
    if visit.is_post() && step == Step::Review && form.get("do") == "create" {
        let input = json!({
            "name": form.get("name"), "datasetGroupArn": group_arn, "metricsOutputConfig": output(form),
            "metrics": draft.metrics.iter().map(Metric::input).collect::<Value>(),
        });
        match client.personalize("CreateMetricAttribution", input).await {
            Ok(_) => return Ok(reply::to(&home(group))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let title = match step {
        Step::Configure | Step::Edit => "Configure metric attribution",
        Step::Define => "Define metric attributes",
        Step::Review => "Review and create",
    };
    let page = Page {
        frame: visit.frame(title, &crumbs(group)),
        problem: problem.as_ref(),
        step,
        arn: group_arn.clone(),
        name: form.given("name").map_or_else(|| format!("{group}-metrics"), str::to_owned),
        path: form.get("path").to_owned(),
        key_arn: form.get("key-arn").to_owned(),
        role: form.get("role").to_owned(),
        role_arn: form.get("role-arn").to_owned(),
        roles: if step == Step::Configure { role_choice::trusting(&client).await? } else { Vec::new() },
        expressions: expressions(&client, &group_arn, step, &draft.metrics).await,
        rows: draft.metrics.iter().map(|metric| row(metric, &[])).collect(),
        draft,
        gone: Vec::new(),
        seen: Vec::new(),
        back: home(group),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

pub async fn edit(visit: &Visit<'_>, group: &str) -> Shown {
    let (client, form) = (visit.client(), &visit.form);
    let Some(found) = attribution::find(visit, &client, group).await? else {
        return Ok(reply::to(&home(group)));
    };
    let present = attribution::metrics(&client, &found.arn).await?;
    let seen: Vec<&str> = form.all("seen").collect();
    let (mut draft, mut problem) = Draft::of(form);
    if visit.is_post() && matches!(form.get("do"), "" | "update") && problem.is_none() {
        match update(form, &client, &found, &metric::change(&present, &seen, &draft.metrics)).await {
            Ok(()) => return Ok(reply::to(&home(group))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    if !visit.is_post() {
        draft.metrics.clone_from(&present);
    }
    let or = |name: &str, now: String| if visit.is_post() { form.get(name).to_owned() } else { now };
    let roles = role_choice::trusting(&client).await?;
    let is_listed = roles.iter().any(|choice| choice.arn == found.role_arn);
    let group_arn = visit.console.realm.dataset_group(group).to_string();
    let is_gone = |metric: &&Metric| draft.metrics.iter().all(|kept| kept.name != metric.name);
    let page = Page {
        frame: visit.frame("Edit metric attribution", &crumbs(group)),
        problem: problem.as_ref(),
        step: Step::Edit,
        name: found.name,
        path: or("path", found.output.unwrap_or_default()),
        key_arn: or("key-arn", found.key_arn.unwrap_or_default()),
        role: or("role", if is_listed { found.role_arn.clone() } else { CUSTOM.to_owned() }),
        role_arn: or("role-arn", if is_listed { String::new() } else { found.role_arn }),
        roles,
        expressions: expressions(&client, &group_arn, Step::Edit, &draft.metrics).await,
        rows: draft.metrics.iter().map(|metric| row(metric, &present)).collect(),
        gone: present.iter().filter(is_gone).cloned().collect(),
        seen: if visit.is_post() {
            seen.into_iter().map(str::to_owned).collect()
        } else {
            present.iter().map(|metric| metric.name.clone()).collect()
        },
        draft,
        arn: found.arn,
        back: home(group),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

async fn update(
    form: &Form,
    client: &Client<'_>,
    found: &attribution::Attribution,
    change: &metric::Change,
) -> Answer<()> {
    let mut input = json!({ "metricAttributionArn": found.arn, "metricsOutputConfig": output(form) });
    if !change.add.is_empty() {
        input["addMetrics"] = change.add.iter().map(Metric::input).collect();
    }
    if !change.remove.is_empty() {
        input["removeMetrics"] = json!(change.remove);
    }
    client.personalize("UpdateMetricAttribution", input).await.map(drop)
}

fn output(form: &Form) -> Value {
    let mut output = json!({ "roleArn": chosen(form) });
    if let Some(path) = form.given("path") {
        output["s3DataDestination"]["path"] = path.into();
    }
    if let Some(key) = form.given("key-arn") {
        output["s3DataDestination"]["kmsKeyArn"] = key.into();
    }
    output
}

fn row(metric: &Metric, present: &[Metric]) -> MetricRow {
    let before = present.iter().find(|known| known.name == metric.name);
    MetricRow {
        metric: metric.clone(),
        before: before.map_or_else(String::new, |metric| metric.input().to_string()),
    }
}

// What the list of the builder offers: a count, sums of the group's numbers, and what stands there already.
async fn expressions(client: &Client<'_>, group_arn: &str, step: Step, metrics: &[Metric]) -> Vec<String> {
    let mut found = vec![SAMPLE_COUNT.to_owned()];
    if matches!(step, Step::Define | Step::Edit) {
        // Whoever may not look into the datasets writes expressions as JSON.
        found.extend(sums(client, group_arn).await.unwrap_or_default());
    }
    for metric in metrics {
        if !metric.expression.is_empty() && !found.contains(&metric.expression) {
            found.push(metric.expression.clone());
        }
    }
    found
}

async fn sums(client: &Client<'_>, group_arn: &str) -> Answer<Vec<String>> {
    let listed = client.personalize("ListDatasets", json!({ "datasetGroupArn": group_arn })).await?;
    let mut found = Vec::new();
    for dataset in listed["datasets"].as_array().into_iter().flatten() {
        let of = match dataset["datasetType"].as_str() {
            Some("INTERACTIONS") => "Interactions",
            Some("ITEMS") => "Items",
            _ => continue,
        };
        let input = json!({ "datasetArn": dataset["datasetArn"] });
        let described = client.personalize("DescribeDataset", input).await?;
        let input = json!({ "schemaArn": described["dataset"]["schemaArn"] });
        let schema = client.personalize("DescribeSchema", input).await?;
        let schema = serde_json::from_str(&text(&schema["schema"], "schema")).unwrap_or_default();
        found.extend(metric::expressions(of, &schema));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "event-type=a&metric-name=x&expression=SAMPLECOUNT()";

    #[test]
    fn the_builder_and_the_json_hold_the_same_metrics() {
        let (json, _) = Draft::of(&Form::parse(&format!("{ROW}&do=json")));
        assert!(json.is_json && json.json.contains("\"MetricName\": \"x\""));
        let typed = format!("view=json&metrics={}&do=build", crate::client::segment(&json.json));
        let (built, problem) = Draft::of(&Form::parse(&typed));
        assert!(!built.is_json && problem.is_none() && built.metrics[0].name == "x");
    }

    #[test]
    fn json_that_is_none_stays_and_is_told() {
        let (draft, problem) = Draft::of(&Form::parse("view=json&metrics=%5B1&do=build"));
        assert!(draft.is_json && draft.json == "[1" && problem.is_some());
    }

    #[test]
    fn buttons_add_and_remove_metrics() {
        let count = |pressed: &str| Draft::of(&Form::parse(&format!("{ROW}&do={pressed}"))).0.metrics.len();
        assert_eq!((count("add-metric"), count("remove-metric-0"), count("remove-metric-7")), (2, 0, 1));
    }

    #[test]
    fn an_output_has_what_was_given() {
        let of = |text: &str| output(&Form::parse(text));
        assert_eq!(of("role-arn=r"), json!({ "roleArn": "r" }));
        let full = of("role=r&path=s3://b/&key-arn=k");
        assert_eq!(full["s3DataDestination"], json!({ "path": "s3://b/", "kmsKeyArn": "k" }));
    }
}
