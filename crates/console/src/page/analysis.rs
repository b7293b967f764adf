//! *Data analysis* of a group: runs one, and shows what the last one found.

use askama::Template;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Frame;
use super::dataset_group::{self, text, type_name};
use crate::box_plot::BoxPlot;
use crate::client::{Refusal, segment};
use crate::markup::{Moment, number, status, tone};
use crate::reply;
use crate::route::status_of;
use crate::visit::{Shown, Visit};

struct InsightRow {
    severity: String,
    tone: &'static str,
    text: String,
    action: String,
    dataset: &'static str,
    column: String,
}

struct ColumnRow {
    name: String,
    kind: String,
    /// From 0 to 1, and in hundredths as a text.
    complete: f64,
    percent: String,
    distinct: String,
    range: Option<Range>,
    top: Vec<(String, String)>,
}

struct Range {
    text: String,
    plot: BoxPlot,
}

struct DatasetPart {
    name: &'static str,
    path: String,
    rows: String,
    missing: String,
    span: Option<(Moment, Moment)>,
    columns: Vec<ColumnRow>,
}

#[derive(Template)]
#[template(path = "analysis.html")]
struct Page<'a> {
    frame: Frame,
    path: String,
    problem: Option<&'a Refusal>,
    status: String,
    tone: &'static str,
    is_begun: bool,
    is_open: bool,
    rows: String,
    share: Option<u64>,
    failure: Option<String>,
    /// When the records were what was analyzed; `None`: there is no result.
    taken: Option<Moment>,
    insights: Vec<InsightRow>,
    datasets: Vec<DatasetPart>,
}

fn home(group: &str) -> String {
    format!("{}/analysis", dataset_group::path(group))
}

async fn read(visit: &Visit<'_>, group: &str) -> crate::client::Answer<Value> {
    let arn = visit.console.realm.dataset_group(group).to_string();
    visit.client().lade(Method::GET, &format!("/analyses?datasetGroupArn={}", segment(&arn))).await
}

pub async fn show(visit: &Visit<'_>, group: &str) -> Shown {
    let mut problem = None;
    if visit.is_post() {
        let input = json!({ "datasetGroupArn": visit.console.realm.dataset_group(group) });
        match visit.client().lade_post("/analyses", input).await {
            Ok(_) => return Ok(reply::to(&home(group))),
            Err(refusal) => problem = Some(refusal),
        }
    }
    let found = match (read(visit, group).await, &problem) {
        (Ok(found), _) => found,
        (Err(refusal), None) if !refusal.is_of_keys() => {
            problem = Some(refusal);
            Value::Null
        }
        (Err(refusal), None) => return Err(refusal),
        (Err(_), Some(_)) => Value::Null,
    };
    let word = text(&found, "status");
    let list = |member: &str| found[member].as_array().cloned().unwrap_or_default();
    let page = Page {
        frame: visit.frame("Data analysis", &dataset_group::crumbs(group)),
        path: home(group),
        problem: problem.as_ref(),
        status: status(&word),
        tone: tone(&word),
        is_begun: !matches!(word.as_str(), "" | "NONE"),
        is_open: is_open(&word),
        rows: number(found["progress"]["rowsDone"].as_u64().unwrap_or_default()),
        share: share(&found["progress"]),
        failure: found["failureReason"].as_str().map(str::to_owned),
        taken: found["result"].as_object().map(|result| Moment::of(&result["takenAt"])),
        insights: list("insights").iter().map(insight).collect(),
        datasets: list("datasets").iter().map(|dataset| part(group, dataset)).collect(),
    };
    Ok(reply::page(problem.as_ref().map_or(StatusCode::OK, status_of), &page))
}

/// What the page's script asks for while an analysis runs.
pub async fn progress(visit: &Visit<'_>, group: &str) -> Shown {
    let found = read(visit, group).await?;
    let word = text(&found, "status");
    Ok(reply::json(&json!({
        "isOpen": is_open(&word), "status": status(&word), "tone": tone(&word), "share": share(&found["progress"]),
        "rows": number(found["progress"]["rowsDone"].as_u64().unwrap_or_default()), "eta": null,
    })))
}

fn is_open(word: &str) -> bool {
    word.contains("PENDING") || word.contains("PROGRESS")
}

fn share(progress: &Value) -> Option<u64> {
    let all = progress["rowsTotal"].as_u64().filter(|all| *all > 0)?;
    Some((progress["rowsDone"].as_u64()?.saturating_mul(100) / all).min(100))
}

fn insight(insight: &Value) -> InsightRow {
    let severity = text(insight, "severity");
    InsightRow {
        tone: if severity == "warning" { "busy" } else { "calm" },
        severity: status(&severity),
        text: text(insight, "text"),
        action: text(insight, "action"),
        dataset: type_name(&text(insight, "datasetType")),
        column: text(insight, "column"),
    }
}

