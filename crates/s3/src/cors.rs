//! A bucket's rules for pages of other origins: checked when they are put, and applied to what browsers ask.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName};
use s3s::{S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use crate::error::{damaged, refuse};
use crate::integrity::header;

/// Source: PutBucketCors.
const RULES_MAX: usize = 100;
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];
const ID_LENGTH_MAX: usize = 255;

/// What pages of some origins may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<i32>,
}

/// The rules of one bucket, in their order: the first that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// # Errors
    /// `MalformedXML` for no rule, too many, or one that admits nothing; `InvalidRequest` for a method that there is not, or a
    /// star too many.
    pub fn checked(self) -> S3Result<Rules> {
        if !(1..=RULES_MAX).contains(&self.0.len()) {
            let text = format!("There must be between 1 and {RULES_MAX} CORS rules.");
            return Err(refuse(S3ErrorCode::MalformedXML, text));
        }
        self.0.iter().try_for_each(Rule::check).map(|()| self)
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings are always JSON")
    }

    pub fn from_json(text: &str) -> S3Result<Rules> {
        serde_json::from_str(text).map_err(|_| damaged("a bucket's CORS rules"))
    }

    /// The headers that answer a browser which asks before it sends a request; `None` when no rule admits it.
    pub fn preflight(&self, headers: &HeaderMap) -> Option<HeaderMap> {
        let method = header(headers, ACCESS_CONTROL_REQUEST_METHOD.as_str())?;
        let wanted: Vec<String> = header(headers, ACCESS_CONTROL_REQUEST_HEADERS.as_str())
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect();
        let mut answer =
            self.admit(headers, method, |rule| wanted.iter().all(|name| rule.has_header(name)))?;
        if !wanted.is_empty() {
            put(&mut answer, ACCESS_CONTROL_ALLOW_HEADERS, &wanted.join(", "));
        }
        Some(answer)
    }

    /// The headers with which a page may read an answer; `None` when no rule lets it.
    pub fn answer(&self, headers: &HeaderMap, method: &str) -> Option<HeaderMap> {
        self.admit(headers, method, |_| true)
    }

    fn admit(&self, headers: &HeaderMap, method: &str, fits: impl Fn(&Rule) -> bool) -> Option<HeaderMap> {
        let origin = header(headers, ORIGIN.as_str())?;
        let rules =
            self.0.iter().filter(|rule| rule.methods.iter().any(|known| known == method) && fits(rule));
        let (rule, named) = rules.filter_map(|rule| Some((rule, rule.origin(origin)?))).next()?;
        let mut answer = HeaderMap::new();
        if named == "*" {
            put(&mut answer, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        } else {
            put(&mut answer, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            put(&mut answer, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        put(&mut answer, ACCESS_CONTROL_ALLOW_METHODS, &rule.methods.join(", "));
        if !rule.exposed.is_empty() {
            put(&mut answer, ACCESS_CONTROL_EXPOSE_HEADERS, &rule.exposed.join(", "));
        }
        if let Some(max_age_s) = rule.max_age_s {
            put(&mut answer, ACCESS_CONTROL_MAX_AGE, &max_age_s.to_string());
        }
        put(&mut answer, VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
        Some(answer)
    }
}

impl Rule {
    fn check(&self) -> S3Result<()> {
        let is_long = self.id.as_ref().is_some_and(|id| id.chars().count() > ID_LENGTH_MAX);
        if self.methods.is_empty() || self.origins.is_empty() || is_long {
            let text =
                "A CORS rule has at least one method and one origin, and an id of up to 255 characters.";
            return Err(refuse(S3ErrorCode::MalformedXML, text));
        }
        if let Some(method) = self.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(invalid(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        one_star("AllowedOrigin", &self.origins)?;
        one_star("AllowedHeader", &self.headers)?;
        match self.exposed.iter().find(|name| name.contains('*')) {
            None => Ok(()),
            Some(name) => Err(invalid(format!(
                "ExposeHeader \"{name}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            ))),
        }
    }

    /// The origin of the rule that this one is.
    fn origin(&self, origin: &str) -> Option<&str> {
        self.origins.iter().map(String::as_str).find(|pattern| is_like(pattern, origin))
    }

    // In lower case.
    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|pattern| is_like(&pattern.to_ascii_lowercase(), name))
    }
}

fn one_star(member: &str, patterns: &[String]) -> S3Result<()> {
    match patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
        None => Ok(()),
        Some(pattern) => Err(invalid(format!("{member} \"{pattern}\" can not have more than one wildcard."))),
    }
}

// A pattern has one star at most.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.strip_prefix(start).is_some_and(|rest| rest.len() >= end.len() && rest.ends_with(end))
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn invalid(text: String) -> s3s::S3Error {
    refuse(S3ErrorCode::InvalidRequest, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> Rule {
        let texts = |given: &[&str]| given.iter().map(|text| (*text).to_owned()).collect();
        Rule { origins: texts(origins), methods: texts(methods), headers: texts(headers), ..Rule::default() }
    }

    fn asked(origin: &str, method: &str, headers: &str) -> HeaderMap {
        [(ORIGIN, origin), (ACCESS_CONTROL_REQUEST_METHOD, method), (ACCESS_CONTROL_REQUEST_HEADERS, headers)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = Rules(vec![
            rule(&["https://*.example"], &["PUT"], &["x-amz-*", "Content-Type"]),
            rule(&["*"], &["GET", "HEAD"], &[]),
        ]);
        for (origin, method, headers, allowed) in [
            ("https://a.example", "PUT", "X-Amz-Date, content-type", Some("https://a.example")),
            ("https://a.example", "PUT", "", Some("https://a.example")),
            ("https://a.example", "PUT", "authorization", None),
            ("https://.example", "PUT", "", Some("https://.example")),
            ("https://a.example.evil", "PUT", "", None),
            ("https://a.example", "DELETE", "", None),
            ("http://other", "GET", "", Some("*")),
            ("http://other", "GET", "range", None),
            ("http://other", "get", "", None),
            ("", "GET", "", None),
            ("http://other", "", "", None),
        ] {
            let answer = rules.preflight(&asked(origin, method, headers));
            let found = answer.as_ref().map(|headers| headers[ACCESS_CONTROL_ALLOW_ORIGIN].to_str().unwrap());
            assert_eq!(found, allowed, "{origin} {method} {headers}");
            let has_credentials = answer.is_some_and(|h| h.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
            assert_eq!(has_credentials, allowed.is_some_and(|origin| origin != "*"));
        }
    }

    #[test]
    fn an_answer_asks_for_no_headers() {
        let mut one = rule(&["http://a"], &["GET"], &[]);
        (one.exposed, one.max_age_s) = (vec!["ETag".into(), "x-amz-request-id".into()], Some(60));
        let rules = Rules(vec![one]);
        let answer = rules.answer(&asked("http://a", "", "range"), "GET").unwrap();
        assert_eq!(answer[ACCESS_CONTROL_EXPOSE_HEADERS], "ETag, x-amz-request-id");
        assert_eq!(
            (answer[ACCESS_CONTROL_MAX_AGE].as_bytes(), answer[ACCESS_CONTROL_ALLOW_METHODS].as_bytes()),
            (&b"60"[..], &b"GET"[..])
        );
        assert_eq!(rules.answer(&asked("http://a", "", ""), "PUT"), None);
        assert_eq!(Rules::from_json(&rules.to_json()).unwrap(), rules);
    }

    #[test]
    fn rules_that_say_nothing_or_too_much_are_refused() {
        let good = rule(&["http://*.a"], &["GET"], &["*"]);
        Rules(vec![good.clone()]).checked().unwrap();
        for (rules, code) in [
            (vec![], "MalformedXML"),
            (vec![good.clone(); 101], "MalformedXML"),
            (vec![rule(&[], &["GET"], &[])], "MalformedXML"),
            (vec![rule(&["*"], &[], &[])], "MalformedXML"),
            (vec![rule(&["*"], &["PATCH"], &[])], "InvalidRequest"),
            (vec![good.clone(), rule(&["*.*"], &["GET"], &[])], "InvalidRequest"),
            (vec![rule(&["*"], &["GET"], &["x-*-*"])], "InvalidRequest"),
            (vec![Rule { exposed: vec!["x-*".into()], ..good.clone() }], "InvalidRequest"),
            (vec![Rule { id: Some("x".repeat(256)), ..good.clone() }], "MalformedXML"),
        ] {
            let error = Rules(rules).checked().unwrap_err();
            assert_eq!(error.code().as_str(), code, "{:?}", error.message());
        }
    }
}
