//! The values that a condition wants, read once, and compared with what a request has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::format_description::well_known::Iso8601;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use super::operator::{Kind, Relation};
use crate::Network;
use crate::policy::Request;
use crate::policy::pattern::{self, Token};
use crate::policy::template::{Syntax, Template};

/// The values of one condition; any of them will do.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Text {
        values: Vec<Template>,
        ignores_case: bool,
    },
    Like(Vec<Template>),
    Arn(Vec<Template>),
    Number(Relation, Vec<f64>),
    /// Milliseconds since the epoch.
    Date(Relation, Vec<i64>),
    Truth(Vec<bool>),
    Address(Vec<Network>),
    Bytes(Vec<Vec<u8>>),
    /// Whether the key is to be missing.
    Missing(Vec<bool>),
}

impl Wanted {
    /// Reads the values; `syntax` says how texts are read, with or without wildcards.
    ///
    /// # Errors
    /// A sentence about the first value that can't be compared so.
    pub fn parse(kind: Kind, texts: &[String], syntax: impl Fn(bool) -> Syntax) -> Result<Wanted, String> {
        let templates =
            |syntax: Syntax| texts.iter().map(|text| Template::parse(text, syntax)).collect::<Result<_, _>>();
        Ok(match kind {
            Kind::Text => Wanted::Text { values: templates(syntax(false))?, ignores_case: false },
            Kind::TextIgnoringCase => Wanted::Text { values: templates(syntax(false))?, ignores_case: true },
            Kind::Like => Wanted::Like(templates(syntax(true))?),
            Kind::Arn => {
                each(texts, |text| has_arn_parts(text).then_some(()), "an ARN of six parts")?;
                Wanted::Arn(templates(syntax(true))?)
            }
            Kind::Number(relation) => Wanted::Number(relation, each(texts, number, "a number")?),
            Kind::Date(relation) => {
                Wanted::Date(relation, each(texts, date, "a time such as 2026-01-31T12:00:00Z")?)
            }
            Kind::Truth => Wanted::Truth(each(texts, truth, "true or false")?),
            Kind::Address => {
                Wanted::Address(each(texts, Network::parse, "an address or a range such as 10.0.0.0/8")?)
            }
            Kind::Bytes => Wanted::Bytes(each(texts, bytes, "base64")?),
            Kind::Null => Wanted::Missing(each(texts, truth, "true or false")?),
        })
    }

    /// Whether one of the values fits what was found.
    pub fn takes(&self, found: &str, request: &Request<'_>) -> bool {
        let any = |templates: &[Template], fits: &dyn Fn(&[Token]) -> bool| {
            templates.iter().any(|template| template.fill(request).is_some_and(|tokens| fits(&tokens)))
        };
        match self {
            Wanted::Text { values, ignores_case: false } => {
                any(values, &|tokens| pattern::takes(tokens, found))
            }
            Wanted::Text { values, ignores_case: true } => {
                any(values, &|tokens| lower(letters(tokens)).eq(lower(found.chars())))
            }
            Wanted::Like(values) => any(values, &|tokens| pattern::takes(tokens, found)),
            Wanted::Arn(values) => any(values, &|tokens| takes_arn(tokens, found)),
            Wanted::Number(relation, values) => {
                number(found).is_some_and(|found| values.iter().any(|wanted| relation.holds(found, *wanted)))
            }
            Wanted::Date(relation, values) => {
                date(found).is_some_and(|found| values.iter().any(|wanted| relation.holds(found, *wanted)))
            }
            Wanted::Truth(values) => truth(found).is_some_and(|found| values.contains(&found)),
            Wanted::Address(values) => {
                found.parse().is_ok_and(|found| values.iter().any(|network| network.holds(found)))
            }
            Wanted::Bytes(values) => bytes(found).is_some_and(|found| values.contains(&found)),
            Wanted::Missing(_) => false,
        }
    }

    pub fn asks_for(&self, family: &str) -> bool {
        match self {
            Wanted::Text { values, .. } | Wanted::Like(values) | Wanted::Arn(values) => {
                values.iter().any(|template| template.asks_for(family))
            }
            _ => false,
        }
    }
}

fn each<T>(texts: &[String], read: impl Fn(&str) -> Option<T>, what: &str) -> Result<Vec<T>, String> {
    texts.iter().map(|text| read(text).ok_or_else(|| format!("{text} is not {what}."))).collect()
}

// A text without wildcards has no other tokens.
fn letters(tokens: &[Token]) -> impl Iterator<Item = char> {
    tokens.iter().map(|token| match token {
        Token::Char(c) => *c,
        Token::Any => '*',
        Token::One => '?',
    })
}

fn lower(letters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    letters.flat_map(char::to_lowercase)
}

// A variable may stand for a whole ARN.
fn has_arn_parts(text: &str) -> bool {
    text.starts_with("${") || (text.starts_with("arn:") && text.splitn(6, ':').count() == 6)
}

// Each of the six parts by itself, so that a star in one does not reach into the next.
fn takes_arn(tokens: &[Token], found: &str) -> bool {
    let wanted = tokens.splitn(6, |token| *token == Token::Char(':'));
    let (wanted, found) = (wanted.collect::<Vec<_>>(), found.splitn(6, ':').collect::<Vec<_>>());
    wanted.len() == 6
        && found.len() == 6
        && wanted.iter().zip(&found).all(|(part, text)| pattern::takes(part, text))
}

fn number(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    text.parse().ok().filter(|_| is_decimal)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

// A day, a time of ISO 8601, or seconds since the epoch.
fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    let ms = |time: OffsetDateTime| i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok();
    if let Ok(time) = OffsetDateTime::parse(text, &Iso8601::DEFAULT) {
        return ms(time);
    }
    let time = PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok();
    let day = || Some(Date::parse(text, &Iso8601::DEFAULT).ok()?.midnight());
    ms(time.or_else(day)?.assume_utc())
}