fn part(group: &str, dataset: &Value) -> DatasetPart {
    let kind = text(dataset, "datasetType");
    let span = &dataset["timeSpan"];
    DatasetPart {
        name: type_name(&kind),
        path: super::dataset::path(group, &kind),
        rows: number(dataset["rows"].as_u64().unwrap_or_default()),
        missing: number(dataset["rowsWithMissingValues"].as_u64().unwrap_or_default()),
        span: span.is_object().then(|| (Moment::of(&span["first"]), Moment::of(&span["last"]))),
        columns: dataset["columns"].as_array().into_iter().flatten().map(column).collect(),
    }
}

fn column(column: &Value) -> ColumnRow {
    let is_so = |member: &str| column[member] == true;
    let attribute = match (is_so("categorical"), is_so("textual")) {
        (true, _) => ", categorical",
        (_, true) => ", textual",
        _ => "",
    };
    let is_estimate =
        column["estimates"].as_array().map_or(is_so("isEstimate"), |all| all.contains(&json!("distinct")));
    let complete = column["complete"].as_f64().unwrap_or_default();
    let distinct = number(column["distinct"].as_u64().unwrap_or_default());
    let top = column["top"].as_array().into_iter().flatten();
    ColumnRow {
        name: text(column, "name"),
        kind: format!("{}{attribute}", text(column, "type")),
        percent: percent(complete),
        complete,
        distinct: if is_estimate { format!("about {distinct}") } else { distinct },
        range: range(column),
        top: top.map(|top| (text(top, "value"), number(top["count"].as_u64().unwrap_or_default()))).collect(),
    }
}

fn range(column: &Value) -> Option<Range> {
    let quartiles: Vec<f64> =
        column["quartiles"].as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let quartiles: [f64; 3] = quartiles.try_into().ok()?;
    let plot = BoxPlot::new(column["min"].as_f64()?, quartiles, column["max"].as_f64()?)?;
    let [lower, median, upper] = quartiles.map(|number| figure(&json!(number)));
    let text = format!(
        "{} to {}; quartiles {lower}, {median}, {upper}",
        figure(&column["min"]),
        figure(&column["max"])
    );
    Some(Range { text, plot })
}

// Whole numbers as they are, others with what a reader needs of them.
fn figure(value: &Value) -> String {
    let text = value.to_string();
    if value.is_u64() || value.is_i64() {
        return text;
    }
    let number = value.as_f64().unwrap_or_default();
    match number.abs() {
        0.0 => "0".to_owned(),
        0.001..1e15 => {
            let text = format!("{number:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:e}"),
    }
}

// Cut off and not rounded, so that only what is complete looks it.
fn percent(share: f64) -> String {
    match (share * 1000.0 + 1e-9).floor() / 10.0 {
        0.0 if share > 0.0 => "under 0.1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_exact_as_a_reader_needs() {
        let of = |value: Value| figure(&value);
        assert_eq!(
            (of(json!(1_700_000_000)), of(json!(-3)), of(json!(2.0))),
            ("1700000000".into(), "-3".into(), "2".into())
        );
        assert_eq!(
            (of(json!(19.994_9)), of(json!(1e300)), of(json!(0.000_1))),
            ("19.995".into(), "1e300".into(), "1e-4".into())
        );
    }

    #[test]
    fn only_what_is_complete_looks_it() {
        assert_eq!(
            [percent(1.0), percent(0.999_9), percent(0.0), percent(0.000_1)],
            ["100 %", "99.9 %", "0 %", "under 0.1 %"]
        );
    }

    #[test]
    fn a_column_is_shown_as_far_as_it_is_known() {
        let shown = column(&json!({
            "name": "PRICE", "type": "float", "complete": 0.5, "distinct": 1200, "isEstimate": true,
            "estimates": ["distinct"], "min": 0, "max": 10.5, "quartiles": [1.0, 2.0, 3.5], "top": null,
        }));
        assert_eq!((shown.distinct.as_str(), shown.percent.as_str()), ("about 1\u{202f}200", "50 %"));
        assert_eq!(shown.range.map(|range| range.text).as_deref(), Some("0 to 10.5; quartiles 1, 2, 3.5"));
        let words = column(&json!({ "name": "G", "type": "string", "categorical": true, "complete": 1.0,
            "distinct": 2, "min": null, "max": null, "quartiles": null, "top": [{ "value": "a", "count": 3 }] }));
        assert!(words.range.is_none() && words.kind == "string, categorical");
        assert_eq!(words.top, [("a".to_owned(), "3".to_owned())]);
    }

    #[test]
    fn progress_has_a_share_once_the_whole_is_known() {
        assert_eq!(share(&json!({ "rowsDone": 5, "rowsTotal": 10 })), Some(50));
        assert_eq!(share(&json!({ "rowsDone": 5, "rowsTotal": null })), None);
        assert_eq!(share(&Value::Null), None);
    }
}
