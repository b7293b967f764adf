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

#[tokio::test]
async fn a_dataset_arn_is_no_tracking_id() {
    let f = Fixture::new().await;
    let dataset = f.interactions().await;
    // The dataset is looked up, though it takes no items; that must not make its name a tracking id.
    assert_eq!(f.put("/items", json!({"datasetArn": dataset, "items": [{"itemId": "i"}]})).await.0, 400);
    let (status, told) = f.put("/events", events(&dataset, &json!([event("a", &json!({}))]))).await;
    let text = format!("The given tracking ID does not exist: {dataset}");
    assert_eq!((status, told), (400, ("InvalidInputException".to_owned(), text)));
}

async fn actions(f: &Fixture) -> String {
    let fields = json!([{"name": "ACTION_ID", "type": "string"}, {"name": "VALUE", "type": ["long", "null"]},
        {"name": "KIND", "type": "string", "categorical": true}]);
    f.dataset("Actions", fields).await
}

#[tokio::test]
async fn actions_go_to_a_dataset_of_actions() {
    let f = Fixture::new().await;
    let dataset = actions(&f).await;
    let action = |id: &str, properties: &Value| json!({"actionId": id, "properties": properties.to_string()});
    let put = |dataset: &str, list: Value| json!({"datasetArn": dataset, "actions": list});
    let good =
        json!([action("a", &json!({"value": "100", "kind": "x"})), action("b", &json!({"KIND": "y|z"}))]);
    assert_eq!(f.put("/actions", put(&dataset, good.clone())).await.0, 200);
    assert_eq!(f.records(&dataset).await, ["a,100,x", "b,,y|z"]);
    for (properties, text) in [
        (json!({"value": 1}), "required fields: [KIND]"),
        (json!({"kind": "x", "value": "much"}), "value"),
        (json!({"kind": "x", "color": "red"}), "color"),
    ] {
        let list = json!([action("c", &json!({"kind": "x"})), action("d", &properties)]);
        let (status, (code, message)) = f.put("/actions", put(&dataset, list)).await;
        assert_eq!((status, code.as_str()), (400, "InvalidInputException"));
        assert!(message.contains(text) && message.ends_with("(at actions.2.member)"), "{message}");
    }
    assert_eq!(f.put("/actions", put(&f.items().await, good.clone())).await.0, 400);
    let none = f.realm.dataset("none", model::DatasetType::Actions).to_string();
    assert_eq!(f.put("/actions", put(&none, good)).await.0, 404);
    assert_eq!(f.records(&dataset).await.len(), 2);
}

async fn action_interactions(f: &Fixture) -> (String, String) {
    let fields = json!([{"name": "USER_ID", "type": "string"}, {"name": "ACTION_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"}, {"name": "TIMESTAMP", "type": "long"}]);
    let schema = f.schema("ActionInteractions", fields).await;
    let group = f.group("g").await;
    let input = json!({"name": "d", "schemaArn": schema, "datasetGroupArn": group,
        "datasetType": "Action_Interactions"});
    let arn = f.ok("CreateDataset", input).await["datasetArn"].as_str().unwrap().to_owned();
    let described = f.ok("DescribeDataset", json!({"datasetArn": arn})).await;
    let id = described["dataset"]["trackingId"].as_str().unwrap().to_owned();
    (arn, id)
}

fn taken(tracking_id: &str, action: &str, kind: &str) -> Value {
    json!({"trackingId": tracking_id, "actionInteractions": [
        {"actionId": action, "userId": "u", "sessionId": "s", "timestamp": 5, "eventType": kind}]})
}

