//! The `properties` of a record: a JSON object in a string, its values turned into those of columns.

use std::borrow::Cow;
use std::fmt;

use csv::value::ValueReader;
use model::layout::Column;
use model::record::Value;
use model::schema::Storage;
use model::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The text of the real service for properties that are no JSON object.
pub const NOT_JSON: &str = "Error parsing properties json";

/// The members of the object in the order they were sent, repeated ones too.
#[derive(Debug)]
pub struct Properties<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Properties<'a> {
    /// Absent properties are an empty object.
    ///
    /// # Errors
    /// `Invalid` when the text is no JSON object.
    pub fn parse(text: Option<&'a str>) -> Result<Properties<'a>> {
        let Some(text) = text else { return Ok(Properties(Vec::new())) };
        serde_json::from_str(text).map_err(|_| Error::invalid(NOT_JSON))
    }

    pub fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }
}

impl<'de> Deserialize<'de> for Properties<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Properties<'de>, D::Error> {
        deserializer.deserialize_map(PropertiesVisitor)
    }
}

struct PropertiesVisitor;

impl<'de> Visitor<'de> for PropertiesVisitor {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties<'de>, A::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            members.push((key, value));
        }
        Ok(Properties(members))
    }
}

/// Keys and field names are equal when they are in this form: `numRatings`, `NUM_RATINGS`, `numratings`.
pub fn plain(name: &str) -> Plain {
    if name.len() > PLAIN_BYTES || !name.is_ascii() {
        return Plain::Long(name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect());
    }
    let (mut bytes, mut len) = ([0; PLAIN_BYTES], 0);
    for byte in name.bytes().filter(|b| *b != b'_') {
        bytes[len] = byte.to_ascii_lowercase();
        len += 1;
    }
    Plain::Short(bytes, len)
}

/// Names of fields have at most so many bytes, with few exceptions.
const PLAIN_BYTES: usize = 48;

/// A name in plain form. There is one for each property, so most do without an allocation.
pub enum Plain {
    Short([u8; PLAIN_BYTES], usize),
    Long(String),
}

impl Plain {
    pub fn as_str(&self) -> &str {
        match self {
            Plain::Short(bytes, len) => std::str::from_utf8(&bytes[..*len]).expect("it is ASCII"),
            Plain::Long(text) => text,
        }
    }
}

/// Turns a property into a value of its column; null and the empty string are null.
///
/// Source: "Recording item interaction events": numbers may be sent as strings.
///
/// # Errors
/// `Invalid` when the column can't take it. The text names the key and not the value.
pub fn convert<'a>(key: &str, raw: &'a RawValue, column: &Column) -> Result<Value<'a>> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'n') => Ok(Value::Null),
        Some(b'"') => from_text(key, unquote(json)?, column),
        Some(b'{' | b'[') => {
            Err(Error::invalid(format!("The property {key} must be a string, a number or a boolean.")))
        }
        _ => from_literal(key, json, column),
    }
}

// A JSON number, true or false. A number that is whole may be written 12.0: some languages know no other form.
fn from_literal<'a>(key: &str, json: &'a str, column: &Column) -> Result<Value<'a>> {
    let is_long = column.kind().storage() == Storage::Long;
    let fraction = Some(json).filter(|json| is_long && json.contains(['.', 'e', 'E']));
    match fraction.and_then(|json| json.parse().ok()).and_then(whole) {
        Some(number) => from_text(key, Cow::Owned(number.to_string()), column),
        None => from_text(key, Cow::Borrowed(json), column),
    }
}

// Only whole numbers up to 2^53 pass.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

// Texts are read as those of bulk data are.
fn from_text<'a>(key: &str, text: Cow<'a, str>, column: &Column) -> Result<Value<'a>> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    if column.kind().storage() == Storage::String {
        check_length(key, &text, column)?;
        return Ok(Value::String(text));
    }
    match ValueReader::new(column).read(&text) {
        Ok(Value::Long(number)) => Ok(Value::Long(number)),
        Ok(Value::Double(number)) => Ok(Value::Double(number)),
        Ok(Value::Boolean(truth)) => Ok(Value::Boolean(truth)),
        Ok(Value::Null | Value::String(_)) | Err(_) => Err(unfit(key, column)),
    }
}

fn unfit(key: &str, column: &Column) -> Error {
    let kind = column.kind().as_str();
    Error::invalid(match column.kind().storage() {
        Storage::Long => format!("The property {key} must be a whole number of type {kind}."),
        Storage::Double => format!("The property {key} must be a number of type {kind}."),
        Storage::String | Storage::Boolean => format!("The property {key} must be of type {kind}."),
    })
}

/// # Errors
/// `Invalid` when the column can't hold so many characters.
pub fn check_length(key: &str, text: &str, column: &Column) -> Result<()> {
    match column.characters_max() {
        Some(most) if text.len() > most && text.chars().count() > most => {
            Err(Error::invalid(format!("Length cannot be more than {most} characters for {key}.")))
        }
        _ => Ok(()),
    }
}

