//! Constraints of request members: declared as tables, checked on the JSON before anything is read from it.

use std::sync::OnceLock;

use model::{Error, ErrorKind, Result};
use regex::Regex;
use serde_json::Value;

/// The members of a request or of a part of it; members that are not named here are ignored.
pub struct Structure {
    pub members: &'static [Member],
}

/// One member: JSON null counts as absent.
pub struct Member {
    pub name: &'static str,
    pub required: bool,
    pub shape: Shape,
}

/// What a member's value may be.
pub enum Shape {
    /// Length in code points.
    Text {
        min: usize,
        max: usize,
        pattern: Option<&'static Pattern>,
    },
    Enum(&'static [&'static str]),
    Integer {
        min: i64,
        max: i64,
    },
    Boolean,
    /// Seconds since the epoch: a number, or a text that holds one.
    Timestamp,
    Float,
    List {
        min: usize,
        max: usize,
        of: &'static Shape,
    },
    Structure(&'static Structure),
}

/// A regular expression that must match the whole value; compiled at its first use.
pub struct Pattern {
    text: &'static str,
    regex: OnceLock<Regex>,
}

impl Pattern {
    /// `text` as it is quoted in errors; it is anchored on both ends whether it says so or not.
    pub const fn new(text: &'static str) -> Pattern {
        Pattern { text, regex: OnceLock::new() }
    }

    pub fn matches(&self, value: &str) -> bool {
        self.regex.get_or_init(|| self.compile()).is_match(value)
    }

    // In the patterns of service models a digit is one of ten; here it would be one of any script.
    fn compile(&self) -> Regex {
        let text = self.text.replace(r"\d", "[0-9]");
        Regex::new(&format!(r"\A(?:{text})\z")).expect("patterns are constants, all tested")
    }
}

impl Structure {
    pub const fn new(members: &'static [Member]) -> Structure {
        Structure { members }
    }
}

/// A member that must be there.
pub const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, shape }
}

/// A member that may be absent.
pub const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape }
}

/// A string of `min` to `max` code points.
pub const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max, pattern: None }
}

/// A string of `min` to `max` code points that matches a pattern.
pub const fn matching(min: usize, max: usize, pattern: &'static Pattern) -> Shape {
    Shape::Text { min, max, pattern: Some(pattern) }
}

/// A list of `min` to `max` values of one shape.
pub const fn list(min: usize, max: usize, of: &'static Shape) -> Shape {
    Shape::List { min, max, of }
}

/// Checks a request against its table.
///
/// Lists that are too long are not looked into. Source: "Common errors", ValidationError.
///
/// # Errors
/// `Serialization` for the first member whose JSON type is wrong; else `Invalid` with every broken constraint.
pub fn check(structure: &Structure, input: &Value) -> Result<()> {
    let mut findings = Findings { path: Vec::new(), broken: Vec::new() };
    findings.structure(structure, input)?;
    match findings.broken.len() {
        0 => Ok(()),
        n => Err(Error::invalid(sentence(n, &findings.broken))),
    }
}

/// Removes what the table does not name; for a request that `check` has let pass.
pub fn keep_known(structure: &Structure, input: &mut Value) {
    let Value::Object(object) = input else { return };
    object.retain(|name, value| match structure.members.iter().find(|member| member.name == name) {
        Some(member) => {
            keep_known_within(&member.shape, value);
            true
        }
        None => false,
    });
}

fn keep_known_within(shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Structure(structure), value) => keep_known(structure, value),
        (Shape::List { of, .. }, Value::Array(elements)) => {
            elements.iter_mut().for_each(|element| keep_known_within(of, element));
        }
        _ => {}
    }
}

/// The error of a single broken constraint that no table can express.
pub fn broken(value: Option<&str>, path: &str, constraint: &str) -> Error {
    Error::invalid(sentence(1, &[finding(&quoted(value), path, constraint)]))
}

fn sentence(n: usize, broken: &[String]) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} validation error{plural} detected: {}", broken.join("; "))
}

fn finding(value: &str, path: &str, constraint: &str) -> String {
    format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}")
}

// A refused document can be megabytes long; its beginning is enough to recognise it.
const SHOWN_CHARACTERS_MAX: usize = 1024;

fn quoted(value: Option<&str>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    match value.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("'{}…'", &value[..end]),
        None => format!("'{value}'"),
    }
}

