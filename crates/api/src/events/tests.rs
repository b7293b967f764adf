use crate::fixture::Fixture;
use serde_json::{Value, json};

fn events(tracking_id: &str, list: &Value) -> Value {
    json!({"trackingId": tracking_id, "userId": "u", "sessionId": "s", "eventList": list})
}

fn event(item: &str, properties: &Value) -> Value {
    json!({"eventType": "click", "sentAt": 5, "itemId": item, "properties": properties.to_string()})
}

#[tokio::test]
async fn events_are_in_the_log_when_they_are_answered() {
    let f = Fixture::new().await;
    let dataset = f.interactions().await;
    let tracker = f.tracker().await;
    let list = json!([event("a", &json!({"numRatings": "12"})), event("b", &json!({}))]);
    assert_eq!(f.put("/events", events(&tracker, &list)).await.0, 200);
    assert_eq!(f.records(&dataset).await, ["u,a,5,12", "u,b,5,"]);
}

#[tokio::test]
async fn one_bad_event_keeps_all_of_its_call_out() {
    let f = Fixture::new().await;
    let dataset = f.interactions().await;
    let tracker = f.tracker().await;
    let list = json!([event("a", &json!({})), event("b", &json!({"numRatings": "twelve"}))]);
    let (status, (code, message)) = f.put("/events", events(&tracker, &list)).await;
    assert_eq!((status, code.as_str()), (400, "InvalidInputException"));
    assert!(message.contains("numRatings") && message.contains("eventList.2.member"), "{message}");
    assert!(f.records(&dataset).await.is_empty());
}

#[tokio::test]
async fn properties_that_are_no_object_have_the_known_text() {
    let f = Fixture::new().await;
    f.interactions().await;
    let tracker = f.tracker().await;
    let twice = json!(json!({"numRatings": 1}).to_string());
    let (_, (_, message)) = f.put("/events", events(&tracker, &json!([event("a", &twice)]))).await;
    assert_eq!(message, "Error parsing properties json");
}

#[tokio::test]
async fn an_unknown_tracking_id_is_an_invalid_input() {
    let f = Fixture::new().await;
    let (status, told) = f.put("/events", events("none", &json!([event("a", &json!({}))]))).await;
    let text = "The given tracking ID does not exist: none".to_owned();
    assert_eq!((status, told), (400, ("InvalidInputException".to_owned(), text)));
    f.group("g").await;
    let tracker = f.tracker().await;
    let (status, told) = f.put("/events", events(&tracker, &json!([event("a", &json!({}))]))).await;
    assert_eq!((status, told.0.as_str()), (400, "InvalidInputException"));
    // The dataset may come later.
    f.interactions().await;
    assert_eq!(f.put("/events", events(&tracker, &json!([event("a", &json!({}))]))).await.0, 200);
}

#[tokio::test]
async fn a_deleted_tracker_takes_nothing_more_and_its_successor_does() {
    let f = Fixture::new().await;
    let dataset = f.interactions().await;
    let old = f.tracker().await;
    let list = json!([event("a", &json!({}))]);
    assert_eq!(f.put("/events", events(&old, &list)).await.0, 200);
    let trackers = f.ok("ListEventTrackers", json!({})).await;
    f.ok("DeleteEventTracker", json!({"eventTrackerArn": trackers["eventTrackers"][0]["eventTrackerArn"]}))
        .await;
    assert_eq!(f.put("/events", events(&old, &list)).await.0, 400);
    let new = f.tracker().await;
    assert_ne!(old, new);
    assert_eq!(f.put("/events", events(&new, &list)).await.0, 200);
    assert_eq!(f.records(&dataset).await.len(), 2);
}

#[tokio::test]
async fn a_dataset_made_again_starts_empty() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    let items = json!({"datasetArn": dataset, "items": [{"itemId": "i", "properties": "{\"price\":1}"}]});
    assert_eq!(f.put("/items", items.clone()).await.0, 200);
    f.ok("DeleteDataset", json!({"datasetArn": dataset})).await;
    assert_eq!(f.put("/items", items.clone()).await.0, 404);
    f.ok("DeleteSchema", json!({"schemaArn": f.realm.schema("Items")})).await;
    assert_eq!(f.items().await, dataset);
    assert!(f.records(&dataset).await.is_empty());
    assert_eq!(f.put("/items", items).await.0, 200);
    assert_eq!(f.records(&dataset).await, ["i,1.0"]);
}

#[tokio::test]
async fn items_and_users_go_to_datasets_of_their_type() {
    let f = Fixture::new().await;
    let items = f.items().await;
    let users = f
        .dataset(
            "Users",
            json!([{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": ["int", "null"]}]),
        )
        .await;
    let user = json!([{"userId": "u", "properties": "{\"age\":30}"}, {"userId": "v"}]);
    assert_eq!(f.put("/users", json!({"datasetArn": users, "users": user})).await.0, 200);
    assert_eq!(f.records(&users).await, ["u,30", "v,"]);
    let (status, told) = f.put("/users", json!({"datasetArn": items, "users": user})).await;
    assert_eq!((status, told.0.as_str()), (400, "InvalidInputException"));
    let none = f.realm.dataset("none", model::DatasetType::Users);
    let (status, told) = f.put("/users", json!({"datasetArn": none, "users": user})).await;
    let text = format!("The given dataset does not exist: {none}");
    assert_eq!((status, told), (404, ("ResourceNotFoundException".to_owned(), text)));
}

#[tokio::test]
async fn constraints_come_before_existence() {
    let f = Fixture::new().await;
    let items = vec![json!({"itemId": "i"}); 11];
    let (status, told) = f
        .put("/items", json!({"datasetArn": f.realm.dataset("x", model::DatasetType::Items), "items": items}))
        .await;
    assert_eq!((status, told.0.as_str()), (400, "InvalidInputException"));
    assert!(told.1.starts_with("1 validation error detected: "), "{}", told.1);
}

#[tokio::test]
async fn a_million_properties_of_nothing_are_no_danger() {
    let f = Fixture::new().await;
    let items = f.items().await;
    let deep = format!("{{\"price\":{}", "[".repeat(30_000));
    let (status, told) =
        f.put("/items", json!({"datasetArn": items, "items": [{"itemId": "i", "properties": deep}]})).await;
    assert_eq!((status, told.1.as_str()), (400, "Error parsing properties json"));
}
