//! Insights: what is to be mended about the records of a group. Each rule looks at figures that were measured.

use std::collections::HashMap;

use model::{Arn, DatasetType, Layout};
use serde::Serialize;
use serde_json::{Value, json};

use super::census::Census;
use super::column::{Content, EVENT_TYPE};
use super::numbers::Outliers;
use super::sample::Sample;
use super::summary::{ColumnSummary, DatasetSummary};

// Source of all rules and their figures: "Analyzing data in datasets", "Quotas".
const INTERACTIONS_MIN: u64 = 1_000;
const USERS_MIN: u64 = 25;
const COMPLETE_MIN: f64 = 0.7;
const TEXT_COMPLETE_MIN: f64 = 0.85;
const CATEGORIES_MAX: u64 = 30;
const EVENT_TYPES_MAX: u64 = 10;
/// A share of records, items or users from here on is warned of; a smaller one is told.
const SHARE_WARNED: f64 = 0.3;

/// Columns of times, which are no measurements: theirs are no outliers.
const TIMES: [&str; 4] =
    ["TIMESTAMP", "CREATION_TIMESTAMP", "EXPIRATION_TIMESTAMP", "ACTION_EXPIRATION_TIMESTAMP"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Info,
}

/// One thing to be mended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Insight {
    /// The rule; it never changes its name.
    pub code: &'static str,
    pub severity: Severity,
    pub dataset_type: DatasetType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is so, with its figures.
    pub text: String,
    /// What to do about it.
    pub action: &'static str,
    /// The figures by their names.
    pub measured: Value,
}

/// What is known of a dataset when all were read.
pub struct Known {
    pub summary: DatasetSummary,
    ids_twice: u64,
    /// The ids of each column that has some.
    ids: HashMap<String, Sample>,
    /// For each column of numbers that has some outliers.
    outliers: HashMap<String, Outliers>,
}

impl Known {
    pub fn new(arn: Arn, layout: &Layout, census: Census) -> Known {
        let summary = DatasetSummary::new(arn, layout, &census);
        let (mut ids, mut outliers) = (HashMap::new(), HashMap::new());
        for (field, column) in layout.columns.iter().zip(census.columns) {
            let name = field.name().to_owned();
            if let Content::Numbers(numbers) = &column.content
                && !TIMES.contains(&field.name())
                && let Some(found) = numbers.outliers().filter(|found| found.count > 0)
            {
                outliers.insert(name.clone(), found);
            }
            if field.is_id() {
                ids.insert(name, column.distinct);
            }
        }
        Known { summary, ids_twice: census.ids_twice, ids, outliers }
    }

    fn is(&self, dataset_type: DatasetType) -> bool {
        self.summary.dataset_type == dataset_type
    }

    fn insight(&self, code: &'static str, text: String, action: &'static str, measured: Value) -> Insight {
        let (severity, dataset_type) = (Severity::Warning, self.summary.dataset_type);
        Insight { code, severity, dataset_type, column: None, text, action, measured }
    }

    fn of_column(&self, column: &ColumnSummary, insight: Insight) -> Insight {
        Insight { column: Some(column.name.clone()), ..insight }
    }

    /// The dataset's name in a sentence.
    fn name(&self) -> &'static str {
        match self.summary.dataset_type {
            DatasetType::ActionInteractions => "Action interactions",
            other => other.record_name(),
        }
    }
}

/// All insights, those of one dataset together.
pub fn all(known: &[Known]) -> Vec<Insight> {
    let mut all = Vec::new();
    for dataset in known {
        if dataset.is(DatasetType::Interactions) {
            all.extend(few_interactions(dataset));
            all.extend(few_users(dataset));
            all.extend(many_event_types(dataset));
        }
        all.extend(same_timestamp(dataset));
        all.extend(without_interactions(dataset, known));
        all.extend(unknown_ids(dataset, known));
        all.extend(missing_values(dataset));
        for column in &dataset.summary.columns {
            all.extend(incomplete(dataset, column));
            all.extend(incomplete_text(dataset, column));
            all.extend(outliers(dataset, column));
            all.extend(many_categories(dataset, column));
        }
    }
    all
}

fn few_interactions(dataset: &Known) -> Option<Insight> {
    let rows = dataset.summary.rows;
    let text = format!(
        "The Interactions dataset has {} different interactions; a model is trained on {} or more.",
        number(rows),
        number(INTERACTIONS_MIN)
    );
    let action = "Import more interactions before you train; equal records count once.";
    let measured = json!({ "interactions": rows, "needed": INTERACTIONS_MIN, "missing": INTERACTIONS_MIN.saturating_sub(rows) });
    (rows < INTERACTIONS_MIN).then(|| dataset.insight("FEW_INTERACTIONS", text, action, measured))
}

fn few_users(dataset: &Known) -> Option<Insight> {
    let users = dataset.ids_twice;
    let text = format!(
        "{} users have two interactions or more; a model is trained on {USERS_MIN} such users or more.",
        number(users)
    );
    let action = "Import at least two interactions each for more users.";
    let measured = json!({ "users": users, "needed": USERS_MIN, "missing": USERS_MIN.saturating_sub(users) });
    (users < USERS_MIN).then(|| dataset.insight("FEW_USERS_WITH_TWO_INTERACTIONS", text, action, measured))
}

