//! Records put one by one as they came out of an export: calls of ten, several at a time, in order where order counts.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use model::error::{Error, ErrorKind, Result};
use model::record::{Value as Field, hash_id};
use model::schema::Storage;
use model::{DatasetType, Layout};
use serde_json::{Map, Value, json};

use super::patience::patiently;
use crate::client::Client;

/// The most that a call takes.
const CALL: usize = 10;
/// So many calls are under way at once.
const LANES: usize = 8;
/// Sessions are not exported, and every event needs one.
const SESSION: &str = "migrated";
/// From here on the events service takes numbers for milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;
/// Beyond, a number of milliseconds can't be told exactly.
const SECONDS_MAX: i64 = 9_000_000_000_000;
const SECONDS_TOO_MANY: i64 = SECONDS_MAX + 1;

/// Where records are put.
#[derive(Clone, Debug)]
pub enum Target {
    /// By tracking id.
    Events(String),
    ActionInteractions(String),
    /// By ARN.
    Things(DatasetType, String),
}

/// A record on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The user of an event, the id of anything else.
    pub id: String,
    pub body: Value,
    /// As a line of CSV, for the file of what is refused.
    pub line: Vec<u8>,
}

/// What the target refused, and why.
pub type Refused = Vec<(Put, String)>;

impl Target {
    /// A record from its values, in the layout's order.
    pub fn put(&self, layout: &Layout, values: &[Field<'_>]) -> Put {
        let mut line = Vec::new();
        csv::write::write_record(values, &mut line);
        let columns = layout.columns.iter().zip(values).filter(|(_, value)| !value.is_null());
        let mut id = String::new();
        let (mut body, mut properties) = (Map::new(), Map::new());
        for (column, value) in columns {
            match (self.member(column.name(), column.kind().storage()), value) {
                (Some("id"), Field::String(text)) => id = text.clone().into_owned(),
                (Some("impression"), Field::String(text)) => {
                    body.insert("impression".into(), text.split('|').collect());
                }
                (Some("eventAttributionSource"), Field::String(text)) if is_source(text) => {
                    body.insert("metricAttribution".into(), json!({ "eventAttributionSource": text }));
                }
                (Some(time @ ("sentAt" | "timestamp")), Field::Long(at)) => {
                    body.insert(time.into(), json!(seconds(*at)));
                }
                (Some(member), value) if member != "eventAttributionSource" => {
                    body.insert(member.into(), plain(value));
                }
                // Names are compared without case and underscores; short ones leave room for what was put.
                (_, value) => {
                    properties.insert(column.name().replace('_', "").to_lowercase(), plain(value));
                }
            }
        }
        match self {
            Target::Events(_) | Target::ActionInteractions(_) => {
                body.entry("eventType").or_insert_with(|| json!(SESSION));
            }
            Target::Things(..) => {}
        }
        if let Target::ActionInteractions(_) = self {
            body.insert("userId".into(), json!(id));
            body.insert("sessionId".into(), json!(SESSION));
        }
        if let Target::Things(kind, _) = self {
            body.insert(thing(*kind).1.into(), json!(id));
        }
        if !properties.is_empty() {
            body.insert("properties".into(), json!(Value::Object(properties).to_string()));
        }
        Put { id, body: Value::Object(body), line }
    }

    // What a column is in a request; `id` is handed to the call or the record. None: one of the properties.
    fn member(&self, column: &str, storage: Storage) -> Option<&'static str> {
        match (self, column) {
            (Target::Things(kind, _), column) => (column == kind.id_field()).then_some("id"),
            (_, "USER_ID") => Some("id"),
            (_, "EVENT_TYPE") => Some("eventType"),
            (_, "RECOMMENDATION_ID") => Some("recommendationId"),
            (_, "IMPRESSION") => Some("impression"),
            (Target::Events(_), "TIMESTAMP") => Some("sentAt"),
            (Target::Events(_), "ITEM_ID") => Some("itemId"),
            (Target::Events(_), "EVENT_VALUE") if storage == Storage::Double => Some("eventValue"),
            (Target::Events(_), "EVENT_ATTRIBUTION_SOURCE") => Some("eventAttributionSource"),
            (Target::ActionInteractions(_), "TIMESTAMP") => Some("timestamp"),
            (Target::ActionInteractions(_), "ACTION_ID") => Some("actionId"),
            _ => None,
        }
    }