fn unquote(json: &str) -> Result<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Unquoted<'a>(#[serde(borrow)] Cow<'a, str>);

    // Without an escape the text stands between its quotes as it is.
    let inside = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = inside.filter(|text| !text.contains('\\')) {
        return Ok(Cow::Borrowed(text));
    }
    // Half a surrogate pair is the one thing that a raw value lets through.
    let Unquoted(text) = serde_json::from_str(json).map_err(|_| Error::invalid(NOT_JSON))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::schema::{Field, Kind};

    fn column(kind: Kind) -> Column {
        let field = Field { name: "C".into(), kind, nullable: true, categorical: false, textual: false };
        Column { field_id: 1, since: 1, field }
    }

    fn read(kind: Kind, json: &str) -> Option<Value<'static>> {
        let text = format!("{{\"c\":{json}}}");
        let properties = Properties::parse(Some(&text)).unwrap();
        let (key, raw) = properties.members().next().unwrap();
        let value = convert(key, raw, &column(kind)).ok()?;
        Some(match value {
            Value::String(text) => Value::String(text.into_owned().into()),
            Value::Null => Value::Null,
            Value::Long(n) => Value::Long(n),
            Value::Double(n) => Value::Double(n),
            Value::Boolean(b) => Value::Boolean(b),
        })
    }

    fn text(value: &str) -> Option<Value<'static>> {
        Some(Value::String(value.to_owned().into()))
    }

    #[test]
    fn a_string_column_takes_strings_numbers_and_booleans() {
        assert_eq!(read(Kind::String, r#""a\"b\u00e4|c""#), text("a\"bä|c"));
        assert_eq!(read(Kind::String, "12.50"), text("12.50"));
        assert_eq!(read(Kind::String, "-1e3"), text("-1e3"));
        assert_eq!(read(Kind::String, "true"), text("true"));
    }

    #[test]
    fn whole_numbers_come_as_numbers_or_as_their_text() {
        for json in ["13", "\"13\"", "13.0", "1.3e1"] {
            assert_eq!(read(Kind::Int, json), Some(Value::Long(13)), "{json}");
        }
        for json in ["13.5", "\"13.0\"", "\"+13\"", "\"twelve\"", "true", "\" 13\"", "2147483648", "1e300"] {
            assert_eq!(read(Kind::Int, json), None, "{json}");
        }
        assert_eq!(read(Kind::Long, "-9223372036854775808"), Some(Value::Long(i64::MIN)));
        assert_eq!(read(Kind::Long, "9223372036854775807"), Some(Value::Long(i64::MAX)));
        assert_eq!(read(Kind::Long, "9223372036854775808"), None);
    }

    #[test]
    fn fractions_come_as_numbers_or_as_their_text() {
        for (json, number) in
            [("4", 4.0), ("\"4.5\"", 4.5), ("19.99", 19.99), ("\"1e3\"", 1000.0), ("-0.5", -0.5)]
        {
            assert_eq!(read(Kind::Float, json), Some(Value::Double(number)), "{json}");
        }
        for json in ["\"true\"", "false", "\"NaN\"", "\"inf\"", "1e999", "\"1,5\"", "\"+1\""] {
            assert_eq!(read(Kind::Double, json), None, "{json}");
        }
    }

    #[test]
    fn booleans_come_as_booleans_or_as_their_words() {
        assert_eq!(read(Kind::Boolean, "true"), Some(Value::Boolean(true)));
        assert_eq!(read(Kind::Boolean, "\"false\""), Some(Value::Boolean(false)));
        for json in ["1", "\"True\"", "\"yes\""] {
            assert_eq!(read(Kind::Boolean, json), None, "{json}");
        }
    }

    #[test]
    fn null_and_the_empty_string_are_null() {
        for kind in [Kind::String, Kind::Int, Kind::Float, Kind::Boolean] {
            assert_eq!(read(kind, "null"), Some(Value::Null));
            assert_eq!(read(kind, "\"\""), Some(Value::Null));
        }
    }

    #[test]
    fn lists_and_objects_are_no_values() {
        assert_eq!(read(Kind::String, "[\"a\"]"), None);
        assert_eq!(read(Kind::String, "{}"), None);
    }

    #[test]
    fn a_thousand_characters_fit_whatever_their_bytes() {
        assert!(read(Kind::String, &format!("\"{}\"", "ä".repeat(1000))).is_some());
        assert!(read(Kind::String, &format!("\"{}\"", "ä".repeat(1001))).is_none());
    }

    #[test]
    fn what_is_no_object_is_refused_in_the_words_of_the_service() {
        for text in ["", "[]", "\"{}\"", "{\"a\":1", "{} x", "5", "{\"a\":01}", "{'a':1}"] {
            assert_eq!(
                Properties::parse(Some(text)).unwrap_err().message(),
                "Error parsing properties json",
                "{text}"
            );
        }
        assert_eq!(Properties::parse(None).unwrap().members().count(), 0);
    }

    #[test]
    fn half_a_surrogate_pair_is_refused() {
        assert_eq!(read(Kind::String, r#""\ud800""#), None);
    }

    #[test]
    fn keys_match_fields_without_case_and_underscores() {
        for key in ["numRatings", "NUM_RATINGS", "NumRatings", "num_ratings"] {
            assert_eq!(plain(key).as_str(), "numratings");
        }
        assert_eq!(plain("CATEGORY_L1").as_str(), plain("categoryL1").as_str());
        assert_eq!(plain("").as_str(), "");
        assert_eq!(plain("Ä_B").as_str(), "äb");
        for length in [PLAIN_BYTES - 1, PLAIN_BYTES, PLAIN_BYTES + 1, 1000] {
            assert_eq!(plain(&"A".repeat(length)).as_str(), "a".repeat(length));
        }
    }
}