struct Findings {
    /// Where the value in hand stands, such as `eventList`, `1`, `member`, `properties`.
    path: Vec<Step>,
    broken: Vec<String>,
}

/// One step of the way to a value; put into words only where there is something to say of it.
#[derive(Clone, Copy)]
enum Step {
    Member(&'static str),
    /// An element of a list, counted from 1.
    Element(usize),
}

impl Findings {
    fn structure(&mut self, structure: &Structure, value: &Value) -> Result<()> {
        let Value::Object(object) = value else { return Err(self.wrong_type("an object")) };
        for member in structure.members {
            self.path.push(Step::Member(member.name));
            match object.get(member.name).unwrap_or(&Value::Null) {
                Value::Null if member.required => self.must(None, "not be null"),
                Value::Null => {}
                value => self.shape(&member.shape, value)?,
            }
            self.path.pop();
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Shape, value: &Value) -> Result<()> {
        match shape {
            Shape::Text { min, max, pattern } => self.text(value, *min, *max, *pattern),
            Shape::Enum(words) => self.word(value, words),
            Shape::Integer { min, max } => self.integer(value, *min, *max),
            Shape::Boolean => self.typed(value.is_boolean(), "true or false"),
            Shape::Timestamp => self.typed(is_timestamp(value), "a number of seconds"),
            Shape::Float => self.typed(value.is_number(), "a number"),
            Shape::List { min, max, of } => self.list(value, *min, *max, of),
            Shape::Structure(structure) => self.structure(structure, value),
        }
    }

    fn text(&mut self, value: &Value, min: usize, max: usize, pattern: Option<&Pattern>) -> Result<()> {
        let Value::String(text) = value else { return Err(self.wrong_type("a string")) };
        self.length(Some(text), text.chars().count(), min, max);
        if let Some(pattern) = pattern.filter(|p| !p.matches(text)) {
            self.must(Some(text), &format!("satisfy regular expression pattern: {}", pattern.text));
        }
        Ok(())
    }

    fn word(&mut self, value: &Value, words: &[&str]) -> Result<()> {
        let Value::String(text) = value else { return Err(self.wrong_type("a string")) };
        if !words.contains(&text.as_str()) {
            self.must(Some(text), &format!("satisfy enum value set: [{}]", words.join(", ")));
        }
        Ok(())
    }

    fn integer(&mut self, value: &Value, min: i64, max: i64) -> Result<()> {
        let Some(number) = value.as_i64() else { return Err(self.wrong_type("a whole number")) };
        if number < min {
            self.must(Some(&number.to_string()), &format!("have value greater than or equal to {min}"));
        }
        if number > max {
            self.must(Some(&number.to_string()), &format!("have value less than or equal to {max}"));
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, min: usize, max: usize, of: &Shape) -> Result<()> {
        let Value::Array(elements) = value else { return Err(self.wrong_type("a list")) };
        if elements.len() < min || elements.len() > max {
            self.length(Some(&value.to_string()), elements.len(), min, max);
            return Ok(());
        }
        for (n, element) in (1..).zip(elements) {
            self.path.push(Step::Element(n));
            match element {
                Value::Null => self.must(None, "not be null"),
                element => self.shape(of, element)?,
            }
            self.path.pop();
        }
        Ok(())
    }

    fn length(&mut self, value: Option<&str>, length: usize, min: usize, max: usize) {
        if length < min {
            self.must(value, &format!("have length greater than or equal to {min}"));
        }
        if length > max {
            self.must(value, &format!("have length less than or equal to {max}"));
        }
    }

    fn typed(&self, is_right: bool, right: &str) -> Result<()> {
        if is_right { Ok(()) } else { Err(self.wrong_type(right)) }
    }

    fn must(&mut self, value: Option<&str>, constraint: &str) {
        self.broken.push(finding(&quoted(value), &self.place(), &format!("Member must {constraint}")));
    }

    fn place(&self) -> String {
        let step = |step: &Step| match step {
            Step::Member(name) => (*name).to_owned(),
            Step::Element(n) => format!("{n}.member"),
        };
        self.path.iter().map(step).collect::<Vec<_>>().join(".")
    }

    fn wrong_type(&self, right: &str) -> Error {
        let member =
            if self.path.is_empty() { "body".to_owned() } else { format!("member {}", self.place()) };
        Error::new(ErrorKind::Serialization, format!("The {member} must be {right}."))
    }
}

fn is_timestamp(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => text.parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
