//! What a row of an input file does wrong, and the sentences in which a job says so.

use std::fmt;

use model::schema::Kind;

/// One broken rule and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The physical line, counted from 1, of the value or quote at fault, or of the record where there is none.
    pub line: u64,
    /// The same place as bytes from the file's start.
    pub byte: u64,
    pub column: Option<String>,
    /// The first 40 characters of the text at fault, `…` behind them if there are more.
    pub value_shortened: String,
    pub rule: Rule,
}

/// What a file must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A closing quote is followed by a comma or the line's end.
    TextAfterQuote,
    /// Quotes are closed before the file ends.
    UnclosedQuote,
    /// A record fits in memory.
    RecordTooLong { size_bytes_max: usize },
    /// Text is UTF-8.
    NotUtf8,
    /// A record has as many values as the header has names.
    FieldCount { expected: usize, found: usize },
    /// A column that is not nullable has a value in every row.
    Missing,
    /// Whole numbers: digits, with a minus before them if need be.
    NotWhole,
    /// Decimal numbers: digits and a point, with a minus and an exponent if need be.
    NotDecimal,
    /// `true` or `false`.
    NotBoolean,
    /// A number is within the range of its type.
    OutOfRange { kind: Kind },
    /// A text has no more characters than its column takes.
    TooLong { characters_max: usize },
}

impl Rule {
    /// Whether nobody can tell where records begin from there on.
    pub fn ends_file(self) -> bool {
        matches!(self, Rule::UnclosedQuote | Rule::RecordTooLong { .. })
    }

    fn is_about_bytes(self) -> bool {
        matches!(
            self,
            Rule::TextAfterQuote | Rule::UnclosedQuote | Rule::RecordTooLong { .. } | Rule::NotUtf8
        )
    }
}

/// One clause, such as `line 7, column PRICE: "cheap" is not a decimal number`.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if self.rule.is_about_bytes() {
            write!(f, ", byte {}", self.byte)?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        f.write_str(": ")?;
        self.describe(f)
    }
}

impl std::error::Error for Violation {}

impl Violation {
    /// What is wrong, without its place, such as `"cheap" is not a decimal number`.
    pub fn what(&self) -> String {
        What(self).to_string()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value_shortened;
        match self.rule {
            Rule::TextAfterQuote => f.write_str("text after a closing quote"),
            Rule::UnclosedQuote => f.write_str("unclosed quote"),
            Rule::RecordTooLong { size_bytes_max } => {
                write!(f, "a record of more than {size_bytes_max} bytes (is a closing quote missing?)")
            }
            Rule::NotUtf8 => f.write_str("text that is not UTF-8"),
            Rule::FieldCount { expected, found } => {
                write!(f, "{found} values where the header has {expected}")
            }
            Rule::Missing => f.write_str("a value is required"),
            Rule::NotWhole => write!(f, "{value:?} is not a whole number"),
            Rule::NotDecimal => write!(f, "{value:?} is not a decimal number"),
            Rule::NotBoolean => write!(f, "{value:?} is neither true nor false"),
            Rule::OutOfRange { kind } => write!(f, "{value:?} is out of the range of {}", kind.as_str()),
            Rule::TooLong { characters_max } => {
                write!(f, "{value:?} has more than {characters_max} characters")
            }
        }
    }
}

/// A violation without its place.
struct What<'a>(&'a Violation);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}

/// The sentence that a job which failed for this violation gives as its reason.
///
/// Source: "Error messages" for values that are too long.
pub fn failure_reason(file_key: &str, violation: &Violation) -> String {
    match (violation.rule, &violation.column) {
        (Rule::TooLong { characters_max }, Some(column)) => format!(
            "Length cannot be more than {characters_max} characters for {column}. If no values exceed the \
             character limit, make sure your data follows the formatting guidelines listed in \
             https://docs.aws.amazon.com/personalize/latest/dg/data-prep-formatting.html. (file {file_key}, {violation})"
        ),
        _ => format!(
            "Input csv has rows that do not conform to the dataset schema. Please ensure all required data \
             fields are present and that they are of the type specified in the schema. (file {file_key}, {violation})"
        ),
    }
}

const CHARACTERS_SHOWN: usize = 40;

/// The beginning of a text, short enough for a message.
pub(crate) fn shorten(text: &[u8]) -> String {
    // One character more than is shown, each of four bytes.
    let head = String::from_utf8_lossy(&text[..text.len().min(4 * (CHARACTERS_SHOWN + 1))]);
    let mut characters = head.chars();
    let mut shown: String = characters.by_ref().take(CHARACTERS_SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(column: Option<&str>, value: &str, rule: Rule) -> Violation {
        let value_shortened = shorten(value.as_bytes());
        Violation { line: 7, byte: 90, column: column.map(str::to_owned), value_shortened, rule }
    }

    #[test]
    fn a_failure_reason_begins_with_the_published_sentence() {
        let long = violation(Some("USER_ID"), "u", Rule::TooLong { characters_max: 256 });
        assert_eq!(
            failure_reason("in/a.csv", &long),
            format!(
                "Length cannot be more than 256 characters for USER_ID. If no values exceed the character limit, \
                 make sure your data follows the formatting guidelines listed in \
                 https://docs.aws.amazon.com/personalize/latest/dg/data-prep-formatting.html. (file in/a.csv, {long})"
            )
        );
        let wrong = violation(Some("PRICE"), "cheap", Rule::NotDecimal);
        assert_eq!(wrong.what(), "\"cheap\" is not a decimal number");
        assert_eq!(
            failure_reason("in/a.csv", &wrong),
            "Input csv has rows that do not conform to the dataset schema. Please ensure all required data \
             fields are present and that they are of the type specified in the schema. \
             (file in/a.csv, line 7, column PRICE: \"cheap\" is not a decimal number)"
        );
    }

    #[test]
    fn a_fault_of_the_bytes_is_named_with_its_byte() {
        assert_eq!(violation(None, "", Rule::UnclosedQuote).to_string(), "line 7, byte 90: unclosed quote");
    }

    #[test]
    fn a_shown_value_is_short_and_on_one_line() {
        let shown = violation(Some("N"), &"\n€".repeat(1000), Rule::NotWhole).to_string();
        assert!(shown.ends_with("€…\" is not a whole number") && !shown.contains('\n'), "{shown}");
        assert_eq!(shorten("€".repeat(40).as_bytes()), "€".repeat(40));
        assert_eq!(shorten(&[0xff, b'a']), "\u{fffd}a");
    }
}
