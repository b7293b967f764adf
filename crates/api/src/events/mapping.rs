//! From a put record to a row: which member and which property fills which column.

mod action_interaction;

use std::collections::HashMap;
use std::ops::Deref;

use model::layout::Column;
use model::record::{Codec, Value};
use model::{Error, Layout, Result};

use super::properties::{Properties, check_length, convert, plain};
use super::request::{Event, PutEvents, SentAt};

/// Properties of events and action interactions that stand for members of their own. Source: the text of `Event` in the service model.
const REFUSED: [&str; 6] =
    ["userid", "sessionid", "eventtype", "timestamp", "recommendationid", "impression"];

/// What is worked out once per dataset and schema.
pub struct Mapping {
    columns: Vec<Column>,
    codec: Codec,
    /// Plain names of the columns.
    by_name: HashMap<String, usize>,
    id_column: usize,
    members: Members,
}

/// The columns of the members of events and action interactions, where the schema has them.
struct Members {
    user_id: Option<usize>,
    item_id: Option<usize>,
    action_id: Option<usize>,
    event_type: Option<usize>,
    event_value: Option<usize>,
    timestamp: Option<usize>,
    recommendation_id: Option<usize>,
    impression: Option<usize>,
    event_attribution_source: Option<usize>,
}

impl Members {
    fn new(layout: &Layout) -> Members {
        Members {
            user_id: layout.position("USER_ID"),
            item_id: layout.position("ITEM_ID"),
            action_id: layout.position("ACTION_ID"),
            event_type: layout.position("EVENT_TYPE"),
            event_value: layout.position("EVENT_VALUE"),
            timestamp: layout.position("TIMESTAMP"),
            recommendation_id: layout.position("RECOMMENDATION_ID"),
            impression: layout.position("IMPRESSION"),
            event_attribution_source: layout.position("EVENT_ATTRIBUTION_SOURCE"),
        }
    }

    // Whether the event has the member that a property of this column could stand in for.
    fn has(&self, column: usize, event: &Event<'_>) -> bool {
        let is = |member: Option<usize>| member == Some(column);
        (is(self.item_id) && event.item_id.is_some())
            || (is(self.event_value) && event.event_value.is_some())
            || (is(self.event_attribution_source) && event.metric_attribution.is_some())
    }
}

/// A row under construction.
struct Row<'a> {
    values: Vec<Value<'a>>,
    /// Which columns have been given a value, null included.
    given: Vec<bool>,
}

impl Mapping {
    pub fn new(layout: &Layout) -> Mapping {
        let by_name = layout
            .columns
            .iter()
            .enumerate()
            .map(|(n, c)| (plain(c.name()).as_str().to_owned(), n))
            .collect();
        Mapping {
            columns: layout.columns.clone(),
            codec: Codec::new(layout),
            by_name,
            id_column: layout.id_column(),
            members: Members::new(layout),
        }
    }

    /// Appends the canonical bytes of a row.
    pub fn encode(&self, row: &[Value<'_>], out: &mut Vec<u8>) {
        self.codec.encode(row, out);
    }

    /// The row of an event, in the layout's order.
    ///
    /// Members win over properties of the same name. Without a user, the session stands in for one. What the schema
    /// has no column for is dropped; columns that got nothing are null, even where the schema allows none.
    ///
    /// Source: "Recording item interaction events".
    ///
    /// # Errors
    /// `Invalid` when a property is refused or does not fit its column, or no item is named.
    pub fn event<'a>(&self, put: &'a PutEvents<'_>, event: &'a Event<'_>) -> Result<Vec<Value<'a>>> {
        let mut row = self.row();
        let properties = event.properties.as_deref();
        self.set_properties(&mut row, properties, |column| self.members.has(column, event))?;
        self.set_members(&mut row, put, event)?;
        match self.members.item_id {
            Some(item) if row.values[item].is_null() => Err(Error::invalid("An event needs an itemId.")),
            _ => Ok(row.values),
        }
    }

    // What an event or action interaction has as a member is not read from its properties.
    fn set_properties<'a>(
        &self,
        row: &mut Row<'a>,
        properties: Option<&'a str>,
        is_member: impl Fn(usize) -> bool,
    ) -> Result<()> {
        for (key, raw) in Properties::parse(properties)?.members() {
            let name = plain(key);
            if REFUSED.contains(&name.as_str()) {
                return Err(Error::invalid(format!(
                    "The property {key} is not allowed: it is a member of its own."
                )));
            }
            let Some(&column) = self.by_name.get(name.as_str()) else { continue };
            self.claim(row, column, key)?;
            if !is_member(column) {
                row.values[column] = convert(key, raw, &self.columns[column])?;
            }
        }
        Ok(())
    }

