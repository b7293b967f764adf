//! What a run puts: each record bears a number of its own, and each of its values follows from that number.

use std::io::Write;

use model::DatasetType;
use model::error::{Error, Result};
use model::schema::{Field, Kind};

use crate::client::schema::Dataset;

/// Users that events are spread over.
const USERS: u64 = 100_000;
/// The time of the first event, in seconds; of `SECONDS` events each has another.
const SINCE_S: u64 = 1_700_000_000;
const SECONDS: u64 = 1_000_000;

/// The records of one run.
pub struct Records {
    /// In front of each number, so that runs are told apart.
    prefix: String,
    call: Call,
    per_call: u64,
    columns: Vec<Column>,
}

enum Call {
    Events { tracking_id: String },
    Things { dataset_arn: String, list: &'static str, id: &'static str },
}

struct Column {
    name: String,
    source: Source,
}

/// Where a column's value comes from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// The run and the record's number.
    Id,
    User,
    EventType,
    EventValue,
    Time,
    Property(Kind),
    /// Not sent: no property may stand for it.
    Nothing,
}

impl Records {
    /// Events for a tracker; without its dataset they have no more than an event needs.
    pub fn events(run: &str, tracking_id: &str, per_call: u64, dataset: Option<&Dataset>) -> Records {
        let fields = dataset.map(|dataset| dataset.schema.fields.as_slice()).unwrap_or_default();
        let columns = fields.iter().map(|field| Column::new(field, of_event(field))).collect();
        let call = Call::Events { tracking_id: tracking_id.to_owned() };
        Records { prefix: format!("{run}-"), call, per_call, columns }
    }

    /// Items or users for a dataset, with a property for each of its fields.
    ///
    /// # Errors
    /// `Invalid` when the dataset is of another type.
    pub fn things(run: &str, per_call: u64, dataset: &Dataset) -> Result<Records> {
        let (list, id) = match dataset.dataset_type {
            DatasetType::Items => ("items", "itemId"),
            DatasetType::Users => ("users", "userId"),
            other => {
                let text = format!(
                    "Put to datasets of Items or Users, or to a tracking id: this is {}",
                    other.as_str()
                );
                return Err(Error::invalid(text));
            }
        };
        let of_thing = |field: &Field| match field.name == dataset.dataset_type.id_field() {
            true => Source::Id,
            false => Source::Property(field.kind),
        };
        let columns = dataset.schema.fields.iter().map(|field| Column::new(field, of_thing(field))).collect();
        let call = Call::Things { dataset_arn: dataset.arn.clone(), list, id };
        Ok(Records { prefix: format!("{run}-"), call, per_call, columns })
    }

