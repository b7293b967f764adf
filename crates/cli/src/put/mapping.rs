//! From a record of a file to what a call carries: which column becomes which member, which a property (docs/puts.md).

use std::hash::{DefaultHasher, Hash, Hasher};

use model::error::{Error, Result};
use model::layout::Column;
use model::record::Value;
use model::{DatasetType, Layout};
use serde_json::{Map, Value as Json, json};

use super::source::Row;

/// What stands for the type of an event that has none.
const UNKNOWN: &str = "unknown";

/// How records of one dataset are put.
pub struct Mapping {
    columns: Vec<(String, Role)>,
    call: Call,
    event_type: Option<String>,
}

enum Call {
    Events { tracking_id: String },
    ActionInteractions { tracking_id: String },
    Things { dataset_arn: String, dataset_type: DatasetType },
}

/// What a column's value becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    User,
    EventType,
    Member(&'static str),
    /// Ids with bars between them, which are a list.
    Impression,
    AttributionSource,
    /// Names the session; no call can put it anywhere else.
    Session,
    Property,
}

/// One record as a call carries it.
pub struct Carried {
    /// Records that may share a call have the same head.
    pub head: String,
    pub json: String,
    /// The hash of its id: records of one id keep their order.
    pub hash: u64,
    /// Whether it had no event type of its own.
    pub is_filled: bool,
}

impl Mapping {
    /// `event_type` is for interactions that have none.
    pub fn new(layout: &Layout, dataset_arn: &str, tracking_id: &str, event_type: Option<&str>) -> Mapping {
        let (tracking_id, dataset_type) = (tracking_id.to_owned(), layout.dataset_type);
        let call = match dataset_type {
            DatasetType::Interactions => Call::Events { tracking_id },
            DatasetType::ActionInteractions => Call::ActionInteractions { tracking_id },
            dataset_type => Call::Things { dataset_arn: dataset_arn.to_owned(), dataset_type },
        };
        // The types of action interactions are three, and none of them is a guess.
        let unknown = matches!(call, Call::Events { .. }).then_some(UNKNOWN);
        let columns = layout.columns.iter().map(|column| (column.name().to_owned(), call.role(column)));
        Mapping { columns: columns.collect(), event_type: event_type.or(unknown).map(str::to_owned), call }
    }

    /// Whether records may lack an event type.
    pub fn fills_event_types(&self) -> bool {
        !matches!(self.call, Call::Things { .. }) && self.event_type.is_some()
    }