    fn set_members<'a>(&self, row: &mut Row<'a>, put: &'a PutEvents<'_>, event: &'a Event<'_>) -> Result<()> {
        let user = put.user_id.as_ref().unwrap_or(&put.session_id);
        let source = event.metric_attribution.as_ref().map(|a| text(&a.event_attribution_source));
        let at = &self.members;
        self.set(row, at.user_id, Some(text(user)))?;
        self.set(row, at.item_id, event.item_id.as_deref().map(text))?;
        self.set(row, at.event_type, Some(text(&event.event_type)))?;
        self.set(row, at.event_value, event.event_value.map(Value::Double))?;
        self.set(row, at.timestamp, Some(Value::Long(seconds("sentAt", event.sent_at)?)))?;
        self.set(row, at.recommendation_id, event.recommendation_id.as_deref().map(text))?;
        let impression = at.impression.and(event.impression.as_deref()).map(joined).transpose()?;
        self.set(row, at.impression, impression)?;
        self.set(row, at.event_attribution_source, source)
    }

    fn set<'a>(&self, row: &mut Row<'a>, column: Option<usize>, value: Option<Value<'a>>) -> Result<()> {
        let (Some(column), Some(value)) = (column, value) else { return Ok(()) };
        if let Value::String(text) = &value {
            check_length(self.columns[column].name(), text, &self.columns[column])?;
        }
        row.values[column] = value;
        Ok(())
    }

    /// The row of an item, user or action, in the layout's order.
    ///
    /// Source: "Importing items individually".
    ///
    /// # Errors
    /// `Invalid` when a property has no column or does not fit it, contradicts the id, or a column that is not
    /// nullable got nothing.
    pub fn thing<'a>(&self, id: &'a str, properties: Option<&'a str>) -> Result<Vec<Value<'a>>> {
        let mut row = self.row();
        let properties = Properties::parse(properties)?;
        for (key, raw) in properties.members() {
            let unknown =
                || Error::invalid(format!("The property {key} is not a field of the dataset's schema."));
            let column = *self.by_name.get(plain(key).as_str()).ok_or_else(unknown)?;
            self.claim(&mut row, column, key)?;
            row.values[column] = convert(key, raw, &self.columns[column])?;
        }
        self.set_id(&mut row, id)?;
        self.check_nulls(&row)?;
        Ok(row.values)
    }

    fn set_id<'a>(&self, row: &mut Row<'a>, id: &'a str) -> Result<()> {
        let column = self.id_column;
        if row.given[column] && row.values[column] != text(id) {
            let name = self.columns[column].name();
            return Err(Error::invalid(format!(
                "The property for {name} differs from the id of the record."
            )));
        }
        row.values[column] = text(id);
        Ok(())
    }

    fn check_nulls(&self, row: &Row<'_>) -> Result<()> {
        let missing = self.columns.iter().zip(&row.values).filter(|(c, v)| v.is_null() && !c.field.nullable);
        let missing: Vec<&str> = missing.map(|(c, _)| c.name()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "The record is missing the following required fields: [{}].",
            missing.join(", ")
        )))
    }

    fn row<'a>(&self) -> Row<'a> {
        Row { values: vec![Value::Null; self.columns.len()], given: vec![false; self.columns.len()] }
    }

    fn claim(&self, row: &mut Row<'_>, column: usize, key: &str) -> Result<()> {
        if std::mem::replace(&mut row.given[column], true) {
            let name = self.columns[column].name();
            return Err(Error::invalid(format!(
                "The property {key} is there twice: more than one key stands for {name}."
            )));
        }
        Ok(())
    }
}

// Several ids are one value, joined with bars, so none may hold one.
fn joined(ids: &[impl Deref<Target = str>]) -> Result<Value<'static>> {
    if ids.iter().any(|id| id.contains('|')) {
        return Err(Error::invalid("An id in impression must not contain a vertical bar."));
    }
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    Ok(Value::String(ids.join("|").into()))
}

fn text(text: &str) -> Value<'_> {
    Value::String(text.into())
}

// From here on it can't be seconds of this millennium or the next: some clients send milliseconds.
const MILLISECONDS_FROM: f64 = 100_000_000_000.0;

// Larger numbers are refused before.
fn seconds(member: &str, SentAt(sent): SentAt) -> Result<i64> {
    if !(0.0..=9.0e18).contains(&sent) {
        return Err(Error::invalid(format!("The time in {member} is out of range.")));
    }
    Ok(if sent >= MILLISECONDS_FROM { (sent / 1000.0).floor() as i64 } else { sent.floor() as i64 })
}

#[cfg(test)]
mod tests;