fn many_event_types(dataset: &Known) -> Option<Insight> {
    let column = dataset.summary.columns.iter().find(|column| column.name == EVENT_TYPE)?;
    let text = format!(
        "The Interactions dataset has {} event types; with more than {EVENT_TYPES_MAX} no model can be trained.",
        number(column.distinct)
    );
    let action =
        "Look for spellings of one event type, drop those that are not needed, and import the data again.";
    let measured =
        json!({ "eventTypes": column.distinct, "most": EVENT_TYPES_MAX, "isEstimate": column.is_estimate });
    let insight = dataset.insight("MANY_EVENT_TYPES", text, action, measured);
    (column.distinct > EVENT_TYPES_MAX).then(|| dataset.of_column(column, insight))
}

fn same_timestamp(dataset: &Known) -> Option<Insight> {
    let span = dataset.summary.time_span.filter(|span| span.first == span.last)?;
    let column = dataset.summary.columns.iter().find(|column| column.name == "TIMESTAMP")?;
    let rows = dataset.summary.rows;
    let text = format!(
        "All {} records of the {} dataset have the timestamp {}, so nothing can be learnt of their order.",
        number(rows),
        dataset.name(),
        span.first
    );
    let action = "Look for the fault in how timestamps are made, and import the data again with their own.";
    let measured = json!({ "records": rows, "timestamp": span.first });
    let insight = dataset.insight("SAME_TIMESTAMP", text, action, measured);
    (rows > 1).then(|| dataset.of_column(column, insight))
}

fn without_interactions(dataset: &Known, known: &[Known]) -> Option<Insight> {
    let (code, of, action) = match dataset.summary.dataset_type {
        DatasetType::Items => (
            "ITEMS_WITHOUT_INTERACTIONS",
            DatasetType::Interactions,
            "Import all interactions, and look for item ids that are written differently in both datasets.",
        ),
        DatasetType::Users => (
            "USERS_WITHOUT_INTERACTIONS",
            DatasetType::Interactions,
            "Import all interactions, and look for user ids that are written differently in both datasets.",
        ),
        DatasetType::Actions => (
            "ACTIONS_WITHOUT_INTERACTIONS",
            DatasetType::ActionInteractions,
            "Import all action interactions, and look for action ids that are written differently in both datasets.",
        ),
        DatasetType::Interactions | DatasetType::ActionInteractions => return None,
    };
    let id = dataset.summary.dataset_type.id_field();
    let other = known.iter().find(|other| other.is(of))?;
    let lack = dataset.ids[id].lack(&other.ids[id]);
    let (whole, what) = (dataset.summary.rows, dataset.name().to_lowercase());
    let count = (lack.of_values * whole as f64).round() as u64;
    let text = format!(
        "{} of the {} {what} ({}) have no record in the {} dataset.",
        about(count, lack.is_estimate),
        number(whole),
        percent(lack.of_values),
        other.name()
    );
    let measured = json!({ what.as_str(): whole, "withoutInteractions": count, "share": lack.of_values, "isEstimate": lack.is_estimate });
    let insight =
        Insight { severity: by_share(lack.of_values), ..dataset.insight(code, text, action, measured) };
    (lack.of_values > 0.0).then_some(insight)
}

/// Ids of interactions that the dataset of these ids has not, where there is one.
fn unknown_ids(dataset: &Known, known: &[Known]) -> Vec<Insight> {
    let is_of_interactions = !dataset.summary.dataset_type.is_keyed();
    let others = known.iter().filter(|other| is_of_interactions && other.summary.dataset_type.is_keyed());
    others.filter_map(|other| unknown(dataset, other)).collect()
}

fn unknown(dataset: &Known, other: &Known) -> Option<Insight> {
    let id = other.summary.dataset_type.id_field();
    let code = match other.summary.dataset_type {
        DatasetType::Items => "INTERACTIONS_OF_UNKNOWN_ITEMS",
        DatasetType::Users => "INTERACTIONS_OF_UNKNOWN_USERS",
        _ => "INTERACTIONS_OF_UNKNOWN_ACTIONS",
    };
    let column = dataset.summary.columns.iter().find(|column| column.name == id)?;
    let lack = dataset.ids.get(id)?.lack(&other.ids[id]);
    let filled = (column.complete * dataset.summary.rows as f64).round();
    let count = (lack.of_records * filled).round() as u64;
    let ids = (lack.of_values * column.distinct as f64).round() as u64;
    let text = format!(
        "{} of {} records of the {} dataset ({}) have an {id} that is not in the {} dataset; there are {} such ids.",
        about(count, lack.is_estimate),
        number(dataset.summary.rows),
        dataset.name(),
        percent(lack.of_records),
        other.name(),
        about(ids, lack.is_estimate || column.is_estimate)
    );
    let action = "Import the records that are missing there, and look for ids that are written differently in both datasets.";
    let measured = json!({
        "records": dataset.summary.rows, "ofUnknown": count, "share": lack.of_records, "unknownIds": ids,
        "isEstimate": lack.is_estimate,
    });
    let insight =
        Insight { severity: by_share(lack.of_records), ..dataset.insight(code, text, action, measured) };
    (lack.of_records > 0.0).then(|| dataset.of_column(column, insight))
}