    /// Where calls go.
    pub fn path(&self) -> &'static str {
        match &self.call {
            Call::Events { .. } => "/events",
            Call::ActionInteractions { .. } => "/action-interactions",
            Call::Things { dataset_type: DatasetType::Items, .. } => "/items",
            Call::Things { dataset_type: DatasetType::Users, .. } => "/users",
            Call::Things { .. } => "/actions",
        }
    }

    /// What they are called.
    pub fn operation(&self) -> &'static str {
        match self.path() {
            "/events" => "PutEvents",
            "/action-interactions" => "PutActionInteractions",
            "/items" => "PutItems",
            "/users" => "PutUsers",
            _ => "PutActions",
        }
    }

    /// The member of a call that holds its records.
    pub fn list(&self) -> &'static str {
        match self.path() {
            "/events" => "eventList",
            "/action-interactions" => "actionInteractions",
            path => &path[1..],
        }
    }

    /// # Errors
    /// `Invalid` with the place of a record that no call can carry.
    pub fn carry(&self, row: &Row<'_>) -> Result<Carried> {
        let (mut members, mut properties) = (Map::new(), Map::new());
        let (mut user, mut event_type) = ("", None);
        for ((name, role), value) in self.columns.iter().zip(&row.values) {
            match (role, value) {
                (_, Value::Null) | (Role::Session, _) => {}
                (Role::User, Value::String(text)) => user = text,
                (Role::EventType, Value::String(text)) => event_type = Some(&**text),
                (Role::Impression, Value::String(text)) => {
                    members.insert("impression".into(), text.split('|').collect::<Vec<_>>().into());
                }
                (Role::AttributionSource, Value::String(text)) => {
                    members.insert("metricAttribution".into(), json!({ "eventAttributionSource": text }));
                }
                (Role::Member(member), value) => {
                    members.insert((*member).into(), plain(value));
                }
                (_, value) => {
                    properties.insert(name.clone(), plain(value));
                }
            }
        }
        let id = if let Call::Things { dataset_type, .. } = &self.call {
            members.get(id_member(*dataset_type)).and_then(Json::as_str).unwrap_or_default().to_owned()
        } else {
            user.to_owned()
        };
        let is_filled = event_type.is_none() && !matches!(self.call, Call::Things { .. });
        let head = self.head(row, user, event_type, &mut members)?;
        if !properties.is_empty() {
            members.insert("properties".into(), Json::String(Json::Object(properties).to_string()));
        }
        Ok(Carried { head, json: Json::Object(members).to_string(), hash: hash(&id), is_filled })
    }

    // What stands in a call before its list; who it was and what happened go to the call or to the record.
    fn head(
        &self,
        row: &Row<'_>,
        user: &str,
        event_type: Option<&str>,
        members: &mut Map<String, Json>,
    ) -> Result<String> {
        let (call, tracking_id) = match &self.call {
            Call::Things { dataset_arn, .. } => return Ok(format!("\"datasetArn\":{}", json!(dataset_arn))),
            Call::Events { tracking_id } | Call::ActionInteractions { tracking_id } => {
                (&self.call, tracking_id)
            }
        };
        let session = row.session.as_deref().filter(|session| !session.is_empty()).unwrap_or(user);
        let event_type = event_type.or(self.event_type.as_deref()).ok_or_else(|| {
            Error::invalid(format!("{}, column EVENT_TYPE: a value is required, or --event-type", row.place))
        })?;
        members.insert("eventType".into(), event_type.into());
        let tracker = format!("\"trackingId\":{}", json!(tracking_id));
        if let Call::ActionInteractions { .. } = call {
            members.insert("userId".into(), user.into());
            members.insert("sessionId".into(), session.into());
            return Ok(tracker);
        }
        Ok(format!("{tracker},\"userId\":{},\"sessionId\":{}", json!(user), json!(session)))
    }
}

impl Call {
    fn role(&self, column: &Column) -> Role {
        match self {
            Call::Things { dataset_type, .. } if column.name() == dataset_type.id_field() => {
                Role::Member(id_member(*dataset_type))
            }
            Call::Things { .. } => Role::Property,
            Call::Events { .. } => match column.name() {
                "ITEM_ID" => Role::Member("itemId"),
                "TIMESTAMP" => Role::Member("sentAt"),
                "EVENT_VALUE" => Role::Member("eventValue"),
                "EVENT_ATTRIBUTION_SOURCE" => Role::AttributionSource,
                name => of_any_interaction(name),
            },
            Call::ActionInteractions { .. } => match column.name() {
                "ACTION_ID" => Role::Member("actionId"),
                "TIMESTAMP" => Role::Member("timestamp"),
                name => of_any_interaction(name),
            },
        }
    }
}

fn of_any_interaction(name: &str) -> Role {
    match name {
        "USER_ID" => Role::User,
        "EVENT_TYPE" => Role::EventType,
        "RECOMMENDATION_ID" => Role::Member("recommendationId"),
        "IMPRESSION" => Role::Impression,
        "SESSION_ID" => Role::Session,
        _ => Role::Property,
    }
}

fn id_member(dataset_type: DatasetType) -> &'static str {
    match dataset_type {
        DatasetType::Items => "itemId",
        DatasetType::Users => "userId",
        _ => "actionId",
    }
}

// Numbers in their shortest form that says the same: they are read as a file's are.
fn plain(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::String(text) => Json::String(text.to_string()),
        Value::Long(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
