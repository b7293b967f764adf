//! From the text of a value to the value: what each type of column takes.

pub mod number;

use std::borrow::Cow;

use model::layout::Column;
use model::record::Value;
use model::schema::Kind;

use crate::violation::Rule;
use number::Fault;

/// Reads the values of one column.
#[derive(Clone, Copy, Debug)]
pub struct ValueReader {
    kind: Kind,
    is_nullable: bool,
    characters_max: usize,
}

impl ValueReader {
    pub fn new(column: &Column) -> ValueReader {
        ValueReader {
            kind: column.kind(),
            is_nullable: column.field.nullable,
            characters_max: column.characters_max().unwrap_or(usize::MAX),
        }
    }

    /// Reads a value; no text is null. Numbers of both widths become the wide form.
    ///
    /// Source: "Datasets and schemas" for types, "Quotas" for lengths.
    ///
    /// # Errors
    /// The rule that the text breaks.
    #[inline]
    pub fn read<'a>(&self, text: &'a str) -> Result<Value<'a>, Rule> {
        if text.is_empty() {
            return if self.is_nullable { Ok(Value::Null) } else { Err(Rule::Missing) };
        }
        match self.kind {
            Kind::String => self.read_string(text),
            Kind::Int | Kind::Long => self.read_long(text),
            Kind::Float | Kind::Double => self.read_double(text),
            Kind::Boolean => read_boolean(text),
        }
    }

    // No text has more characters than bytes, so most are never counted.
    #[inline]
    fn read_string<'a>(&self, text: &'a str) -> Result<Value<'a>, Rule> {
        let characters_max = self.characters_max;
        if text.len() > characters_max && text.chars().count() > characters_max {
            return Err(Rule::TooLong { characters_max });
        }
        Ok(Value::String(Cow::Borrowed(text)))
    }

    #[inline]
    fn read_long(&self, text: &str) -> Result<Value<'static>, Rule> {
        let number = number::parse_long(text).map_err(|fault| self.broken(fault, Rule::NotWhole))?;
        if self.kind == Kind::Int && i32::try_from(number).is_err() {
            return Err(self.broken(Fault::Range, Rule::NotWhole));
        }
        Ok(Value::Long(number))
    }

    #[inline]
    fn read_double(&self, text: &str) -> Result<Value<'static>, Rule> {
        number::parse_double(text).map(Value::Double).map_err(|fault| self.broken(fault, Rule::NotDecimal))
    }

    fn broken(&self, fault: Fault, spelling: Rule) -> Rule {
        match fault {
            Fault::Spelling => spelling,
            Fault::Range => Rule::OutOfRange { kind: self.kind },
        }
    }
}

#[inline]
fn read_boolean(text: &str) -> Result<Value<'static>, Rule> {
    match text {
        "true" => Ok(Value::Boolean(true)),
        "false" => Ok(Value::Boolean(false)),
        _ => Err(Rule::NotBoolean),
    }
}

/// An empty vector for the next record's values, in the memory of the last one's.
pub fn recycle<'b>(mut values: Vec<Value<'_>>) -> Vec<Value<'b>> {
    values.clear();
    values.into_iter().map(|_| Value::Null).collect()
}

#[cfg(test)]
mod tests;
