//! The demonstration's data: a small shop, made from a seed so that every run shows the same.

use model::Clock;
use model::clock::SimulatedClock;
use serde_json::{Value, json};

const SEED: u64 = 20_210_426;
pub const USERS: usize = 2_000;
pub const ITEMS: usize = 600;
pub const INTERACTIONS: usize = 60_000;
const START_S: u64 = 1_767_225_600;

const KINDS: [(&str, &str, f64); 6] = [
    ("kettle", "Kitchen|Electric", 39.0),
    ("notebook", "Office", 4.5),
    ("lamp", "Home|Light", 25.0),
    ("rucksack", "Outdoor|Bags", 79.0),
    ("teapot", "Kitchen", 18.5),
    ("headphones", "Electronics|Audio", 129.0),
];
const STYLES: [&str; 5] = ["oak", "\"classic\"", "light, foldable", "blue", "café"];
const EVENTS: [&str; 4] = ["view", "view", "click", "purchase"];

pub const INTERACTIONS_SCHEMA: &str = r#"{"type":"record","name":"Interactions","namespace":"com.amazonaws.personalize.schema","fields":[
{"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},{"name":"TIMESTAMP","type":"long"},
{"name":"EVENT_TYPE","type":"string"},{"name":"EVENT_VALUE","type":["null","float"]}],"version":"1.0"}"#;
pub const ITEMS_SCHEMA: &str = r#"{"type":"record","name":"Items","namespace":"com.amazonaws.personalize.schema","fields":[
{"name":"ITEM_ID","type":"string"},{"name":"PRICE","type":["null","float"]},{"name":"CATEGORY","type":["null","string"],"categorical":true},
{"name":"DESCRIPTION","type":["null","string"],"textual":true}],"version":"1.0"}"#;
pub const USERS_SCHEMA: &str = r#"{"type":"record","name":"Users","namespace":"com.amazonaws.personalize.schema","fields":[
{"name":"USER_ID","type":"string"},{"name":"AGE","type":["null","int"]},{"name":"MEMBERSHIP","type":"string","categorical":true}],"version":"1.0"}"#;

/// A shop with its own chance.
pub struct Shop {
    chance: SimulatedClock,
}

impl Shop {
    pub fn open() -> Shop {
        Shop { chance: SimulatedClock::new(0, SEED) }
    }

    fn below(&self, n: usize) -> usize {
        let mut bytes = [0; 4];
        self.chance.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % n
    }

    // Few items sell often: the smaller of two draws is likelier to be small.
    fn popular_item(&self) -> usize {
        self.below(ITEMS).min(self.below(ITEMS))
    }

    /// Interactions as CSV; about one row in a hundred repeats an earlier one.
    pub fn interactions_csv(&self) -> String {
        let mut rows: Vec<String> = Vec::with_capacity(INTERACTIONS);
        for n in 0..INTERACTIONS {
            if n > 100 && self.below(100) == 0 {
                rows.push(rows[self.below(n)].clone());
                continue;
            }
            let event = EVENTS[self.below(EVENTS.len())];
            let value = if event == "purchase" { format!("{}.5", self.below(90)) } else { String::new() };
            let at = START_S + self.below(86_400 * 90) as u64;
            rows.push(format!(
                "user-{},item-{},{at},{event},{value}",
                self.below(USERS),
                self.popular_item()
            ));
        }
        format!("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\n{}\n", rows.join("\n"))
    }

    pub fn items_csv(&self) -> String {
        let mut csv = "ITEM_ID,PRICE,CATEGORY,DESCRIPTION\n".to_owned();
        for n in 0..ITEMS {
            let (noun, category, price) = KINDS[n % KINDS.len()];
            let description = format!("A {} {noun}", STYLES[self.below(STYLES.len())]).replace('"', "\"\"");
            csv.push_str(&format!(
                "item-{n},{:.2},{category},\"{description}\"\n",
                price + self.below(100) as f64 / 4.0
            ));
        }
        csv
    }

    pub fn users_csv(&self) -> String {
        let mut csv = "USER_ID,AGE,MEMBERSHIP\n".to_owned();
        for n in 0..USERS {
            let age = if self.below(5) == 0 { String::new() } else { (18 + self.below(60)).to_string() };
            csv.push_str(&format!("user-{n},{age},{}\n", ["none", "silver", "gold"][self.below(3)]));
        }
        csv
    }

    /// The body of a PutEvents call with ten events; about one event in ten is sent twice.
    pub fn events(&self, tracking_id: &str) -> Value {
        let mut events: Vec<Value> = Vec::new();
        for n in 0..10 {
            if n > 0 && self.below(10) == 0 {
                events.push(events[n - 1].clone());
                continue;
            }
            let at = START_S + 86_400 * 91 + self.below(3_600) as u64;
            let item = format!("item-{}", self.popular_item());
            events
                .push(json!({ "eventType": EVENTS[self.below(EVENTS.len())], "sentAt": at, "itemId": item }));
        }
        let user = format!("user-{}", self.below(USERS));
        json!({ "trackingId": tracking_id, "sessionId": format!("visit-of-{user}"), "userId": user, "eventList": events })
    }

    /// The body of a PutItems call: new prices for ten items.
    pub fn price_changes(&self, dataset_arn: &str) -> Value {
        let change = |_| {
            let n = self.below(ITEMS);
            let (noun, category, price) = KINDS[n % KINDS.len()];
            let properties = json!({ "price": price * 0.8, "category": category, "description": format!("A {noun} on sale") });
            json!({ "itemId": format!("item-{n}"), "properties": properties.to_string() })
        };
        json!({ "datasetArn": dataset_arn, "items": (0..10).map(change).collect::<Vec<_>>() })
    }

    /// The body of a PutUsers call: ten users, some of them new.
    pub fn sign_ups(&self, dataset_arn: &str) -> Value {
        let sign_up = |_| {
            let properties = json!({ "age": 18 + self.below(60), "membership": "gold" });
            json!({ "userId": format!("user-{}", self.below(USERS + 200)), "properties": properties.to_string() })
        };
        json!({ "datasetArn": dataset_arn, "users": (0..10).map(sign_up).collect::<Vec<_>>() })
    }
}
