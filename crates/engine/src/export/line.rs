//! Records written value by value: for every form that is not the plain CSV of all exports.

use model::Layout;
use model::export::{CsvDialect, ExportOptions, Format, OutputColumn};
use model::record::Value;
use store::merge::Past;

use super::member::Member;

/// A column of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineColumn {
    Of(OutputColumn),
    /// Why the record was left out.
    Rule,
    /// How many records were.
    Copies,
}

/// Why records are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    ExactDuplicate,
    Superseded,
    Filtered,
}

/// Records that are left out: how many, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub rule: Rule,
    pub copies: u64,
}

impl Rule {
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::ExactDuplicate => "exactDuplicate",
            Rule::Superseded => "superseded",
            Rule::Filtered => "filtered",
        }
    }
}

/// What stands between values and around them.
enum Style {
    Csv(CsvDialect),
    /// The names in quotes, with their colons.
    Json(Vec<String>),
    /// As `parquet` takes them: for each value `00`, or `01` and the value, texts behind their length.
    Binary,
}

/// Writes records of one layout as lines.
pub struct LineWriter {
    columns: Vec<LineColumn>,
    style: Style,
}

impl LineWriter {
    pub fn new(options: &ExportOptions, layout: &Layout) -> LineWriter {
        let columns: Vec<_> = options.columns(layout);
        let style = match options.format {
            Format::Csv => Style::Csv(options.dialect),
            Format::Jsonl => Style::Json(columns.iter().map(|c| json_name(c.name(layout))).collect()),
            Format::Parquet => Style::Binary,
        };
        LineWriter { columns: columns.into_iter().map(LineColumn::Of).collect(), style }
    }

    /// Lines of what was left out: all fields, the rule, and how many records it was.
    pub fn of_losers(layout: &Layout) -> LineWriter {
        let fields = (0..layout.columns.len()).map(|n| LineColumn::Of(OutputColumn::Field(n)));
        let columns = fields.chain([LineColumn::Rule, LineColumn::Copies]).collect();
        LineWriter { columns, style: Style::Csv(CsvDialect::Rfc4180) }
    }

    /// Appends the line of a record.
    pub fn put(&self, member: &Member, left_out: Option<LeftOut>, out: &mut Vec<u8>) {
        let values = self.columns.iter().map(|column| value(*column, member, left_out));
        match &self.style {
            Style::Csv(dialect) => put_csv(values, *dialect, self.columns.len() == 1, out),
            Style::Json(names) => put_json(names, values, out),
            Style::Binary => values.for_each(|value| put_binary(&value, out)),
        }
    }
}

fn value<'a>(column: LineColumn, member: &'a Member, left_out: Option<LeftOut>) -> Value<'a> {
    match column {
        LineColumn::Of(OutputColumn::Field(n)) => member.rows.columns[n].get(member.row),
        LineColumn::Of(OutputColumn::Sequence) => number(member.arrivals.sequence_max),
        LineColumn::Of(OutputColumn::Origin) => Value::String(origin(member.past).into()),
        LineColumn::Rule => left_out.map_or(Value::Null, |left| Value::String(left.rule.as_str().into())),
        LineColumn::Copies => left_out.map_or(Value::Null, |left| number(left.copies)),
    }
}

fn number(number: u64) -> Value<'static> {
    Value::Long(i64::try_from(number).unwrap_or(i64::MAX))
}

fn origin(past: Past) -> &'static str {
    match (past.is_bulk, past.is_put) {
        (true, true) => "BULK|PUT",
        (true, false) => "BULK",
        _ => "PUT",
    }
}

fn put_csv<'v>(
    values: impl Iterator<Item = Value<'v>>,
    dialect: CsvDialect,
    is_alone: bool,
    out: &mut Vec<u8>,
) {
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        match value {
            // A blank line would be no record.
            Value::Null if is_alone => out.extend_from_slice(b"\"\""),
            Value::String(text) if dialect == CsvDialect::Aws => csv::write::write_escaped(&text, out),
            value => csv::write::write_value(&value, out),
        }
    }
    out.push(b'\n');
}

fn json_name(name: &str) -> String {
    format!("{}:", serde_json::Value::from(name))
}

fn put_json<'v>(names: &[String], values: impl Iterator<Item = Value<'v>>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (n, (name, value)) in names.iter().zip(values).enumerate() {
        if n > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::String(text) => put_json_text(&text, out),
            value => csv::write::write_value(&value, out),
        }
    }
    out.extend_from_slice(b"}\n");
}

// Only what JSON demands is escaped; everything else is UTF-8 as it is.
fn put_json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for piece in text.as_bytes().split_inclusive(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        let Some((last, plain)) = piece.split_last() else { continue };
        out.extend_from_slice(plain);
        match last {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *last]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{last:04x}").as_bytes()),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

fn put_binary(value: &Value<'_>, out: &mut Vec<u8>) {
    out.push(u8::from(!value.is_null()));
    match value {
        Value::Null => {}
        Value::String(text) => {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Value::Long(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Boolean(truth) => out.push(u8::from(*truth)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        put_json_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_reads_texts_back_as_they_were() {
        for text in ["", "plain", "a\"b\\c", "\n\r\t\u{1}\u{1f}\u{7f}", "é日本\u{2028}", "\"", "ends\\"] {
            assert_eq!(serde_json::from_str::<String>(&json(text)).unwrap(), text);
        }
        assert_eq!(json("a\u{1}b"), "\"a\\u0001b\"");
    }

    #[test]
    fn a_null_alone_is_no_blank_line() {
        let mut out = Vec::new();
        put_csv([Value::Null].into_iter(), CsvDialect::Rfc4180, true, &mut out);
        put_csv([Value::Null, Value::Null].into_iter(), CsvDialect::Rfc4180, false, &mut out);
        assert_eq!(out, b"\"\"\n,\n");
    }

    #[test]
    fn the_documented_dialect_escapes_within_quotes_only() {
        let mut out = Vec::new();
        let values = ["a\\b", "a,\"b\\", "\"", " \\"].map(|text| Value::String(text.into()));
        put_csv(values.into_iter(), CsvDialect::Aws, false, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\b,\"a,\\\"b\\\\\",\"\\\"\",\" \\\\\"\n");
    }
}
