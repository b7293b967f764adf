//! A report of metrics as CSV. Source: "Viewing and downloading reports".

use csv::write::{write_double, write_header, write_long, write_string};
use model::error::{Error, Result};

use super::Metric;

const HEADER: [&str; 6] =
    ["METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP"];

/// A report without rows.
pub fn begin() -> Vec<u8> {
    let mut csv = Vec::new();
    write_header(HEADER, &mut csv);
    csv
}

/// Appends a row: names in upper case, the function in lower case, the value always with a decimal point.
///
/// # Errors
/// `Invalid` for a value that is not finite.
pub fn write_row(metric: &Metric, value: f64, source: &str, bucket_s: i64, csv: &mut Vec<u8>) -> Result<()> {
    if !value.is_finite() {
        return Err(Error::invalid(format!(
            "The metric {} adds up to a number that is too large for a report.",
            metric.name
        )));
    }
    write_string(&metric.name.to_uppercase(), csv);
    csv.push(b',');
    write_string(&metric.event_type.to_uppercase(), csv);
    csv.push(b',');
    write_double(value, csv);
    csv.push(b',');
    write_string(metric.expression.function(), csv);
    csv.push(b',');
    write_string(source, csv);
    csv.push(b',');
    write_long(bucket_s, csv);
    csv.push(b'\n');
    Ok(())
}
