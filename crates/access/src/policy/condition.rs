//! Conditions of a statement: an operator, the key that it asks for, and the values that are wanted.

mod operator;
mod wanted;

use super::Request;
use super::context::{self, Values};
use super::json::Node;
use super::template::Syntax;
use operator::{Operator, Set};
use wanted::Wanted;

/// One key under one operator; all conditions of a statement must hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// In lower case.
    key: String,
    operator: Operator,
    wanted: Wanted,
}

impl Condition {
    /// Whether it holds for a request.
    ///
    /// A key that is missing fulfils only the negated operators, `…IfExists` and `ForAllValues`; `ForAnyValue` needs
    /// a value. Source: "IAM JSON policy elements: Condition operators", and "… multivalued context keys".
    pub(super) fn holds(&self, request: &Request<'_>) -> bool {
        let found = request.values(&self.key);
        let Operator { set, is_negated, if_exists, .. } = self.operator;
        if let Wanted::Missing(wanted) = &self.wanted {
            return wanted.contains(&(found == Values::Missing));
        }
        let is_wanted = |value: &str| self.wanted.takes(value, request);
        match (&found, set) {
            (Values::Missing, Some(Set::Any)) => if_exists,
            (Values::Missing, Some(Set::All)) => true,
            (Values::Missing, None) => if_exists || is_negated,
            (values, Some(Set::Any)) => values.any(|value| is_wanted(value) != is_negated),
            (values, Some(Set::All)) => !values.any(|value| is_wanted(value) == is_negated),
            (values, None) => values.any(is_wanted) != is_negated,
        }
    }

    /// The key that it asks for, in lower case.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether the key, or a variable among the values, belongs to a family such as `aws:resourcetag/`.
    pub(super) fn asks_for(&self, family: &str) -> bool {
        self.key.starts_with(family) || self.wanted.asks_for(family)
    }
}

/// Reads the element `Condition`.
///
/// # Errors
/// A sentence about the first operator, key or value that is not known or not evaluated.
pub(super) fn read(node: &Node, variables: bool) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (name, keys) in members(node, "Condition")? {
        let operator = Operator::parse(name)?;
        for (key, values) in members(keys, name)? {
            let syntax = |wildcards| Syntax { wildcards, variables };
            let wanted = Wanted::parse(operator.kind, &texts(values, key)?, syntax)
                .map_err(|wrong| format!("{name} of {key}: {wrong}"))?;
            let key = context::parse_key(key).ok_or_else(|| {
                format!("{key} is no condition key that this server knows, such as aws:SourceArn.")
            })?;
            conditions.push(Condition { key, operator, wanted });
        }
    }
    Ok(conditions)
}

// An empty object would let everything through that somebody meant to restrict.
fn members<'n>(node: &'n Node, name: &str) -> Result<&'n [(String, Node)], String> {
    match node {
        Node::Object(members) if !members.is_empty() => Ok(members),
        _ => Err(format!("{name} is a JSON object that is not empty.")),
    }
}

// Numbers and truths may stand without quotation marks.
fn texts(node: &Node, key: &str) -> Result<Vec<String>, String> {
    let list = match node {
        Node::List(list) if !list.is_empty() => list.as_slice(),
        Node::List(_) | Node::Object(_) | Node::Null => &[],
        single => std::slice::from_ref(single),
    };
    let text = |node: &Node| match node {
        Node::Text(text) | Node::Number(text) => Some(text.clone()),
        Node::Truth(is_true) => Some(is_true.to_string()),
        Node::List(_) | Node::Object(_) | Node::Null => None,
    };
    let texts: Option<Vec<String>> = list.iter().map(text).collect();
    let wrong = || format!("the value of {key} is a text or a list of texts that is not empty.");
    texts.filter(|texts| !texts.is_empty()).ok_or_else(wrong)
}
