//! A writer of small XML documents: elements and text, escaped, nothing else.

use std::fmt::Display;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An XML document being written.
#[derive(Clone, Debug, Default)]
pub struct Xml {
    text: String,
}

impl Xml {
    /// An empty piece, to be placed in a document.
    pub fn new() -> Xml {
        Xml::default()
    }

    /// A document with one root element, in a name space, around what `inside` writes.
    pub fn document(root: &str, name_space: &str, inside: impl FnOnce(&mut Xml)) -> Xml {
        let mut xml = Xml { text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"") };
        xml.escape(name_space);
        xml.text.push_str("\">");
        inside(&mut xml);
        xml.text.push_str(&format!("</{root}>\n"));
        xml
    }

    /// An element around what `inside` writes.
    pub fn element(&mut self, name: &str, inside: impl FnOnce(&mut Xml)) {
        self.text.push_str(&format!("<{name}>"));
        inside(self);
        self.text.push_str(&format!("</{name}>"));
    }

    /// An element with a text.
    pub fn value(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        self.element(name, |xml| xml.escape(&value));
    }

    /// An element with a time, such as `2023-11-14T22:13:20Z`; parts of a second are left out.
    pub fn time(&mut self, name: &str, ms_since_epoch: i64) {
        let time = OffsetDateTime::from_unix_timestamp(ms_since_epoch.div_euclid(1000)).ok();
        self.value(name, time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default());
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Another piece, as it stands.
    pub fn piece(&mut self, piece: &Xml) {
        self.text.push_str(&piece.text);
    }

    pub fn into_string(self) -> String {
        self.text
    }

    // A carriage return is escaped because readers would turn it into a line feed; what XML can't hold is replaced.
    fn escape(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\r' => self.text.push_str("&#xD;"),
                '\t' | '\n' => self.text.push(character),
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.text.push('\u{fffd}'),
                _ => self.text.push(character),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_seconds() {
        let mut xml = Xml::new();
        xml.time("At", 1_700_000_000_999);
        assert_eq!(xml.into_string(), "<At>2023-11-14T22:13:20Z</At>");
    }

    #[test]
    fn a_text_is_escaped() {
        let xml = Xml::document("R", "urn:x", |xml| {
            xml.element("A", |xml| xml.value("B", "<&>\"\r\n\u{1}é"));
            xml.value("N", 7);
        });
        assert_eq!(
            xml.into_string(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\">\
             <A><B>&lt;&amp;&gt;&quot;&#xD;\n\u{fffd}é</B></A><N>7</N></R>\n"
        );
    }
}
