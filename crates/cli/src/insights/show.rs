//! What an analysis found, as tables and sentences.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Column, Count, Dataset, Insight, Members};
use crate::job::show::number;

/// How many of the most frequent values a line shows.
const TOP: usize = 4;
/// Longer values are cut.
const VALUE_CHARACTERS: usize = 24;

/// One line: how far an analysis is.
pub fn line(members: &Members) -> String {
    let rows = members.progress.as_ref().map_or(0, |progress| progress.rows_done);
    format!("analysis of {}: {}, {} rows", name(members), members.status, number(rows))
}

/// All that was found.
pub fn whole(members: &Members) -> String {
    let made = members.result.as_ref();
    let (rows, taken_s) = made.map_or((0, 0.0), |made| (made.rows, made.taken_at));
    let mut text =
        format!("{}: {} rows, as they were at {}\n", name(members), number(rows), time(taken_s as i64));
    members.datasets.iter().for_each(|dataset| text.push_str(&of_dataset(dataset)));
    text.push('\n');
    if members.insights.is_empty() {
        text.push_str("Nothing is to be mended.\n");
    }
    members.insights.iter().for_each(|insight| text.push_str(&of_insight(insight)));
    text
}

fn name(members: &Members) -> &str {
    members.dataset_group_arn.rsplit('/').next().unwrap_or_default()
}

fn of_dataset(dataset: &Dataset) -> String {
    let mut text = format!("\n{}  {} rows", dataset.dataset_type, number(dataset.rows));
    let ids = [
        (&dataset.distinct_users, "users"),
        (&dataset.distinct_items, "items"),
        (&dataset.distinct_actions, "actions"),
    ];
    for (count, what) in ids.into_iter().filter_map(|(count, what)| Some((count.as_ref()?, what))) {
        let Count { count, is_estimate } = count;
        text.push_str(&format!(", {} {what}", about(*count, *is_estimate)));
    }
    if let Some(span) = &dataset.time_span {
        text.push_str(&format!(", {} to {}", time(span.first), time(span.last)));
    }
    if dataset.rows_with_missing_values > 0 {
        text.push_str(&format!(", {} with missing values", number(dataset.rows_with_missing_values)));
    }
    text.push('\n');
    let lines: Vec<[String; 5]> = dataset.columns.iter().map(of_column).collect();
    let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    for [column, kind, complete, distinct, rest] in &lines {
        let line = format!(
            "  {column:w0$}  {kind:w1$}  {complete:>w2$}  {distinct:>w3$}  {rest}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3]
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

// Name, type, completeness, how many values differ, and which values there are.
fn of_column(column: &Column) -> [String; 5] {
    let is_estimate = |what: &str| column.estimates.iter().any(|estimate| estimate == what);
    let complete = (column.complete * 1000.0 + 1e-9).floor() / 10.0;
    [
        column.name.clone(),
        column.kind.clone(),
        format!("{complete} % complete"),
        format!("{} distinct", about(column.distinct, is_estimate("distinct"))),
        values(column, is_estimate("quartiles"), is_estimate("top")),
    ]
}

fn values(column: &Column, are_quartiles_estimated: bool, is_top_estimated: bool) -> String {
    if let (false, Some([first, median, third])) = (column.min.is_null(), column.quartiles) {
        let about = if are_quartiles_estimated { "~" } else { "" };
        let (min, max) = (plain(&column.min), plain(&column.max));
        return format!("{min} … {about}{first} … {about}{median} … {about}{third} … {max}");
    }
    let Some(top) = &column.top else { return String::new() };
    let least = if is_top_estimated { "≥ " } else { "" };
    let shown =
        top.iter().take(TOP).map(|top| format!("{} {least}{}", shortened(&top.value), number(top.count)));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if top.len() > TOP {
        text.push_str(", …");
    }
    text
}

fn of_insight(insight: &Insight) -> String {
    let Insight { code, severity, dataset_type, text, action } = insight;
    format!("{severity}: {text}\n  {action}\n  ({dataset_type}, {code})\n")
}

fn about(count: u64, is_estimate: bool) -> String {
    if is_estimate { format!("~{}", number(count)) } else { number(count) }
}

fn plain(number: &Value) -> String {
    number
        .as_f64()
        .filter(|_| number.is_f64())
        .map_or_else(|| number.to_string(), |number| number.to_string())
}

// What a terminal would take for a command is left out.
fn shortened(value: &str) -> String {
    let shown: String = value.chars().filter(|c| !c.is_control()).take(VALUE_CHARACTERS).collect();
    if value.chars().count() > VALUE_CHARACTERS { format!("{shown}…") } else { shown }
}

fn time(s: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(s).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| s.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Analysis;
    use super::*;

    fn analysis(columns: Value, insights: Value) -> Members {
        let raw = json!({
            "datasetGroupArn": "arn:aws:personalize:us-east-1:000000000000:dataset-group/shop", "status": "ACTIVE",
            "progress": {"rowsDone": 1500, "rowsTotal": 1500}, "result": {"takenAt": 1_700_000_000.5, "rows": 1500},
            "datasets": [{"datasetType": "ITEMS", "rows": 1500, "rowsWithMissingValues": 7,
                "distinctItems": {"count": 1500, "isEstimate": true}, "columns": columns}],
            "insights": insights,
        });
        Analysis::read(raw).unwrap().members
    }

    #[test]
    fn columns_stand_below_each_other() {
        let column = |name: &str, more: Value| {
            let mut column = json!({"name": name, "type": "string", "complete": 0.6999, "distinct": 1500,
                "estimates": [], "min": null, "max": null, "quartiles": null, "top": null});
            more.as_object().unwrap().iter().for_each(|(name, value)| column[name] = value.clone());
            column
        };
        let numbers = json!({"type": "float", "complete": 1.0, "estimates": ["quartiles", "distinct"], "min": 1.0,
            "max": 9.5, "quartiles": [2.0, 3.5, 4.0]});
        let top: Vec<Value> =
            (0..5).map(|n| json!({"value": format!("g{n}\u{1b}[2J"), "count": 5 - n})).collect();
        let text = whole(&analysis(
            json!([column("PRICE", numbers), column("G", json!({ "top": top }))]),
            json!([]),
        ));
        assert_eq!(
            text,
            "shop: 1,500 rows, as they were at 2023-11-14T22:13:20Z\n\n\
             ITEMS  1,500 rows, ~1,500 items, 7 with missing values\n  \
             PRICE  float    100 % complete  ~1,500 distinct  1 … ~2 … ~3.5 … ~4 … 9.5\n  \
             G      string  69.9 % complete   1,500 distinct  g0[2J 5, g1[2J 4, g2[2J 3, g3[2J 2, …\n\n\
             Nothing is to be mended.\n"
        );
    }

    #[test]
    fn insights_are_told_with_what_to_do() {
        let insight = json!({"code": "SAME_TIMESTAMP", "severity": "warning", "datasetType": "INTERACTIONS",
            "text": "All are one.", "action": "Look.", "measured": {}});
        let text = whole(&analysis(json!([]), json!([insight])));
        assert!(
            text.ends_with("\nwarning: All are one.\n  Look.\n  (INTERACTIONS, SAME_TIMESTAMP)\n"),
            "{text}"
        );
    }
}
