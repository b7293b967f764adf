//! The members of a map in a file: taken by their names, and what is left is refused.

use serde_json::{Value, json};

use super::yaml::{Entry, Fault, Node, Place, Tree};

pub struct Members<'a> {
    pub path: String,
    pub at: Place,
    left: Vec<&'a Entry>,
    known: Vec<&'static str>,
}

/// A member with where it is.
#[derive(Clone)]
pub struct Member<'a> {
    pub path: String,
    pub node: &'a Node,
}

impl<'a> Members<'a> {
    /// # Errors
    /// When the node is no map.
    pub fn of(node: &'a Node, path: &str) -> Result<Members<'a>, Fault> {
        let left = match &node.tree {
            Tree::Map(entries) => entries.iter().collect(),
            Tree::Null => Vec::new(),
            _ => return Err(Fault::new(node.at, path, "this must be a map of names and values")),
        };
        Ok(Members { path: path.to_owned(), at: node.at, left, known: Vec::new() })
    }

    /// The member of a name, once; one without a value is none.
    pub fn take(&mut self, name: &'static str) -> Option<Member<'a>> {
        self.known.push(name);
        let at = self.left.iter().position(|entry| entry.name == name)?;
        let entry = self.left.remove(at);
        let path = below(&self.path, name);
        Some(Member { path, node: &entry.node }).filter(|member| !matches!(member.node.tree, Tree::Null))
    }

    /// # Errors
    /// When there is none.
    pub fn required(&mut self, name: &'static str) -> Result<Member<'a>, Fault> {
        let (at, path) = (self.at, self.path.clone());
        self.take(name).ok_or_else(|| Fault::new(at, &path, format!("{name} is missing")))
    }

    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        self.take(name).map(|member| member.text()).transpose()
    }

    /// Refuses what nobody has taken, with the known name that is nearest.
    ///
    /// # Errors
    /// For the first such member.
    pub fn end(self) -> Result<(), Fault> {
        let Some(entry) = self.left.first() else { return Ok(()) };
        let mut near: Vec<(usize, &str)> =
            self.known.iter().map(|known| (distance(&entry.name, known), *known)).collect();
        near.sort_unstable();
        let advice = match near.first() {
            Some((far, known)) if *far <= 1 + entry.name.chars().count() / 3 => {
                format!("did you mean {known}?")
            }
            _ => format!("there are {}", self.known.join(", ")),
        };
        let text = format!("there is no member {}; {advice}", entry.name);
        Err(Fault::new(entry.at, &below(&self.path, &entry.name), text))
    }
}

impl<'a> Member<'a> {
    pub fn fault(&self, text: impl Into<String>) -> Fault {
        Fault::new(self.node.at, &self.path, text)
    }

    /// A text; numbers and words such as `true` are taken as they are written.
    pub fn text(&self) -> Result<String, Fault> {
        match &self.node.tree {
            Tree::Text(text) => Ok(text.clone()),
            Tree::Number(_, written) => Ok(written.clone()),
            Tree::Bool(is) => Ok(is.to_string()),
            _ => Err(self.fault("this must be a text")),
        }
    }

    /// One of some words.
    pub fn word(&self, words: &[&str]) -> Result<String, Fault> {
        let text = self.text()?;
        match words.contains(&text.as_str()) {
            true => Ok(text),
            false => Err(self.fault(format!("this must be one of {}, and is {text}", words.join(", ")))),
        }
    }

    pub fn members(&self) -> Result<Members<'a>, Fault> {
        Members::of(self.node, &self.path)
    }

    /// What a map holds, whatever the names.
    pub fn entries(&self) -> Result<Vec<(&'a str, Member<'a>)>, Fault> {
        let members = self.members()?;
        let member = |entry: &'a Entry| {
            let path = below(&self.path, &entry.name);
            (entry.name.as_str(), Member { path, node: &entry.node })
        };
        Ok(members.left.into_iter().map(member).collect())
    }

    /// A JSON document: written as YAML, or as a text that holds JSON.
    pub fn document(&self) -> Result<Value, Fault> {
        let document = match &self.node.tree {
            Tree::Text(text) => serde_json::from_str(text)
                .map_err(|cause| self.fault(format!("the text is no JSON: {cause}")))?,
            Tree::Map(_) => self.node.json(),
            _ => Value::Null,
        };
        match document {
            Value::Object(_) => Ok(document),
            _ => Err(self.fault("this must be a document: a map, or a text of JSON")),
        }
    }

    /// Names and texts, as an object.
    pub fn texts(&self) -> Result<Value, Fault> {
        let mut texts = json!({});
        for (name, member) in self.entries()? {
            texts[name] = json!(member.text()?);
        }
        Ok(texts)
    }
}

/// The path of a member.
pub fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// How many letters have to be changed, added or left out to make one text of the other, whatever their case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, letter) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, known) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *known);
            diagonal = row[m + 1];
            row[m + 1] = replaced.min(diagonal + 1).min(row[m] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn end(text: &str) -> Fault {
        let node = yaml::read(text).unwrap();
        let mut members = Members::of(&node, "datasetGroups.shop").unwrap();
        members.take("datasets");
        members.take("eventTracker");
        members.end().unwrap_err()
    }

    #[test]
    fn an_unknown_member_is_told_with_its_place_and_the_nearest_known_one() {
        let fault = end("datasets: {}\n\ndataset: {}\n");
        assert_eq!((fault.at.line, fault.at.column), (3, 1));
        assert_eq!(fault.path, "datasetGroups.shop.dataset");
        assert_eq!(fault.text, "there is no member dataset; did you mean datasets?");
        assert!(end("EventTraker: x\n").text.contains("did you mean eventTracker?"));
        assert!(end("colour: x\n").text.contains("there are datasets, eventTracker"));
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, far) in [("", "abc", 3), ("abc", "ABC", 0), ("kitten", "sitting", 3), ("ab", "b", 1)]
        {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
    }
}