    /// Puts records; those of one id in their order. What the target refuses for good is given back.
    ///
    /// # Errors
    /// When the target does not answer, or refuses for another reason than the record.
    pub async fn send(&self, client: &Client, puts: Vec<Put>) -> Result<Refused> {
        let lanes = self.lanes(puts).into_iter().map(|calls| async move {
            let mut refused = Vec::new();
            for call in calls {
                self.send_call(client, call, &mut refused).await?;
            }
            Ok::<Refused, Error>(refused)
        });
        Ok(try_join_all(lanes).await?.into_iter().flatten().collect())
    }

    // Each lane makes its calls one after another.
    fn lanes(&self, puts: Vec<Put>) -> Vec<Vec<Vec<Put>>> {
        let mut lanes = vec![Vec::new(); LANES];
        if let Target::Events(_) = self {
            // A call is of one user, and of events no order is kept.
            let mut users: BTreeMap<String, Vec<Put>> = BTreeMap::new();
            puts.into_iter().for_each(|put| users.entry(put.id.clone()).or_default().push(put));
            let calls = users.into_values().flat_map(cut);
            calls.enumerate().for_each(|(n, call)| lanes[n % LANES].push(call));
            return lanes;
        }
        let mut by_lane = vec![Vec::new(); LANES];
        for put in puts {
            by_lane[(hash_id(&put.id) % LANES as u64) as usize].push(put);
        }
        by_lane.into_iter().map(cut).collect()
    }

    // One bad record must not keep nine others out.
    async fn send_call(&self, client: &Client, call: Vec<Put>, refused: &mut Refused) -> Result<()> {
        match self.try_call(client, &call).await {
            Err(cause) if is_of_record(cause.kind) && call.len() > 1 => {
                for put in call {
                    let one = vec![put];
                    match self.try_call(client, &one).await {
                        Err(cause) if is_of_record(cause.kind) => note(one, cause.message(), refused),
                        answer => answer?,
                    }
                }
                Ok(())
            }
            Err(cause) if is_of_record(cause.kind) => {
                note(call, cause.message(), refused);
                Ok(())
            }
            answer => answer,
        }
    }

    async fn try_call(&self, client: &Client, call: &[Put]) -> Result<()> {
        let records: Vec<&Value> = call.iter().map(|put| &put.body).collect();
        let user = call.first().map(|put| put.id.as_str()).unwrap_or_default();
        let (path, input) = match self {
            Target::Events(tracking_id) => (
                "/events",
                json!({ "trackingId": tracking_id, "userId": user, "sessionId": SESSION, "eventList": records }),
            ),
            Target::ActionInteractions(tracking_id) => {
                ("/action-interactions", json!({ "trackingId": tracking_id, "actionInteractions": records }))
            }
            Target::Things(kind, arn) => {
                let list = thing(*kind).0;
                (thing(*kind).2, json!({ "datasetArn": arn, list: records }))
            }
        };
        patiently(|| client.put_records(path, input.clone())).await
    }
}

fn note(call: Vec<Put>, reason: &str, refused: &mut Refused) {
    refused.extend(call.into_iter().map(|put| (put, reason.to_owned())));
}

fn is_of_record(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::Serialization)
}

fn cut(puts: Vec<Put>) -> Vec<Vec<Put>> {
    puts.chunks(CALL).map(<[Put]>::to_vec).collect()
}

