//! Answers in XML as a tree, as far as pages need it: names and texts, attributes left out.

use quick_xml::Reader;
use quick_xml::events::Event;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// `None` for what is no XML.
    pub fn parse(text: &str) -> Option<Element> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => open.push(named(tag.local_name().as_ref())),
                Event::Empty(tag) => open.last_mut()?.children.push(named(tag.local_name().as_ref())),
                Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => entity(&reference.decode().ok()?)?.to_owned(),
                    };
                    open.last_mut()?.text.push_str(&character);
                }
                Event::End(_) => {
                    let element = open.pop()?;
                    open.last_mut()?.children.push(element);
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        open.pop()?.children.into_iter().next()
    }

    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the element at the end of a path of names; empty where there is none.
    pub fn text_of(&self, path: &[&str]) -> &str {
        let found = path.iter().try_fold(self, |element, name| element.child(name));
        found.map_or("", |element| element.text.as_str())
    }

    /// All children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The members of the list of this name.
    pub fn members<'a>(&'a self, list: &str) -> impl Iterator<Item = &'a Element> {
        self.child(list).into_iter().flat_map(|list| list.all("member"))
    }
}

fn named(name: &[u8]) -> Element {
    Element { name: String::from_utf8_lossy(name).into_owned(), ..Element::default() }
}

fn entity(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_names_texts_and_lists() {
        let text = "<?xml version=\"1.0\"?><A xmlns=\"n\"><Roles><member><Name>a&amp;b&#x41;</Name></member>\
            <member/></Roles><N>1</N></A>";
        let tree = Element::parse(text).unwrap();
        assert_eq!(tree.text_of(&["N"]), "1");
        let members: Vec<_> = tree.members("Roles").map(|role| role.text_of(&["Name"])).collect();
        assert_eq!(members, ["a&bA", ""]);
        assert_eq!((Element::parse("no"), Element::parse("<a>")), (None, None));
    }
}