fn missing_values(dataset: &Known) -> Option<Insight> {
    let (rows, missing) = (dataset.summary.rows, dataset.summary.rows_with_missing_values);
    let share = missing as f64 / rows.max(1) as f64;
    let text = format!(
        "{} of the {} records of the {} dataset ({}) lack a value in one column or more.",
        number(missing),
        number(rows),
        dataset.name(),
        percent(share)
    );
    let measured = json!({ "records": rows, "withMissingValues": missing, "share": share });
    let insight = dataset.insight("ROWS_WITH_MISSING_VALUES", text, FILL, measured);
    (missing > 0).then_some(Insight { severity: by_share(share), ..insight })
}

const FILL: &str = "Import complete records, or fill what is missing: with the mean in columns of numbers, with the most frequent \
                    value in those of categories.";

fn incomplete(dataset: &Known, column: &ColumnSummary) -> Option<Insight> {
    let text = format!(
        "Column {} of the {} dataset is {} complete; columns should be {} complete or more.",
        column.name,
        dataset.name(),
        percent(column.complete),
        percent(COMPLETE_MIN)
    );
    let measured = json!({ "complete": column.complete, "least": COMPLETE_MIN });
    let insight = dataset.insight("INCOMPLETE_COLUMN", text, FILL, measured);
    (column.complete < COMPLETE_MIN).then(|| dataset.of_column(column, insight))
}

fn incomplete_text(dataset: &Known, column: &ColumnSummary) -> Option<Insight> {
    let text = format!(
        "Textual column {} of the {} dataset is {} complete; below {} it is not used in training.",
        column.name,
        dataset.name(),
        percent(column.complete),
        percent(TEXT_COMPLETE_MIN)
    );
    let action =
        "Import more records that have a text in this column, or the same records again with their texts.";
    let measured = json!({ "complete": column.complete, "least": TEXT_COMPLETE_MIN });
    let insight = dataset.insight("INCOMPLETE_TEXT", text, action, measured);
    (column.textual && column.complete < TEXT_COMPLETE_MIN).then(|| dataset.of_column(column, insight))
}

fn outliers(dataset: &Known, column: &ColumnSummary) -> Option<Insight> {
    let Outliers { count, is_estimate, low, high } = *dataset.outliers.get(&column.name)?;
    let text = format!(
        "Column {} of the {} dataset has {} outliers: numbers below {low} or above {high}, three times as far from the \
         quartiles as these are from each other. It reaches from {} to {}.",
        column.name,
        dataset.name(),
        number(count),
        column.min,
        column.max
    );
    let action = "Look for faults in how these numbers are gathered and processed, and import the data again without them.";
    let measured = json!({
        "outliers": count, "low": low, "high": high, "min": column.min, "max": column.max,
        "quartiles": column.quartiles, "isEstimate": is_estimate,
    });
    Some(dataset.of_column(column, dataset.insight("OUTLIERS", text, action, measured)))
}

fn many_categories(dataset: &Known, column: &ColumnSummary) -> Option<Insight> {
    let is_estimate = column.estimates.contains(&"distinct");
    let text = format!(
        "Categorical column {} of the {} dataset has {} categories; more than {CATEGORIES_MAX} tell little.",
        column.name,
        dataset.name(),
        about(column.distinct, is_estimate)
    );
    let action = "Look for spellings of one category, put rare ones together, and import the data again.";
    let measured =
        json!({ "categories": column.distinct, "most": CATEGORIES_MAX, "isEstimate": is_estimate });
    let insight = dataset.insight("MANY_CATEGORIES", text, action, measured);
    (column.categorical && column.distinct > CATEGORIES_MAX).then(|| dataset.of_column(column, insight))
}

fn by_share(share: f64) -> Severity {
    if share >= SHARE_WARNED { Severity::Warning } else { Severity::Info }
}

fn about(count: u64, is_estimate: bool) -> String {
    if is_estimate { format!("about {}", number(count)) } else { number(count) }
}

// Cut off and not rounded, so that what is below a limit also looks it.
fn percent(share: f64) -> String {
    match (share * 1000.0 + 1e-9).floor() / 10.0 {
        0.0 if share > 0.0 => "less than 0.1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

// In groups of three digits.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!([number(7), number(1_000), number(12_345_678)], ["7", "1,000", "12,345,678"]);
        assert_eq!([percent(0.7), percent(0.699_9), percent(0.29)], ["70 %", "69.9 %", "29 %"]);
        assert_eq!([percent(1.0), percent(0.0), percent(0.000_01)], ["100 %", "0 %", "less than 0.1 %"]);
    }
}
