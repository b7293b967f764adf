//! The requests of the events service: their shapes and their members, read without copying where it matters.

pub mod action_interaction;
pub mod thing;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use model::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use wire::shape::{self, Pattern, Shape, Structure, list, matching, optional, required, text};

use super::object::Object;
use crate::shapes::event_text;

static SOURCE: Pattern = Pattern::new(r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$");
static ATTRIBUTION: Structure =
    Structure::new(&[required("eventAttributionSource", matching(0, 1024, &SOURCE))]);
static EVENT: Structure = Structure::new(&[
    optional("eventId", event_text()),
    required("eventType", event_text()),
    optional("eventValue", Shape::Float),
    optional("itemId", event_text()),
    optional("properties", text(1, 1024)),
    required("sentAt", Shape::Timestamp),
    optional("recommendationId", text(1, 40)),
    optional("impression", list(1, 25, &text(1, 256))),
    optional("metricAttribution", Shape::Structure(&ATTRIBUTION)),
]);
pub static PUT_EVENTS: Structure = Structure::new(&[
    required("trackingId", event_text()),
    optional("userId", event_text()),
    required("sessionId", event_text()),
    required("eventList", list(1, 10, &Shape::Structure(&EVENT))),
]);

/// The most bytes of one event's JSON. Source: "Quotas".
const EVENT_BYTES_MAX: usize = 10 * 1024;

/// A string that is borrowed from the body unless it has escapes.
#[derive(Deserialize, Debug)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Seconds since the epoch, sent as a number or as a text that holds one.
#[derive(Clone, Copy, Debug)]
pub struct SentAt(pub f64);

impl<'de> Deserialize<'de> for SentAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SentAt, D::Error> {
        deserializer.deserialize_any(SentAtVisitor)
    }
}

struct SentAtVisitor;

// A time that needs more than 53 bits is out of range anyway.
impl Visitor<'_> for SentAtVisitor {
    type Value = SentAt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<SentAt, E> {
        Ok(SentAt(seconds))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<SentAt, E> {
        Ok(SentAt(seconds as f64))
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<SentAt, E> {
        Ok(SentAt(seconds as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SentAt, E> {
        text.parse().map(SentAt).map_err(|_| E::custom("no number of seconds"))
    }
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutEvents<'a> {
    #[serde(borrow)]
    pub tracking_id: Text<'a>,
    #[serde(borrow)]
    pub user_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub session_id: Text<'a>,
    #[serde(borrow)]
    pub event_list: Vec<Object<Event<'a>>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event<'a> {
    // Is checked, but is no column.
    #[serde(borrow)]
    event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub event_type: Text<'a>,
    pub event_value: Option<f64>,
    #[serde(borrow)]
    pub item_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub properties: Option<Text<'a>>,
    pub sent_at: SentAt,
    #[serde(borrow)]
    pub recommendation_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub impression: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub metric_attribution: Option<Object<MetricAttribution<'a>>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricAttribution<'a> {
    #[serde(borrow)]
    pub event_attribution_source: Text<'a>,
}

/// Reads a PutEvents call.
///
/// Nearly all calls are well-formed: those are read straight into their members. One that may break a constraint, or has
/// a member that is unknown or there twice, is read as a tree and checked against the table, which then has the last
/// word and the exact text.
///
/// # Errors
/// `Serialization` and `Invalid` as `shape::check`.
pub fn read_events(body: &[u8]) -> Result<PutEvents<'_>> {
    if let Ok(Object(put)) = serde_json::from_slice::<Object<PutEvents<'_>>>(body)
        && put.surely_fits()
    {
        return Ok(put);
    }
    let mut tree = read_tree(body)?;
    shape::check(&PUT_EVENTS, &tree)?;
    shape::keep_known(&PUT_EVENTS, &mut tree);
    PutEvents::deserialize(tree).map_err(|e| not_json(&e))
}

/// The JSON of a body; of members that are there twice the last.
///
/// # Errors
/// `Serialization` when it is no JSON.
pub fn read_tree(body: &[u8]) -> Result<Value> {
    // Some clients leave the body out where a request has no members.
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(body).map_err(|e| not_json(&e))
}

/// The body is no JSON, or not the JSON that was asked for.
pub fn not_json(cause: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Serialization, format!("The body can't be read as JSON: {cause}"))
}

/// # Errors
/// `Invalid` when the JSON of one event is larger than 10 KB.
pub fn check_sizes(body: &Bytes) -> Result<()> {
    if body.len() <= EVENT_BYTES_MAX {
        return Ok(());
    }
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).map_err(|e| not_json(&e))?;
    let list = members.get("eventList").map_or("[]", |list| list.get());
    let events: Vec<&RawValue> = serde_json::from_str(list).map_err(|e| not_json(&e))?;
    match events.iter().position(|event| event.get().len() > EVENT_BYTES_MAX) {
        Some(n) => Err(Error::invalid(format!(
            "An event must not be larger than 10 KB (at eventList.{}.member)",
            n + 1
        ))),
        None => Ok(()),
    }
}

// These compare bytes, which are never fewer than code points: what passes here passes the table.
impl PutEvents<'_> {
    fn surely_fits(&self) -> bool {
        fits(Some(&self.tracking_id), 256)
            && fits(self.user_id.as_ref(), 256)
            && fits(Some(&self.session_id), 256)
            && (1..=10).contains(&self.event_list.len())
            && self.event_list.iter().all(|event| event.surely_fits())
    }
}

impl Event<'_> {
    fn surely_fits(&self) -> bool {
        fits(self.event_id.as_ref(), 256)
            && fits(Some(&self.event_type), 256)
            && fits(self.item_id.as_ref(), 256)
            && fits(self.properties.as_ref(), 1024)
            && fits(self.recommendation_id.as_ref(), 40)
            && self
                .impression
                .as_ref()
                .is_none_or(|ids| (1..=25).contains(&ids.len()) && ids.iter().all(|id| fits(Some(id), 256)))
            && self.metric_attribution.as_ref().is_none_or(|a| is_source(&a.event_attribution_source))
            && self.sent_at.0.is_finite()
    }
}

fn fits(text: Option<&Text<'_>>, bytes_max: usize) -> bool {
    text.is_none_or(|text| (1..=bytes_max).contains(&text.len()))
}

fn is_source(text: &str) -> bool {
    text.len() <= 1024 && text.bytes().all(|b| matches!(b, 0x20..=0x7e)) && text.bytes().any(|b| b != b' ')
}

#[cfg(test)]
mod tests;
