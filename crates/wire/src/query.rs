//! The Query protocol: form bodies read into parameters; their XML answers are written by `query::xml`.

pub mod xml;

pub use xml::Xml;

use model::error::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What RFC 3986 leaves as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters of a call in the order in which they came, such as `Action=GetRole&RoleName=Export`.
///
/// Lists are numbered from 1: `Tags.member.1.Key=team&Tags.member.1.Value=shop`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    parameters: Vec<(String, String)>,
}

impl Form {
    /// Reads a form body (`application/x-www-form-urlencoded`) or the query of an address.
    ///
    /// # Errors
    /// `Serialization` when a text is not UTF-8, or a parameter comes twice.
    pub fn parse(text: &[u8]) -> Result<Form> {
        let text = std::str::from_utf8(text).map_err(|_| malformed("The form is not UTF-8 text."))?;
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in text.trim_end_matches(['\r', '\n']).split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.push((decode(name)?, decode(value)?));
        }
        let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(malformed(format!("The parameter {} comes twice.", twice[0])));
        }
        Ok(Form { parameters })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The names of the parameters, of lists the part before the first dot.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.split('.').next().unwrap_or(name))
    }

    /// The members of a list by their numbers, each with the parameters behind its number.
    ///
    /// A list of plain values has members with one parameter, whose name is empty.
    ///
    /// # Errors
    /// `Serialization` when a number is missing, or no number at all.
    pub fn list(&self, name: &str) -> Result<Vec<Form>> {
        let prefix = format!("{name}.member.");
        let mut members: std::collections::BTreeMap<usize, Form> = std::collections::BTreeMap::new();
        for (key, value) in &self.parameters {
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            let (number, member) = rest.split_once('.').unwrap_or((rest, ""));
            let number = number.parse().map_err(|_| malformed(format!("{key} is no member of a list.")))?;
            members.entry(number).or_default().parameters.push((member.to_owned(), value.clone()));
        }
        if members.keys().copied().ne(1..=members.len()) {
            return Err(malformed(format!("The members of {name} are not numbered from 1 without gaps.")));
        }
        Ok(members.into_values().collect())
    }
}

/// Percent-encodes all that RFC 3986 does not leave as it is.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn decode(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| malformed("The form is not UTF-8 text."))
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Serialization, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_form_is_decoded() {
        let form = form("Action=CreateRole&Description=a+b%2Bc%20%C3%A9&Empty=&Alone");
        assert_eq!(form.get("Action"), Some("CreateRole"));
        assert_eq!(form.get("Description"), Some("a b+c é"));
        assert_eq!((form.get("Empty"), form.get("Alone"), form.get("Nothing")), (Some(""), Some(""), None));
    }

    #[test]
    fn a_list_is_read_by_its_numbers() {
        let form =
            form("T.member.2.Key=b&T.member.1.Key=a&T.member.1.Value=1&Tx=0&A.member.1=x&A.member.2=y");
        let tags = form.list("T").unwrap();
        assert_eq!(tags.len(), 2);
        assert_eq!((tags[0].get("Key"), tags[0].get("Value")), (Some("a"), Some("1")));
        assert_eq!(tags[1].get("Key"), Some("b"));
        let plain: Vec<Option<String>> =
            form.list("A").unwrap().iter().map(|m| m.get("").map(str::to_owned)).collect();
        assert_eq!(plain, [Some("x".to_owned()), Some("y".to_owned())]);
        assert_eq!(form.names().filter(|name| *name == "T").count(), 3);
        assert!(form.list("None").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for text in [&b"a=1&a=2"[..], b"a=%ff", b"\xff=1"] {
            assert_eq!(Form::parse(text).unwrap_err().kind, ErrorKind::Serialization);
        }
        for text in ["T.member.2.Key=a", "T.member.0.Key=a", "T.member.x.Key=a"] {
            assert!(form(text).list("T").is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_is_encoded_as_rfc_3986_says() {
        assert_eq!(encode("{\"a\": \"b~c-d_e.f/*\"}"), "%7B%22a%22%3A%20%22b~c-d_e.f%2F%2A%22%7D");
    }
}
