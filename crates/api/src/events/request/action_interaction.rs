//! PutActionInteractions: what users did with the actions that were shown to them.

use serde::Deserialize;
use wire::shape::{Shape, Structure, list, optional, required, text};

use super::SentAt;
use crate::shapes::event_text;

static ACTION_INTERACTION: Structure = Structure::new(&[
    required("actionId", event_text()),
    optional("userId", event_text()),
    required("sessionId", event_text()),
    required("timestamp", Shape::Timestamp),
    required("eventType", event_text()),
    optional("eventId", event_text()),
    optional("recommendationId", text(1, 40)),
    optional("impression", list(1, 25, &text(1, 256))),
    optional("properties", text(1, 1024)),
]);
pub static PUT_ACTION_INTERACTIONS: Structure = Structure::new(&[
    required("trackingId", event_text()),
    required("actionInteractions", list(1, 10, &Shape::Structure(&ACTION_INTERACTION))),
]);

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PutActionInteractions {
    pub tracking_id: String,
    pub action_interactions: Vec<ActionInteraction>,
}

/// The event's id is checked, but is no column.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct ActionInteraction {
    pub action_id: String,
    pub user_id: Option<String>,
    pub session_id: String,
    pub timestamp: SentAt,
    pub event_type: String,
    pub recommendation_id: Option<String>,
    pub impression: Option<Vec<String>>,
    pub properties: Option<String>,
}