#[tokio::test]
async fn action_interactions_go_by_the_tracking_id_of_their_dataset() {
    let f = Fixture::new().await;
    let (dataset, id) = action_interactions(&f).await;
    assert_eq!(f.put("/action-interactions", taken(&id, "a", "Taken")).await.0, 200);
    assert_eq!(f.put("/action-interactions", taken(&id, "b", "NOT_TAKEN")).await.0, 200);
    let (status, (code, message)) = f.put("/action-interactions", taken(&id, "c", "bought")).await;
    assert_eq!((status, code.as_str()), (400, "InvalidInputException"));
    assert!(message.ends_with("(at actionInteractions.1.member)"), "{message}");
    assert_eq!(f.records(&dataset).await, ["u,a,Taken,5", "u,b,NOT_TAKEN,5"]);
    f.ok("DeleteDataset", json!({"datasetArn": dataset})).await;
    assert_eq!(f.put("/action-interactions", taken(&id, "a", "Taken")).await.0, 404);
}

#[tokio::test]
async fn the_two_kinds_of_tracking_ids_are_not_mistaken_for_each_other() {
    let f = Fixture::new().await;
    let (dataset, id) = action_interactions(&f).await;
    let interactions = f.interactions().await;
    let tracker = f.tracker().await;
    let list = json!([event("i", &json!({}))]);
    for _ in 0..2 {
        let (status, (code, _)) = f.put("/events", events(&id, &list)).await;
        assert_eq!((status, code.as_str()), (400, "InvalidInputException"));
        let (status, (code, message)) = f.put("/action-interactions", taken(&tracker, "a", "Taken")).await;
        assert_eq!((status, code.as_str()), (404, "ResourceNotFoundException"));
        assert_eq!(message, format!("The given tracking ID does not exist: {tracker}"));
        // The second time, both are known.
        assert_eq!(f.put("/events", events(&tracker, &list)).await.0, 200);
        assert_eq!(f.put("/action-interactions", taken(&id, "a", "Taken")).await.0, 200);
    }
    assert_eq!((f.records(&interactions).await.len(), f.records(&dataset).await.len()), (2, 2));
    let listed = f.ok("ListEventTrackers", json!({})).await;
    assert_eq!(listed["eventTrackers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_constraint_of_actions_and_their_interactions_holds() {
    let f = Fixture::new().await;
    let dataset = actions(&f).await;
    let action = |member: &str, value: Value| {
        let mut action = json!({"actionId": "a"});
        action[member] = value;
        json!({"datasetArn": dataset, "actions": [action]})
    };
    let interaction = |member: &str, value: Value| {
        let mut put = taken("t", "a", "Taken");
        put["actionInteractions"][0][member] = value;
        put
    };
    let none = json!({"datasetArn": dataset, "actions": []});
    let eleven = json!({"datasetArn": dataset, "actions": vec![json!({"actionId": "a"}); 11]});
    let many = json!({"trackingId": "t", "actionInteractions": vec![interaction("actionId", json!("a"))["actionInteractions"][0].clone(); 11]});
    for (path, input) in [
        ("/actions", action("actionId", json!(""))),
        ("/actions", action("actionId", json!("x".repeat(257)))),
        ("/actions", action("properties", json!("x".repeat(32_001)))),
        ("/actions", none),
        ("/actions", eleven),
        ("/action-interactions", many),
        ("/action-interactions", interaction("actionId", Value::Null)),
        ("/action-interactions", interaction("sessionId", Value::Null)),
        ("/action-interactions", interaction("timestamp", Value::Null)),
        ("/action-interactions", interaction("eventType", json!(""))),
        ("/action-interactions", interaction("eventId", json!("x".repeat(257)))),
        ("/action-interactions", interaction("recommendationId", json!("x".repeat(41)))),
        ("/action-interactions", interaction("impression", json!([]))),
        ("/action-interactions", interaction("impression", json!(vec!["a"; 26]))),
        ("/action-interactions", interaction("properties", json!("x".repeat(1025)))),
    ] {
        let (status, (code, message)) = f.put(path, input.clone()).await;
        assert_eq!((status, code.as_str()), (400, "InvalidInputException"), "{input}");
        assert!(message.starts_with("1 validation error detected: "), "{message}");
    }
}
