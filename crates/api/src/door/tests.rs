use super::*;
use crate::fixture::{Fixture, body, document};
use access::Principal;
use serde_json::{Value, json};

fn items_fields() -> Value {
    json!([{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}])
}

#[tokio::test]
async fn a_schema_is_given_back_byte_for_byte() {
    let f = Fixture::new().await;
    let text = document("Items", items_fields()).replace(',', " ,\n");
    let arn = "arn:aws:personalize:us-east-1:000000000000:schema/s";
    assert_eq!(f.ok("CreateSchema", json!({"name": "s", "schema": text})).await, json!({"schemaArn": arn}));
    let described = f.ok("DescribeSchema", json!({"schemaArn": arn})).await;
    let whole = json!({"schema": {"name": "s", "schemaArn": arn, "schema": text, "creationDateTime": 1_790_000_000.123,
        "lastUpdatedDateTime": 1_790_000_000.123}});
    assert_eq!(described, whole);
    let refusal = f.refused("CreateSchema", json!({"name": "s", "schema": text})).await;
    assert_eq!(refusal.0, "ResourceAlreadyExistsException");
    assert_eq!(refusal.1, format!("Another resource with Amazon Resource Name {arn} already exists."));
}

#[tokio::test]
async fn every_problem_of_a_schema_is_told() {
    let f = Fixture::new().await;
    let fields = json!([{"name": "A B", "type": "string"}, {"name": "PRICE", "type": "text"}]);
    let (code, message) =
        f.refused("CreateSchema", json!({"name": "s", "schema": document("Items", fields)})).await;
    assert_eq!(code, "InvalidInputException");
    for part in [
        "Invalid field name: A B.",
        "Unsupported type for field PRICE: \"text\".",
        "required fields: [ITEM_ID]",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn an_empty_account_lists_nothing_and_no_token() {
    let f = Fixture::new().await;
    assert_eq!(f.ok("ListDatasetGroups", json!({})).await, json!({"datasetGroups": []}));
    assert_eq!(f.ok("ListFilters", json!({})).await, json!({"Filters": []}));
    let unknown = json!({"datasetGroupArn": f.realm.dataset_group("none")});
    assert_eq!(f.ok("ListDatasets", unknown).await, json!({"datasets": []}));
}

#[tokio::test]
async fn a_group_goes_through_its_life() {
    let f = Fixture::new().await;
    let arn = f.group("g").await;
    let described = f.ok("DescribeDatasetGroup", json!({"datasetGroupArn": arn})).await;
    assert_eq!(described["datasetGroup"]["status"], "ACTIVE");
    assert!(described["datasetGroup"].get("domain").is_none());
    let domain = f.ok("CreateDatasetGroup", json!({"name": "h", "domain": "ECOMMERCE"})).await;
    assert_eq!(domain["domain"], "ECOMMERCE");
    assert_eq!(f.ok("DeleteDatasetGroup", json!({"datasetGroupArn": arn})).await, Value::Null);
    let (code, message) = f.refused("DescribeDatasetGroup", json!({"datasetGroupArn": arn})).await;
    assert_eq!(
        (code.as_str(), message),
        ("ResourceNotFoundException", format!("The given dataset group does not exist: {arn}"))
    );
}

#[tokio::test]
async fn a_key_needs_a_role_and_a_role_a_key() {
    let f = Fixture::new().await;
    let input = json!({"name": "g", "roleArn": "arn:aws:iam::000000000000:role/r",
        "kmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000"});
    let (code, message) = f.refused("CreateDatasetGroup", input.clone()).await;
    assert!(code == "InvalidInputException" && message.contains("does not exist"), "{message}");
    let mut half = input.clone();
    half.as_object_mut().unwrap().remove("kmsKeyArn");
    let (code, message) = f.refused("CreateDatasetGroup", half).await;
    assert!(code == "InvalidInputException" && message.contains("both or neither"), "{message}");
}

#[tokio::test]
async fn a_dataset_needs_a_group_and_a_schema_that_fit() {
    let f = Fixture::new().await;
    let (group, schema) = (f.group("g").await, f.schema("Items", items_fields()).await);
    let shop =
        f.ok("CreateDatasetGroup", json!({"name": "shop", "domain": "ECOMMERCE"})).await["datasetGroupArn"]
            .clone();
    let none = f.realm.schema("none");
    let cases = [
        (
            json!({"datasetType": "Users"}),
            "InvalidInputException",
            "can't be used for a dataset of type USERS",
        ),
        (json!({"datasetType": "Films"}), "InvalidInputException", "Invalid dataset type: Films"),
        (json!({"datasetGroupArn": shop}), "InvalidInputException", "Schema domain does not match"),
        (
            json!({"datasetGroupArn": shop, "datasetType": "Actions"}),
            "InvalidInputException",
            "domain dataset group",
        ),
        (json!({"schemaArn": none}), "ResourceNotFoundException", "The given schema does not exist"),
        (
            json!({"datasetGroupArn": f.realm.dataset_group("x")}),
            "ResourceNotFoundException",
            "The given dataset group",
        ),
        (
            json!({"datasetGroupArn": "nonsense"}),
            "InvalidInputException",
            "at 'datasetGroupArn' failed to satisfy",
        ),
    ];
    let input = |change: &Value| {
        let mut input =
            json!({"name": "d", "schemaArn": schema, "datasetGroupArn": group, "datasetType": "items"});
        change.as_object().unwrap().iter().for_each(|(k, v)| input[k] = v.clone());
        input
    };
    for (change, code, text) in cases {
        let refusal = f.refused("CreateDataset", input(&change)).await;
        assert!(refusal.0 == code && refusal.1.contains(text), "{refusal:?}");
    }
    let arn = f.ok("CreateDataset", input(&json!({}))).await["datasetArn"].clone();
    assert_eq!(arn, "arn:aws:personalize:us-east-1:000000000000:dataset/g/ITEMS");
    let described = f.ok("DescribeDataset", json!({"datasetArn": arn})).await["dataset"].clone();
    assert_eq!((&described["datasetType"], &described["schemaArn"]), (&json!("ITEMS"), &json!(schema)));
    assert_eq!(f.refused("CreateDataset", input(&json!({}))).await.0, "ResourceAlreadyExistsException");
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let f = Fixture::new().await;
    let dataset = f.interactions().await;
    f.tracker().await;
    let (group, schema) = (f.realm.dataset_group("g"), f.realm.schema("Interactions"));
    let in_use = "ResourceInUseException";
    assert_eq!(f.refused("DeleteDataset", json!({"datasetArn": dataset})).await.0, in_use);
    assert_eq!(f.refused("DeleteDatasetGroup", json!({"datasetGroupArn": group})).await.0, in_use);
    assert_eq!(f.refused("DeleteSchema", json!({"schemaArn": schema})).await.0, in_use);
    let tracker = f.ok("ListEventTrackers", json!({"datasetGroupArn": group})).await["eventTrackers"][0]["eventTrackerArn"].clone();
    f.ok("DeleteEventTracker", json!({"eventTrackerArn": tracker})).await;
    f.ok("DeleteDataset", json!({"datasetArn": dataset})).await;
    f.ok("DeleteSchema", json!({"schemaArn": schema})).await;
    f.ok("DeleteDatasetGroup", json!({"datasetGroupArn": group})).await;
}

#[tokio::test]
async fn a_group_has_one_tracker() {
    let f = Fixture::new().await;
    let group = f.group("g").await;
    let made = f.ok("CreateEventTracker", json!({"name": "t", "datasetGroupArn": group})).await;
    let arn = made["eventTrackerArn"].as_str().unwrap();
    let id = arn.strip_prefix("arn:aws:personalize:us-east-1:000000000000:event-tracker/").unwrap();
    assert!(id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let tracker = f.ok("DescribeEventTracker", json!({"eventTrackerArn": arn})).await["eventTracker"].clone();
    assert_eq!(
        (&tracker["accountId"], &tracker["trackingId"]),
        (&json!("000000000000"), &made["trackingId"])
    );
    let (code, message) =
        f.refused("CreateEventTracker", json!({"name": "u", "datasetGroupArn": group})).await;
    assert!(code == "ResourceAlreadyExistsException" && message.contains(&group), "{code} {message}");
}

#[tokio::test]
async fn pages_show_every_row_once_newest_first() {
    let f = Fixture::new().await;
    for n in 0..25 {
        f.group(&format!("g{n:02}")).await;
        f.clock.advance_ms(n % 3);
    }
    let (mut names, mut token) = (Vec::new(), Value::Null);
    loop {
        let page = f.ok("ListDatasetGroups", json!({"maxResults": 10, "nextToken": token})).await;
        let rows = page["datasetGroups"].as_array().unwrap();
        names.extend(rows.iter().map(|row| {
            (row["creationDateTime"].as_f64().unwrap(), row["name"].as_str().unwrap().to_owned())
        }));
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let mut sorted = names.clone();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    sorted.dedup();
    assert_eq!((names.len(), &names), (25, &sorted));
}

#[tokio::test]
async fn a_token_of_another_list_is_refused() {
    let f = Fixture::new().await;
    f.group("a").await;
    f.group("b").await;
    let token = f.ok("ListDatasetGroups", json!({"maxResults": 1})).await["nextToken"].clone();
    let (code, _) = f.refused("ListSchemas", json!({"nextToken": token})).await;
    assert_eq!(code, "InvalidNextTokenException");
    assert_eq!(
        f.refused("ListDatasetGroups", json!({"nextToken": "x"})).await.0,
        "InvalidNextTokenException"
    );
    assert_eq!(f.refused("ListDatasetGroups", json!({"maxResults": 101})).await.0, "InvalidInputException");
}

#[tokio::test]
async fn arns_of_other_accounts_and_regions_name_nothing() {
    let f = Fixture::new().await;
    f.group("g").await;
    for arn in [
        "arn:aws:personalize:us-east-1:111111111111:dataset-group/g",
        "arn:aws:personalize:eu-west-1:000000000000:dataset-group/g",
    ] {
        assert_eq!(
            f.refused("DescribeDatasetGroup", json!({"datasetGroupArn": arn})).await.0,
            "ResourceNotFoundException"
        );
    }
}

#[tokio::test]
async fn tags_are_set_replaced_listed_and_removed() {
    let f = Fixture::new().await;
    let tag = |key: &str, value: &str| json!({"tagKey": key, "tagValue": value});
    let group =
        f.ok("CreateDatasetGroup", json!({"name": "g", "tags": [tag("b", "1")]})).await["datasetGroupArn"]
            .clone();
    let set =
        f.ok("TagResource", json!({"resourceArn": group, "tags": [tag("a", "2"), tag("b", "3")]})).await;
    assert_eq!(set, json!({}));
    let listed = f.ok("ListTagsForResource", json!({"resourceArn": group})).await;
    assert_eq!(listed, json!({"tags": [tag("a", "2"), tag("b", "3")]}));
    f.ok("UntagResource", json!({"resourceArn": group, "tagKeys": ["a", "none"]})).await;
    assert_eq!(
        f.ok("ListTagsForResource", json!({"resourceArn": group})).await,
        json!({"tags": [tag("b", "3")]})
    );
    let many: Vec<Value> = (0..50).map(|n| tag(&format!("k{n}"), "")).collect();
    let keys: Vec<String> = (0..51).map(|n| format!("k{n}")).collect();
    let schema = f.schema("Items", items_fields()).await;
    let cases = [
        ("TagResource", json!({"resourceArn": group, "tags": many}), "TooManyTagsException"),
        ("UntagResource", json!({"resourceArn": group, "tagKeys": keys}), "TooManyTagKeysException"),
        ("TagResource", json!({"resourceArn": group, "tags": [tag("aws:x", "1")]}), "InvalidInputException"),
        (
            "TagResource",
            json!({"resourceArn": group, "tags": [tag("x", "1"), tag("x", "2")]}),
            "InvalidInputException",
        ),
        ("TagResource", json!({"resourceArn": schema, "tags": [tag("x", "1")]}), "InvalidInputException"),
        (
            "ListTagsForResource",
            json!({"resourceArn": f.realm.dataset_group("none")}),
            "ResourceNotFoundException",
        ),
    ];
    for (operation, input, code) in cases {
        assert_eq!(f.refused(operation, input).await.0, code);
    }
}

#[tokio::test]
async fn names_that_the_service_has_and_this_version_has_not_are_told_so() {
    let f = Fixture::new().await;
    for name in ["CreateSolution", "CreateFilter"] {
        let (code, message) = f.refused(name, json!({})).await;
        let text = format!("The operation {name} is not offered by this version.");
        assert_eq!((code.as_str(), message), ("InvalidInputException", text));
    }
    assert_eq!(f.put("/recommendations", json!({})).await.0, 400);
}

#[tokio::test]
async fn unknown_operations_are_told_in_their_protocol() {
    let f = Fixture::new().await;
    let root = || Principal::Root { arn: f.realm.root() };
    for (method, path, target, status) in [
        (Method::POST, "/", "AmazonPersonalize.MakeCoffee", 400),
        (Method::POST, "/", "Other.CreateSchema", 400),
        (Method::GET, "/", "AmazonPersonalize.ListSchemas", 400),
        (Method::POST, "/", "", 400),
        (Method::POST, "/coffee", "", 404),
        (Method::GET, "/events", "", 404),
    ] {
        let response = f.send(root(), method, path, target, "{}").await;
        assert_eq!(
            (response.status().as_u16(), &body(&response)["__type"]),
            (status, &json!("UnknownOperationException"))
        );
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_told_so() {
    let f = Fixture::new().await;
    for text in ["{", "[]", "{\"name\": 5}", "\"x\""] {
        let root = Principal::Root { arn: f.realm.root() };
        let response = f.send(root, Method::POST, "/", "AmazonPersonalize.CreateSchema", text).await;
        assert_eq!(
            (response.status().as_u16(), &body(&response)["__type"]),
            (400, &json!("SerializationException"))
        );
    }
    for name in ["ListSolutions", "CreateSolution"] {
        let root = Principal::Root { arn: f.realm.root() };
        let response = f.send(root, Method::POST, "/", &format!("AmazonPersonalize.{name}"), "[]").await;
        assert_eq!(body(&response)["__type"], "SerializationException");
    }
    let root = Principal::Root { arn: f.realm.root() };
    let response = f.send(root, Method::POST, "/", "AmazonPersonalize.ListSchemas", "").await;
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn a_session_is_denied_before_it_learns_what_exists() {
    let f = Fixture::new().await;
    f.role(crate::fixture::TRUST).await;
    let arn = f.realm.dataset_group("none");
    let input = json!({"datasetGroupArn": arn}).to_string();
    let response =
        f.send(f.session(), Method::POST, "/", "AmazonPersonalize.DescribeDatasetGroup", &input).await;
    let told = body(&response);
    assert_eq!((response.status().as_u16(), &told["__type"]), (400, &json!("AccessDeniedException")));
    let text = format!(
        "User: arn:aws:sts::000000000000:assumed-role/Role/job is not authorized to perform: \
         personalize:DescribeDatasetGroup on resource: {arn}"
    );
    assert_eq!(told["message"], text);
    let response = f.send(f.session(), Method::POST, "/", "AmazonPersonalize.ListSchemas", "{}").await;
    assert!(body(&response)["message"].as_str().unwrap().ends_with("on resource: *"));
}

#[tokio::test]
async fn a_request_has_to_be_right_before_permission_is_asked() {
    let f = Fixture::new().await;
    f.role(crate::fixture::TRUST).await;
    let event = r#"{"trackingId":"t","sessionId":"s","eventList":[{"eventType":"e","sentAt":1}]}"#;
    let cases = [
        ("/", "AmazonPersonalize.CreateDatasetGroup", "[]", "SerializationException"),
        ("/", "AmazonPersonalize.CreateDatasetGroup", r#"{"name":"a b"}"#, "InvalidInputException"),
        ("/", "AmazonPersonalize.CreateDatasetGroup", r#"{"name":"a"}"#, "AccessDeniedException"),
        ("/", "AmazonPersonalize.ListSolutions", "[]", "SerializationException"),
        ("/", "AmazonPersonalize.ListSolutions", "{}", "AccessDeniedException"),
        ("/", "AmazonPersonalize.MakeCoffee", "[]", "UnknownOperationException"),
        ("/events", "", "[]", "SerializationException"),
        ("/events", "", "{}", "InvalidInputException"),
        ("/events", "", event, "AccessDeniedException"),
    ];
    for (path, target, text, code) in cases {
        let response = f.send(f.session(), Method::POST, path, target, text).await;
        assert_eq!(body(&response)["__type"], code, "{path}{target} {text}");
    }
}