// The member of the call that lists them, that of each with its id, and the path of the call.
fn thing(kind: DatasetType) -> (&'static str, &'static str, &'static str) {
    match kind {
        DatasetType::Items => ("items", "itemId", "/items"),
        DatasetType::Actions => ("actions", "actionId", "/actions"),
        _ => ("users", "userId", "/users"),
    }
}

// As a member it has to be of printable ASCII; as a property it could be anything.
fn is_source(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && text.bytes().any(|byte| byte != b' ')
}

fn plain(value: &Field<'_>) -> Value {
    match value {
        Field::Null => Value::Null,
        Field::String(text) => json!(text),
        Field::Long(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Boolean(truth) => json!(truth),
    }
}

fn seconds(at: i64) -> Value {
    match at {
        MILLISECONDS_FROM..=SECONDS_MAX => json!(at * 1000),
        // The service says what is wrong with it.
        SECONDS_TOO_MANY.. => json!(-1),
        at => json!(at),
    }
}

#[cfg(test)]
mod tests {
    use model::schema::Schema;

    use super::*;

    const EVENTS: &str = r#"{"type":"record","name":"Interactions","fields":[{"name":"USER_ID","type":"string"},
        {"name":"ITEM_ID","type":"string"},{"name":"TIMESTAMP","type":"long"},{"name":"NUM_RATINGS","type":"int"},
        {"name":"EVENT_VALUE","type":["null","float"]},{"name":"IMPRESSION","type":["null","string"]}]}"#;

    fn text(text: &str) -> Field<'_> {
        Field::String(text.into())
    }

    fn events() -> (Layout, Target) {
        let schema = Schema::parse(EVENTS, None).unwrap();
        (Layout::new(schema.dataset_type, &schema), Target::Events("t".into()))
    }

    #[test]
    fn an_event_has_members_for_some_columns_and_properties_for_the_rest() {
        let (layout, target) = events();
        let values = [text("u"), text("i"), Field::Long(7), Field::Long(3), Field::Double(4.0), text("a|b")];
        let put = target.put(&layout, &values);
        assert_eq!(put.id, "u");
        assert_eq!(
            put.body,
            json!({ "itemId": "i", "sentAt": 7, "eventValue": 4.0, "impression": ["a", "b"], "eventType": "migrated",
                "properties": "{\"numratings\":3}" })
        );
        assert_eq!(put.line, b"u,i,7,3,4.0,a|b\n");
    }

    #[test]
    fn times_that_look_like_milliseconds_are_sent_as_such() {
        let sent = [99_999_999_999, 100_000_000_000, 9_000_000_000_000, 9_000_000_000_001].map(seconds);
        assert_eq!(
            sent,
            [
                json!(99_999_999_999_i64),
                json!(100_000_000_000_000_i64),
                json!(9_000_000_000_000_000_i64),
                json!(-1)
            ]
        );
    }

    #[test]
    fn a_call_is_of_one_user_and_an_id_of_one_lane() {
        let (_, events) = events();
        let things = Target::Things(DatasetType::Items, "arn".into());
        let put = |n: usize| Put { id: format!("i{}", n % 3), body: json!(n), line: vec![] };
        let puts: Vec<Put> = (0..100).map(put).collect();
        for call in events.lanes(puts.clone()).into_iter().flatten() {
            assert!(call.len() <= CALL && call.iter().all(|put| put.id == call[0].id));
        }
        let lanes = things.lanes(puts);
        for id in ["i0", "i1", "i2"] {
            let of = |lane: &Vec<Vec<Put>>| -> Vec<u64> {
                let puts = lane.iter().flatten().filter(|put| put.id == id);
                puts.filter_map(|put| put.body.as_u64()).collect()
            };
            let found: Vec<Vec<u64>> = lanes.iter().map(of).filter(|found| !found.is_empty()).collect();
            assert_eq!(found.len(), 1);
            assert!(found[0].is_sorted() && found[0].len() >= 33);
        }
    }
}
