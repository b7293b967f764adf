//! What browsers send: fields of forms and queries, and cookies.

use http::HeaderMap;
use http::header::COOKIE;
use percent_encoding::percent_decode_str;

/// The fields of a form or query, in their order; a name may stand more than once.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(text: &str) -> Form {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Form { fields: fields.collect() }
    }

    /// The first value of a field, without blanks around it; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first value of a field as it was sent.
    pub fn raw(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A value that may be left out.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Keys and values of tags: the fields `tag-key` and `tag-value`, in pairs; those without a key are left out.
    pub fn tags(&self) -> Vec<(String, String)> {
        let pairs = self.all("tag-key").zip(self.all("tag-value"));
        let given = pairs.filter(|(key, _)| !key.is_empty());
        given.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().split_once('=').filter(|(known, _)| *known == name))
        .map(|(_, value)| value)
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_may_repeat() {
        let form = Form::parse("a=1+2%2B&b=&tag-key=k&tag-value=v&tag-key=&tag-value=x&c=%0D%0A%C3%A9");
        assert_eq!((form.get("a"), form.given("b"), form.get("none")), ("1 2+", None, ""));
        assert_eq!(form.tags(), [("k".to_owned(), "v".to_owned())]);
        assert_eq!(form.raw("c"), "\né");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "x=1; lade-session=abc".parse().unwrap());
        assert_eq!((cookie(&headers, "lade-session"), cookie(&headers, "session")), (Some("abc"), None));
    }
}