    /// Where calls go.
    pub fn path(&self) -> &'static str {
        match &self.call {
            Call::Events { .. } => "/events",
            Call::Things { list: "items", .. } => "/items",
            Call::Things { .. } => "/users",
        }
    }

    pub fn per_call(&self) -> u64 {
        self.per_call
    }

    /// Replaces `out` by the body of a call, counted from 0.
    pub fn write_call(&self, call: u64, out: &mut Vec<u8>) {
        out.clear();
        let numbers = call * self.per_call..(call + 1) * self.per_call;
        match &self.call {
            Call::Events { tracking_id } => {
                let user = self.user(numbers.start);
                put(out, format_args!(r#"{{"trackingId":"{tracking_id}","userId":"u{user}","#));
                put(out, format_args!(r#""sessionId":"s{user}","eventList":["#));
                numbers.for_each(|number| self.write_event(number, out));
            }
            Call::Things { dataset_arn, list, id } => {
                put(out, format_args!(r#"{{"datasetArn":"{dataset_arn}","{list}":["#));
                for number in numbers {
                    put(out, format_args!(r#"{{"{id}":"{}{number}""#, self.prefix));
                    self.write_properties(number, out);
                    out.extend_from_slice(b"},");
                }
            }
        }
        out.pop();
        out.extend_from_slice(b"]}");
    }

    fn write_event(&self, number: u64, out: &mut Vec<u8>) {
        put(out, format_args!(r#"{{"eventType":"click","itemId":"{}{number}","#, self.prefix));
        put(out, format_args!(r#""sentAt":{}"#, time(number)));
        if self.columns.iter().any(|column| column.source == Source::EventValue) {
            put(out, format_args!(r#","eventValue":{}.5"#, number % 1000));
        }
        self.write_properties(number, out);
        out.extend_from_slice(b"},");
    }

    // JSON within a JSON string: its quotes are escaped, and no value needs more.
    fn write_properties(&self, number: u64, out: &mut Vec<u8>) {
        let mut before: &[u8] = br#","properties":"{"#;
        for column in &self.columns {
            let Source::Property(kind) = column.source else { continue };
            out.extend_from_slice(before);
            put(out, format_args!(r#"\"{}\":"#, column.name));
            let quotes: &[u8] = if kind == Kind::String { br#"\""# } else { b"" };
            out.extend_from_slice(quotes);
            write_value(kind, number, out);
            out.extend_from_slice(quotes);
            before = b",";
        }
        if before == b"," {
            out.extend_from_slice(br#"}""#);
        }
    }

    /// The columns of an export of this dataset, in its order.
    ///
    /// # Errors
    /// `Invalid` when the header names others.
    pub fn check_header(&self, header: &[u8]) -> Result<()> {
        let mut names = header.split(|&b| b == b',');
        let are_same = self.columns.iter().all(|column| names.next() == Some(column.name.as_bytes()));
        if are_same && names.next().is_none() {
            return Ok(());
        }
        Err(Error::invalid("The export has other columns than the dataset's schema."))
    }

    /// The number that a line of an export bears; `None` for lines of others.
    pub fn number_of(&self, line: &[u8]) -> Option<u64> {
        let position = self.columns.iter().position(|column| column.source == Source::Id)?;
        let id = line.split(|&b| b == b',').nth(position)?;
        let digits = id.strip_prefix(self.prefix.as_bytes())?;
        // One number has one spelling.
        let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
        (number.to_string().as_bytes() == digits).then_some(number)
    }

    /// Replaces `out` by the line that a record must have in an export.
    pub fn write_line(&self, number: u64, out: &mut Vec<u8>) {
        out.clear();
        for column in &self.columns {
            match column.source {
                Source::Id => put(out, format_args!("{}{number}", self.prefix)),
                Source::User => put(out, format_args!("u{}", self.user(number))),
                Source::EventType => out.extend_from_slice(b"click"),
                Source::EventValue => write_value(Kind::Double, number, out),
                Source::Time => put(out, format_args!("{}", time(number))),
                Source::Property(kind) => write_value(kind, number, out),
                Source::Nothing => {}
            }
            out.push(b',');
        }
        out.pop();
    }

    // All events of a call are one user's.
    fn user(&self, number: u64) -> u64 {
        (number / self.per_call) % USERS
    }
}

impl Column {
    fn new(field: &Field, source: Source) -> Column {
        Column { name: field.name.clone(), source }
    }
}

// What events have as members can't be a property; the members that are not sent here stay empty.
fn of_event(field: &Field) -> Source {
    match field.name.as_str() {
        "ITEM_ID" => Source::Id,
        "USER_ID" => Source::User,
        "EVENT_TYPE" => Source::EventType,
        "EVENT_VALUE" => Source::EventValue,
        "TIMESTAMP" => Source::Time,
        "SESSION_ID" | "IMPRESSION" | "RECOMMENDATION_ID" | "EVENT_ATTRIBUTION_SOURCE" => Source::Nothing,
        _ => Source::Property(field.kind),
    }
}

// Values whose text is the same in JSON and in an export, and that no file has to quote.
fn write_value(kind: Kind, number: u64, out: &mut Vec<u8>) {
    let n = number % 1000;
    match kind {
        Kind::String => put(out, format_args!("v{n}")),
        Kind::Int | Kind::Long => put(out, format_args!("{n}")),
        Kind::Float | Kind::Double => put(out, format_args!("{n}.5")),
        Kind::Boolean => put(out, format_args!("{}", n.is_multiple_of(2))),
    }
}

fn time(number: u64) -> u64 {
    SINCE_S + number % SECONDS
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use model::Schema;
    use serde_json::{Value, json};

    use super::*;

    fn dataset(dataset_type: DatasetType, fields: Value) -> Dataset {
        let name = dataset_type.record_name();
        let text =
            json!({"type": "record", "name": name, "namespace": "n", "version": "1.0", "fields": fields});
        let schema = Schema::parse(&text.to_string(), None).unwrap();
        Dataset { arn: "arn".into(), dataset_type, schema }
    }

    fn rated() -> Dataset {
        let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
        let value = json!({"name": "EVENT_VALUE", "type": ["null", "float"]});
        let fields = json!([
            field("USER_ID", "string"),
            field("ITEM_ID", "string"),
            field("EVENT_TYPE", "string"),
            value,
            field("NUM_RATINGS", "int"),
            field("LIKED", "boolean"),
            field("TIMESTAMP", "long")
        ]);
        dataset(DatasetType::Interactions, fields)
    }

    fn call(records: &Records, call: u64) -> Value {
        let mut body = Vec::new();
        records.write_call(call, &mut body);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_call_has_as_many_events_as_asked_for_each_with_its_number() {
        let records = Records::events("r", "t", 3, Some(&rated()));
        let body = call(&records, 2);
        assert_eq!((&body["trackingId"], &body["userId"]), (&json!("t"), &json!("u2")));
        let items: Vec<&Value> = body["eventList"].as_array().unwrap().iter().map(|e| &e["itemId"]).collect();
        assert_eq!(items, [&json!("r-6"), &json!("r-7"), &json!("r-8")]);
        let properties: Value =
            serde_json::from_str(body["eventList"][1]["properties"].as_str().unwrap()).unwrap();
        assert_eq!(properties, json!({"NUM_RATINGS": 7, "LIKED": false}));
        assert_eq!(body["eventList"][1]["eventValue"], json!(7.5));
    }

    #[test]
    fn a_line_of_an_export_is_foretold() {
        let records = Records::events("r", "t", 3, Some(&rated()));
        let mut line = Vec::new();
        records.write_line(7, &mut line);
        assert_eq!(String::from_utf8(line.clone()).unwrap(), "u2,r-7,click,7.5,7,false,1700000007");
        assert_eq!(records.number_of(&line), Some(7));
        records.check_header(b"USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,NUM_RATINGS,LIKED,TIMESTAMP").unwrap();
        assert!(records.check_header(b"USER_ID,ITEM_ID").is_err());
    }

    #[test]
    fn lines_of_others_bear_no_number() {
        let records = Records::events("r", "t", 3, Some(&rated()));
        for line in ["u,x-7,a", "u,r-07,a", "u,r-,a", "u,r-7x,a", "u", "", "r-7"] {
            assert_eq!(records.number_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn events_of_an_unknown_dataset_have_what_every_event_needs() {
        let event = &call(&Records::events("r", "t", 1, None), 5)["eventList"][0];
        assert_eq!(*event, json!({"eventType": "click", "itemId": "r-5", "sentAt": 1_700_000_005}));
    }

    #[test]
    fn things_have_a_property_for_each_field_but_their_id() {
        let fields = json!([{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"},
            {"name": "KIND", "type": "string", "categorical": true}]);
        let items = dataset(DatasetType::Items, fields);
        let records = Records::things("r", 2, &items).unwrap();
        assert_eq!(records.path(), "/items");
        let item = &call(&records, 1)["items"][1];
        let properties: Value = serde_json::from_str(item["properties"].as_str().unwrap()).unwrap();
        assert_eq!((&item["itemId"], properties), (&json!("r-3"), json!({"PRICE": 3.5, "KIND": "v3"})));
        assert!(Records::things("r", 2, &rated()).is_err());
    }
}
