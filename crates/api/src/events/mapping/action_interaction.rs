//! From an action interaction to a row.

use model::record::Value;
use model::{Error, Result};

use super::super::properties::plain;
use super::super::request::action_interaction::ActionInteraction;
use super::{Mapping, joined, seconds, text};

/// What a user can do with an action, in the form that is compared. Source: "Action interaction event types".
const EVENT_TYPES: [&str; 3] = ["viewed", "taken", "nottaken"];

impl Mapping {
    /// The row of an action interaction, in the layout's order.
    ///
    /// Members win over properties of the same name. Without a user, the session stands in for one. What the schema
    /// has no column for is dropped; columns that got nothing are null, even where the schema allows none.
    ///
    /// Source: "Recording action interaction events".
    ///
    /// # Errors
    /// `Invalid` when the event type is unknown, or a property is refused or does not fit its column.
    pub fn action_interaction<'a>(&self, interaction: &'a ActionInteraction) -> Result<Vec<Value<'a>>> {
        check_event_type(&interaction.event_type)?;
        let at = &self.members;
        let mut row = self.row();
        let is_member = |column| at.action_id == Some(column);
        self.set_properties(&mut row, interaction.properties.as_deref(), is_member)?;
        let user = interaction.user_id.as_ref().unwrap_or(&interaction.session_id);
        let sent = seconds("timestamp", interaction.timestamp)?;
        self.set(&mut row, at.user_id, Some(text(user)))?;
        self.set(&mut row, at.action_id, Some(text(&interaction.action_id)))?;
        self.set(&mut row, at.event_type, Some(text(&interaction.event_type)))?;
        self.set(&mut row, at.timestamp, Some(Value::Long(sent)))?;
        self.set(&mut row, at.recommendation_id, interaction.recommendation_id.as_deref().map(text))?;
        let impression = at.impression.and(interaction.impression.as_deref()).map(joined).transpose()?;
        self.set(&mut row, at.impression, impression)?;
        Ok(row.values)
    }
}

// The documentation spells them in several ways; they are stored as they were sent.
fn check_event_type(sent: &str) -> Result<()> {
    if EVENT_TYPES.contains(&plain(sent).as_str().replace(' ', "").as_str()) {
        return Ok(());
    }
    Err(Error::invalid(format!("Invalid eventType: {sent}. It must be one of Viewed, Taken, Not taken.")))
}

#[cfg(test)]
mod tests;
