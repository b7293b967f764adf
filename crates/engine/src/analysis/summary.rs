//! What an analysis says of each dataset and each column.

use model::layout::Column as Field;
use model::schema::Kind;
use model::{Arn, DatasetType, Layout};
use serde::Serialize;
use serde_json::{Value, json};

use super::census::Census;
use super::column::{Column, Content};
use super::numbers::Numbers;

/// How many values of a categorical column are shown.
const TOP: usize = 10;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetSummary {
    pub dataset_type: DatasetType,
    pub dataset_arn: Arn,
    /// Records as an export of ALL would write them.
    pub rows: u64,
    pub rows_with_missing_values: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_users: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_items: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_actions: Option<Count>,
    /// The first and the last TIMESTAMP, in seconds after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_span: Option<TimeSpan>,
    pub columns: Vec<ColumnSummary>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    pub count: u64,
    pub is_estimate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimeSpan {
    pub first: i64,
    pub last: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnSummary {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub categorical: bool,
    pub textual: bool,
    /// The share of records that have a value, from 0 to 1; 1 where there are none.
    pub complete: f64,
    /// How many different values there are; of categorical columns, how many categories.
    pub distinct: u64,
    /// Whether anything of the column is an estimate; `estimates` says what.
    pub is_estimate: bool,
    pub estimates: Vec<&'static str>,
    /// Numbers, null for all other columns.
    pub min: Value,
    pub max: Value,
    pub quartiles: Option<[f64; 3]>,
    /// The values that come most often, for categories, event types and booleans.
    pub top: Option<Vec<Top>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Top {
    pub value: String,
    pub count: u64,
}

impl DatasetSummary {
    pub fn new(dataset_arn: Arn, layout: &Layout, census: &Census) -> DatasetSummary {
        let column = |(n, field): (usize, &Field)| {
            let exact = (n == layout.id_column()).then_some(census.ids);
            ColumnSummary::new(field, &census.columns[n], census.rows, exact)
        };
        let columns: Vec<ColumnSummary> = layout.columns.iter().enumerate().map(column).collect();
        let distinct = |name| {
            let column = columns.iter().find(|column| column.name == name)?;
            Some(Count { count: column.distinct, is_estimate: column.is_estimate })
        };
        DatasetSummary {
            dataset_type: layout.dataset_type,
            dataset_arn,
            rows: census.rows,
            rows_with_missing_values: census.rows_missing,
            distinct_users: distinct("USER_ID"),
            distinct_items: distinct("ITEM_ID"),
            distinct_actions: distinct("ACTION_ID"),
            time_span: time_span(layout, census),
            columns,
        }
    }
}

fn time_span(layout: &Layout, census: &Census) -> Option<TimeSpan> {
    match &census.columns[layout.position("TIMESTAMP")?].content {
        Content::Numbers(numbers) => numbers.whole_range().map(|(first, last)| TimeSpan { first, last }),
        _ => None,
    }
}

impl ColumnSummary {
    fn new(field: &Field, column: &Column, rows: u64, exact: Option<u64>) -> ColumnSummary {
        let mut estimates = Vec::new();
        if exact.is_none() && !column.distinct.is_exact() {
            estimates.push("distinct");
        }
        let (min, max, quartiles) = match &column.content {
            Content::Numbers(numbers) => {
                let quartiles = numbers.quartiles();
                estimates.extend(quartiles.filter(|q| q.is_estimate).map(|_| "quartiles"));
                let (min, max) = range(numbers);
                (min, max, quartiles.map(|q| q.values))
            }
            _ => (Value::Null, Value::Null, None),
        };
        if let Content::Categories { counted, .. } = &column.content
            && !counted.is_exact()
        {
            estimates.push("top");
        }
        ColumnSummary {
            name: field.name().to_owned(),
            kind: field.kind(),
            categorical: field.field.categorical,
            textual: field.field.textual,
            complete: if rows == 0 { 1.0 } else { column.filled as f64 / rows as f64 },
            distinct: exact.unwrap_or_else(|| distinct(column)),
            is_estimate: !estimates.is_empty(),
            estimates,
            min,
            max,
            quartiles,
            top: top(column),
        }
    }
}

// There are no more values than records; categories are more.
fn distinct(column: &Column) -> u64 {
    let distinct = column.distinct.distinct();
    match &column.content {
        Content::Categories { is_split: true, .. } => distinct,
        _ => distinct.min(column.filled),
    }
}

fn range(numbers: &Numbers) -> (Value, Value) {
    match (numbers.whole_range(), numbers.range()) {
        (Some((min, max)), _) => (json!(min), json!(max)),
        (None, Some((min, max))) => (json!(min), json!(max)),
        (None, None) => (Value::Null, Value::Null),
    }
}

fn top(column: &Column) -> Option<Vec<Top>> {
    let counted = match &column.content {
        Content::Categories { counted, .. } => counted.top(TOP),
        Content::Booleans { trues } => {
            let mut both = vec![("true".to_owned(), *trues), ("false".to_owned(), column.filled - trues)];
            both.retain(|(_, count)| *count > 0);
            both.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            both
        }
        _ => return None,
    };
    Some(counted.into_iter().map(|(value, count)| Top { value, count }).collect())
}
