//! A plan: what has to be made or changed so that the server has what a file declares.

use serde_json::{Value, json};

use super::item::{Attributes, Found, Item, Kind};

/// One item and what is to become of it.
#[derive(Debug)]
pub struct Step {
    pub kind: Kind,
    pub name: String,
    pub action: Action,
    /// What the server has beyond the file, and keeps.
    pub more: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub enum Action {
    Nothing,
    Create(Attributes),
    Change(Vec<Change>),
}

#[derive(Debug, PartialEq)]
pub struct Change {
    pub attribute: String,
    /// Null where there is none.
    pub old: Value,
    pub new: Value,
    /// Why it can't be.
    pub fixed: Option<&'static str>,
}

impl Step {
    /// What becomes of an item whose attributes, without references, are to be `wanted`.
    pub fn of(item: &Item, wanted: Attributes, found: Option<Found>) -> Step {
        let (kind, name) = (item.kind, item.name.clone());
        let Some(Found { attributes, more }) = found else {
            return Step { kind, name, action: Action::Create(wanted), more: Vec::new() };
        };
        let changes: Vec<Change> = wanted
            .into_iter()
            .filter_map(|(attribute, new)| {
                let old = attributes.get(&attribute).cloned().unwrap_or(Value::Null);
                let fixed = kind.fixed(&name, &attribute);
                (old != new).then_some(Change { attribute, old, new, fixed })
            })
            .collect();
        let action = if changes.is_empty() { Action::Nothing } else { Action::Change(changes) };
        Step { kind, name, action, more }
    }

    /// What can't be changed, as sentences.
    pub fn problems(&self) -> Vec<String> {
        let Action::Change(changes) = &self.action else { return Vec::new() };
        let told = |change: &Change| {
            let (kind, name) = (self.kind.as_str(), &self.name);
            Some(format!("{kind} {name}, {}: {}", change.attribute, change.fixed?))
        };
        changes.iter().filter_map(told).collect()
    }

    /// As lines for a person: `+` is made, `~` is changed, by attributes.
    pub fn lines(&self) -> Vec<String> {
        let head = |sign: char| format!("{sign} {} {}", self.kind.as_str(), self.name);
        let mut lines = match &self.action {
            Action::Nothing => Vec::new(),
            Action::Create(wanted) => {
                let said = wanted.iter().filter(|(_, value)| !value.is_null());
                let line = |(name, value): (&String, &Value)| format!("    {name}: {}", short(value));
                std::iter::once(head('+')).chain(said.map(line)).collect()
            }
            Action::Change(changes) => {
                let lines = changes.iter().flat_map(Change::lines);
                std::iter::once(head('~')).chain(lines).collect()
            }
        };
        let stays =
            |more: &String| format!("  ({} {} also has {more}, which stays)", self.kind.as_str(), self.name);
        lines.extend(self.more.iter().map(stays));
        lines
    }

    pub fn json(&self) -> Value {
        let (action, attributes) = match &self.action {
            Action::Nothing => ("none", json!([])),
            Action::Create(wanted) => {
                let one = |(name, new): (&String, &Value)| json!({ "name": name, "old": null, "new": new });
                ("create", wanted.iter().map(one).collect())
            }
            Action::Change(changes) => {
                let one = |change: &Change| json!({ "name": change.attribute, "old": change.old, "new": change.new, "problem": change.fixed });
                ("change", changes.iter().map(one).collect())
            }
        };
        let kind = self.kind.as_str();
        json!({ "action": action, "kind": kind, "name": self.name, "attributes": attributes, "alsoThere": self.more })
    }
}

impl Change {
    // Of documents only what differs.
    fn lines(&self) -> Vec<String> {
        let mut found = Vec::new();
        differences(&self.attribute, &self.old, &self.new, &mut found);
        let mut lines: Vec<String> = found
            .into_iter()
            .map(|(path, old, new)| format!("    {path}: {} → {}", short(old), short(new)))
            .collect();
        if let Some(why) = self.fixed {
            lines.push(format!("    ! {why}"));
        }
        lines
    }
}

type Difference<'a> = (String, &'a Value, &'a Value);

fn differences<'a>(path: &str, old: &'a Value, new: &'a Value, found: &mut Vec<Difference<'a>>) {
    match (old, new) {
        (Value::Object(olds), Value::Object(news)) => {
            for (name, old) in olds {
                differences(&format!("{path}.{name}"), old, news.get(name).unwrap_or(&Value::Null), found);
            }
            for (name, new) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
                differences(&format!("{path}.{name}"), &Value::Null, new, found);
            }
        }
        (Value::Array(olds), Value::Array(news)) if olds.len() == news.len() => {
            for (n, (old, new)) in olds.iter().zip(news).enumerate() {
                differences(&format!("{path}[{n}]"), old, new, found);
            }
        }
        _ if old != new => found.push((path.to_owned(), old, new)),
        _ => {}
    }
}

fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 120;
    let text = match value {
        Value::Null => return "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// How many are made, changed, and as they should be.
pub fn counts(steps: &[Step]) -> (usize, usize, usize) {
    let count = |is: fn(&Action) -> bool| steps.iter().filter(|step| is(&step.action)).count();
    (
        count(|action| matches!(action, Action::Create(_))),
        count(|action| matches!(action, Action::Change(_))),
        count(|action| *action == Action::Nothing),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: Kind, name: &str, wanted: Value, found: Option<Value>) -> Step {
        let attributes = |value: Value| value.as_object().unwrap().clone().into_iter().collect();
        let found = found.map(|found| Found { attributes: attributes(found), more: vec![] });
        let at = crate::apply::yaml::Place { line: 1, column: 1 };
        let item = Item { kind, name: name.into(), at, wanted: Attributes::new() };
        Step::of(&item, attributes(wanted), found)
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let policy = json!({"a": [1, {"b": 2}]});
        let same = step(Kind::Role, "r", json!({"trust": policy}), Some(json!({"trust": policy, "x": 1})));
        assert_eq!(same.action, Action::Nothing);
        assert!(same.lines().is_empty());
        let made = step(Kind::Bucket, "b", json!({"policy": {"a": 1}, "none": null}), None);
        assert_eq!(made.lines(), ["+ bucket b", "    policy: {\"a\":1}"]);
    }

    #[test]
    fn of_a_document_only_what_differs_is_shown() {
        let old = json!({"trust": {"Statement": [{"Effect": "Allow", "Action": "a"}], "Id": "x"}});
        let new = json!({"trust": {"Statement": [{"Effect": "Allow", "Action": ["a", "b"]}], "New": 1}});
        let changed = step(Kind::Role, "r", new, Some(old));
        let expected = [
            "~ role r",
            "    trust.Id: x → –",
            "    trust.Statement[0].Action: a → [\"a\",\"b\"]",
            "    trust.New: – → 1",
        ];
        assert_eq!(changed.lines(), expected);
    }

    #[test]
    fn what_can_not_be_changed_is_a_problem() {
        let schema =
            |name: &str| step(Kind::Dataset, name, json!({"schema": "b"}), Some(json!({"schema": "a"})));
        assert!(schema("shop/ITEMS").problems().is_empty());
        let problems = schema("shop/INTERACTIONS").problems();
        assert!(problems[0].starts_with("dataset shop/INTERACTIONS, schema: only datasets"), "{problems:?}");
    }
}
