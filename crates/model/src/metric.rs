//! The metrics of a metric attribution: which events one watches, what it makes of them, and what a report of them is called.

use crate::dataset::{DatasetType, ImportMode};

/// The most metrics that a metric attribution has. Source: "Quotas".
pub const METRICS_MAX: usize = 10;

/// What a metric makes of the events of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Counts them.
    SampleCount,
    /// Adds up a column: of the events themselves, or of the items that they are about.
    Sum { dataset_type: DatasetType, column: String },
}

impl Expression {
    /// Reads `SAMPLECOUNT()`, `SUM(Items.COLUMN)` or `SUM(Interactions.COLUMN)`.
    ///
    /// Blanks between the words and the case of all words but the column's name mean nothing.
    pub fn parse(text: &str) -> Option<Expression> {
        let (function, rest) = text.trim().split_once('(')?;
        let argument = rest.strip_suffix(')')?.trim();
        match function.trim().to_ascii_uppercase().as_str() {
            "SAMPLECOUNT" if argument.is_empty() => Some(Expression::SampleCount),
            "SUM" => Expression::parse_sum(argument),
            _ => None,
        }
    }

    fn parse_sum(argument: &str) -> Option<Expression> {
        let (dataset, column) = argument.split_once('.')?;
        let dataset_type = DatasetType::parse(dataset.trim())
            .filter(|t| matches!(t, DatasetType::Items | DatasetType::Interactions))?;
        let column = column.trim();
        let is_name = !column.is_empty() && column.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then(|| Expression::Sum { dataset_type, column: column.to_owned() })
    }

    /// The function as reports name it.
    pub fn function(&self) -> &'static str {
        match self {
            Expression::SampleCount => "samplecount",
            Expression::Sum { .. } => "sum",
        }
    }

    /// The column of items that it adds up.
    pub fn item_column(&self) -> Option<&str> {
        match self {
            Expression::Sum { dataset_type: DatasetType::Items, column } => Some(column),
            _ => None,
        }
    }
}

/// The name of the report of an import that was created in this second after the epoch.
///
/// Source: "Viewing and downloading reports".
pub fn report_name(mode: ImportMode, created_s: i64) -> String {
    format!("AggregatedAttributionMetrics - {} - {created_s}.csv", mode.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(dataset_type: DatasetType, column: &str) -> Option<Expression> {
        Some(Expression::Sum { dataset_type, column: column.to_owned() })
    }

    #[test]
    fn blanks_and_the_case_of_functions_mean_nothing() {
        for text in ["SAMPLECOUNT()", "samplecount()", " SampleCount ( ) "] {
            assert_eq!(Expression::parse(text), Some(Expression::SampleCount), "{text}");
        }
        for text in ["SUM(Items.PRICE)", "sum( items . PRICE )", "Sum (ITEMS.PRICE)"] {
            assert_eq!(Expression::parse(text), sum(DatasetType::Items, "PRICE"), "{text}");
        }
        let value = sum(DatasetType::Interactions, "EVENT_VALUE");
        assert_eq!(Expression::parse("SUM(Interactions.EVENT_VALUE)"), value);
        assert_ne!(Expression::parse("SUM(Interactions.event_value)"), value);
    }

    #[test]
    fn what_is_neither_a_count_nor_a_sum_is_refused() {
        for text in [
            "",
            "SAMPLECOUNT",
            "SAMPLECOUNT(Items.PRICE)",
            "SAMPLECOUNT())",
            "SUM()",
            "SUM(PRICE)",
            "SUM(Items.)",
            "SUM(.PRICE)",
            "SUM(Users.AGE)",
            "SUM(Items.PRICE",
            "SUM(Items.PRICE) ;",
            "SUM(Items.PRICE)+SUM(Items.TAX)",
            "SUM(Items.A B)",
            "SUM(Items.PRICE.X)",
            "SUM(SUM(Items.PRICE))",
            "AVG(Items.PRICE)",
            "SAMPLE COUNT()",
            "(SUM)",
        ] {
            assert_eq!(Expression::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_report_is_called_by_mode_and_second() {
        let name = report_name(ImportMode::Incremental, 1_666_925_124);
        assert_eq!(name, "AggregatedAttributionMetrics - INCREMENTAL - 1666925124.csv");
    }
}
