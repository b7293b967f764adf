//! A YAML text as a tree in which everything knows its place.
//!
//! Values are those of JSON. Anchors and aliases are followed; tags other than `!!str` and further documents are refused.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Map, Value};

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: Place,
    /// Such as `datasetGroups.shop.datasets`; empty where nothing can be named.
    pub path: String,
    pub text: String,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Place,
    pub tree: Tree,
}

#[derive(Clone, Debug)]
pub enum Tree {
    Null,
    Bool(bool),
    /// With the text that it was written as.
    Number(serde_json::Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub at: Place,
    pub node: Node,
}

/// A file that is read by a person has less, however its aliases multiply.
const NODES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 64;

impl Fault {
    pub fn new(at: Place, path: &str, text: impl Into<String>) -> Fault {
        Fault { at, path: path.to_owned(), text: text.into() }
    }
}

impl Node {
    pub fn json(&self) -> Value {
        match &self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(is) => Value::Bool(*is),
            Tree::Number(number, _) => Value::Number(number.clone()),
            Tree::Text(text) => Value::String(text.clone()),
            Tree::List(nodes) => nodes.iter().map(Node::json).collect(),
            Tree::Map(entries) => {
                Value::Object(entries.iter().map(|e| (e.name.clone(), e.node.json())).collect::<Map<_, _>>())
            }
        }
    }

    fn size(&self) -> usize {
        1 + match &self.tree {
            Tree::List(nodes) => nodes.iter().map(Node::size).sum::<usize>(),
            Tree::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
            _ => 0,
        }
    }
}

/// # Errors
/// Where the text is no YAML, or more of it than is taken.
pub fn read(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let node = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, span) => return Err(fault(span, "the file is empty")),
            (event, span) => break reader.node(event, span, 0)?,
        }
    };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(node),
            (Event::DocumentEnd, _) => {}
            (_, span) => return Err(fault(span, "the file has a second document: only one is taken")),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(cause)) => {
                let at = Place { line: cause.marker().line(), column: cause.marker().col() + 1 };
                Err(Fault::new(at, "", format!("this is no YAML: {}", cause.info())))
            }
            None => Err(Fault::new(Place { line: 1, column: 1 }, "", "the file ends too early")),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            return Err(fault(span, "the file says more than is taken"));
        }
        let at = place(span);
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = match &tag {
                    None => style != ScalarStyle::Plain,
                    Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
                    Some(tag) => return Err(fault(span, format!("the tag {tag} is not taken"))),
                };
                (if is_text { Tree::Text(text.into_owned()) } else { plain(&text) }, anchor)
            }
            Event::SequenceStart(anchor, None) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, None) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| fault(span, "nothing before this has the anchor"))?;
                self.nodes += node.size();
                return Ok(node);
            }
            _ => return Err(fault(span, "tags are not taken")),
        };
        let node = Node { at, tree };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Fault> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Tree::List(nodes)),
                (event, span) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Tree, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(Tree::Map(entries)),
                Event::Scalar(name, ..) => name.into_owned(),
                _ => return Err(fault(span, "a name must be a text")),
            };
            if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                let text = format!("{name} is there twice, first in line {}", first.at.line);
                return Err(fault(span, text));
            }
            let (event, value) = self.next()?;
            let node = self.node(event, value, depth + 1)?;
            entries.push(Entry { name, at: place(span), node });
        }
    }
}

/// What a text without quotes stands for: as JSON reads it, else as it is.
fn plain(text: &str) -> Tree {
    match text {
        "" | "~" | "null" => Tree::Null,
        "true" => Tree::Bool(true),
        "false" => Tree::Bool(false),
        text => match serde_json::from_str(text) {
            Ok(number) => Tree::Number(number, text.to_owned()),
            Err(_) => Tree::Text(text.to_owned()),
        },
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn fault(span: Span, text: impl Into<String>) -> Fault {
    Fault::new(place(span), "", text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_those_of_json() {
        let text =
            "a: 1\nb: [x, \"1\", true, ~, 1.5, 007, yes]\nc:\n  d: !!str 5\n  e: |\n    two\n    lines\nf:\n";
        let found = read(text).unwrap().json();
        let expected = json!({"a": 1, "b": ["x", "1", true, null, 1.5, "007", "yes"],
            "c": {"d": "5", "e": "two\nlines\n"}, "f": null});
        assert_eq!(found, expected);
    }

    #[test]
    fn aliases_are_followed_up_to_a_bound() {
        let found = read("a: &x {k: [1]}\nb: *x\n").unwrap().json();
        assert_eq!(found, json!({"a": {"k": [1]}, "b": {"k": [1]}}));
        let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for n in 1..9 {
            let before = format!("*a{}, ", n - 1).repeat(9);
            bomb.push_str(&format!("a{n}: &a{n} [{before}]\n"));
        }
        assert!(read(&bomb).unwrap_err().text.contains("more than is taken"));
        assert!(read(&"[".repeat(1000)).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, line, column, word) in [
            ("a: 1\nb: [1\n", 3, 1, "no YAML"),
            ("a: 1\nb: 2\na: 3\n", 3, 1, "a is there twice, first in line 1"),
            ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
            ("a: !x 1\n", 1, 4, "the tag !x"),
            ("a: !!map {}\n", 1, 4, "tags"),
            ("a: 1\nb: *y\n", 2, 4, ""),
            ("# nothing\n", 2, 1, "empty"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.text.contains(word), "{text}: {fault:?}");
            assert_eq!((fault.at.line, fault.at.column), (line, column), "{text}: {fault:?}");
        }
    }
}
