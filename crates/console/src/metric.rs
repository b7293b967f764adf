//! Metrics of a metric attribution as forms have them: rows of a builder, or JSON.

use serde_json::{Value, json};

use crate::client::Refusal;
use crate::form::Form;

pub const SAMPLE_COUNT: &str = "SAMPLECOUNT()";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    pub event_type: String,
    pub name: String,
    pub expression: String,
}

/// What an update has to be asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub add: Vec<Metric>,
    pub remove: Vec<String>,
}

impl Metric {
    pub fn is_blank(&self) -> bool {
        self.event_type.is_empty() && self.name.is_empty()
    }

    /// As the service takes and gives it.
    pub fn input(&self) -> Value {
        json!({ "eventType": self.event_type, "metricName": self.name, "expression": self.expression })
    }

    /// As the service gives it, or as the guide writes it for the console.
    pub fn read(value: &Value) -> Option<Metric> {
        let of = |names: [&str; 2]| names.iter().find_map(|name| value[*name].as_str()).map(str::to_owned);
        Some(Metric {
            event_type: of(["EventType", "eventType"])?,
            name: of(["MetricName", "metricName"])?,
            expression: of(["MetricMathExpression", "expression"])?,
        })
    }
}

/// The rows that a form sent; blank ones are left out.
pub fn rows_of(form: &Form) -> Vec<Metric> {
    let fields = form.all("event-type").zip(form.all("metric-name")).zip(form.all("expression"));
    let metric = |((event_type, name), expression): ((&str, &str), &str)| Metric {
        event_type: event_type.to_owned(),
        name: name.to_owned(),
        expression: expression.to_owned(),
    };
    fields.map(metric).filter(|metric| !metric.is_blank()).collect()
}

/// Reads metrics that were typed as JSON: a list of them, or one.
///
/// # Errors
/// A refusal that says what is missing.
pub fn parse(text: &str) -> Result<Vec<Metric>, Refusal> {
    let refused = |message: String| Refusal { status: 400, code: String::new(), message };
    let value: Value =
        serde_json::from_str(text).map_err(|cause| refused(format!("The metrics are no JSON: {cause}.")))?;
    let list = if value.is_array() { value } else { json!([value]) };
    let metric = |value: &Value| {
        Metric::read(value).ok_or_else(|| {
            refused(format!(
                "Each metric has EventType, MetricName and MetricMathExpression as texts: {value}"
            ))
        })
    };
    list.as_array().into_iter().flatten().map(metric).collect()
}

/// Writes metrics as the guide does for the console.
pub fn write(metrics: &[Metric]) -> String {
    let line = |metric: &Metric| {
        format!(
            "  {{ \"EventType\": {}, \"MetricName\": {}, \"MetricMathExpression\": {} }}",
            json!(metric.event_type),
            json!(metric.name),
            json!(metric.expression)
        )
    };
    let lines: Vec<String> = metrics.iter().map(line).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

/// What makes `present` what is `wanted`; of what is present, only the metrics that a visitor has seen are removed.
pub fn change(present: &[Metric], seen: &[&str], wanted: &[Metric]) -> Change {
    let gone = present.iter().filter(|metric| seen.contains(&&metric.name[..]) && !wanted.contains(metric));
    Change {
        remove: gone.map(|metric| metric.name.clone()).collect(),
        add: wanted.iter().filter(|metric| !present.contains(metric)).cloned().collect(),
    }
}

/// The expressions that can be made of the numbers in a schema; `of` is `Interactions` or `Items`.
pub fn expressions(of: &str, schema: &Value) -> Vec<String> {
    let fields = schema["fields"].as_array().into_iter().flatten();
    let is_number = |kind: &Value| matches!(kind.as_str(), Some("int" | "long" | "float" | "double"));
    let sums = fields.filter(|field| match &field["type"] {
        Value::Array(kinds) => kinds.iter().any(is_number),
        kind => is_number(kind),
    });
    sums.filter_map(|field| Some(format!("SUM({of}.{})", field["name"].as_str()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(event_type: &str, name: &str, expression: &str) -> Metric {
        let (event_type, name, expression) = (event_type.into(), name.into(), expression.into());
        Metric { event_type, name, expression }
    }

    #[test]
    fn rows_and_json_are_the_same_metrics() {
        let form = Form::parse(
            "event-type=watch&metric-name=watches&expression=SAMPLECOUNT()&event-type=&metric-name=&\
             expression=SAMPLECOUNT()&event-type=buy&metric-name=a%22b&expression=SUM(Items.PRICE)",
        );
        let rows = rows_of(&form);
        let expected = [metric("watch", "watches", SAMPLE_COUNT), metric("buy", "a\"b", "SUM(Items.PRICE)")];
        assert_eq!(rows, expected);
        assert_eq!(parse(&write(&rows)), Ok(rows));
    }

    #[test]
    fn json_may_be_one_metric_and_written_as_the_api_does() {
        let text = r#"{"eventType":"a","metricName":"b","expression":"SAMPLECOUNT()"}"#;
        assert_eq!(parse(text), Ok(vec![metric("a", "b", SAMPLE_COUNT)]));
        for wrong in ["", "{", "[1]", r#"{"EventType":"a"}"#, "\"x\""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse("[]"), Ok(Vec::new()));
    }

    #[test]
    fn a_metric_that_differs_is_removed_and_added() {
        let present =
            [metric("a", "x", SAMPLE_COUNT), metric("a", "y", SAMPLE_COUNT), metric("a", "z", SAMPLE_COUNT)];
        let wanted = [present[0].clone(), metric("b", "y", SAMPLE_COUNT)];
        let change = change(&present, &["x", "y"], &wanted);
        assert_eq!(change, Change { add: vec![wanted[1].clone()], remove: vec!["y".to_owned()] });
    }

    #[test]
    fn numbers_of_a_schema_can_be_summed() {
        let schema = json!({ "fields": [
            { "name": "ITEM_ID", "type": "string" }, { "name": "PRICE", "type": ["null", "float"] },
            { "name": "STOCK", "type": "long" }, { "name": "NEW", "type": "boolean" },
        ] });
        assert_eq!(expressions("Items", &schema), ["SUM(Items.PRICE)", "SUM(Items.STOCK)"]);
    }
}
