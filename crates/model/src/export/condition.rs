//! Which records an export keeps: terms that all have to hold.

use std::cmp::Ordering;

use super::words::wrong;
use crate::Layout;
use crate::error::Result;
use crate::record::Value;
use crate::schema::Storage;

/// Terms that all have to hold; none always do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    pub terms: Vec<Term>,
}

/// What the value of one field must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The field's position in the layout.
    pub column: usize,
    pub operator: Operator,
    /// One; several for `in`, none for `null` and `notnull`.
    pub values: Vec<Value<'static>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Prefix,
    Null,
    NotNull,
}

const OPERATORS: [(&str, Operator); 10] = [
    ("eq", Operator::Equal),
    ("ne", Operator::NotEqual),
    ("lt", Operator::Less),
    ("le", Operator::AtMost),
    ("gt", Operator::Greater),
    ("ge", Operator::AtLeast),
    ("in", Operator::In),
    ("prefix", Operator::Prefix),
    ("null", Operator::Null),
    ("notnull", Operator::NotNull),
];

impl Condition {
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a record is kept; `value` gives the value of a field.
    pub fn holds<'v>(&self, value: impl Fn(usize) -> Value<'v>) -> bool {
        self.terms.iter().all(|term| term.holds(&value(term.column)))
    }
}

impl Term {
    /// Reads `FIELD:operator:value`; everything behind the second colon is the value.
    ///
    /// # Errors
    /// `Invalid`, with what would be allowed.
    pub fn read(key: &str, text: &str, layout: &Layout) -> Result<Term> {
        let mut parts = text.splitn(3, ':');
        let (field, operator, value) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let names: Vec<&str> = layout.columns.iter().map(|column| column.name()).collect();
        let column = layout.position(field).ok_or_else(|| {
            wrong(key, text, &format!("FIELD:operator:value with a FIELD of {}", names.join(", ")))
        })?;
        let storage = layout.columns[column].kind().storage();
        let allowed = allowed(storage);
        let known = OPERATORS.into_iter().find(|(name, _)| Some(*name) == operator);
        let operator = known.filter(|(name, _)| allowed.contains(name)).map(|(_, operator)| operator);
        let (names, kind) = (allowed.join(", "), layout.columns[column].kind().as_str());
        let operator = operator.ok_or_else(|| {
            wrong(
                key,
                text,
                &format!("{field}:operator:value with an operator of {names}, as {field} is a {kind}"),
            )
        })?;
        let values = read_values(operator, value, storage);
        let form = form(operator, kind);
        let values = values.ok_or_else(|| wrong(key, text, &format!("{field}:operator{form}")))?;
        Ok(Term { column, operator, values })
    }

    // A null is neither equal to a value nor not equal, neither smaller nor larger.
    pub(super) fn holds(&self, value: &Value<'_>) -> bool {
        match self.operator {
            Operator::Null => value.is_null(),
            Operator::NotNull => !value.is_null(),
            _ if value.is_null() => false,
            Operator::In => self.values.iter().any(|wanted| compare(value, wanted).is_eq()),
            _ => self.values.first().is_some_and(|wanted| self.compares(value, wanted)),
        }
    }

    fn compares(&self, value: &Value<'_>, wanted: &Value<'_>) -> bool {
        let order = compare(value, wanted);
        match self.operator {
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Prefix => match (value, wanted) {
                (Value::String(text), Value::String(prefix)) => text.starts_with(&**prefix),
                _ => false,
            },
            _ => order.is_eq(),
        }
    }
}

// Texts by their bytes; a field's values and those of its terms have one type.
fn compare(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Long(a), Value::Long(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => Ordering::Less,
    }
}

fn allowed(storage: Storage) -> Vec<&'static str> {
    let is_allowed = |operator: Operator| match operator {
        Operator::Prefix => storage == Storage::String,
        Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast | Operator::In => {
            storage != Storage::Boolean
        }
        _ => true,
    };
    OPERATORS.into_iter().filter(|(_, operator)| is_allowed(*operator)).map(|(name, _)| name).collect()
}

fn form(operator: Operator, kind: &str) -> String {
    match operator {
        Operator::Null | Operator::NotNull => ", with nothing behind it".to_owned(),
        Operator::In => format!(":values, one or more of type {kind} with blanks between"),
        _ => format!(":value with a value of type {kind}"),
    }
}

fn read_values(operator: Operator, text: Option<&str>, storage: Storage) -> Option<Vec<Value<'static>>> {
    let read = |text: &str| read_value(text, storage);
    match (operator, text) {
        (Operator::Null | Operator::NotNull, None) => Some(Vec::new()),
        (Operator::Null | Operator::NotNull, Some(_)) | (_, None) => None,
        (Operator::In, Some(text)) => {
            let values: Option<Vec<_>> = text.split_ascii_whitespace().map(read).collect();
            values.filter(|values| !values.is_empty())
        }
        (_, Some(text)) => Some(vec![read(text)?]),
    }
}

// An empty text is null, which has operators of its own.
fn read_value(text: &str, storage: Storage) -> Option<Value<'static>> {
    match storage {
        Storage::String => (!text.is_empty()).then(|| Value::String(text.to_owned().into())),
        Storage::Long => text.parse().ok().map(Value::Long),
        // Of the two zeros only one is stored.
        Storage::Double => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| Value::Double(n + 0.0)),
        Storage::Boolean => text.parse().ok().map(Value::Boolean),
    }
}
