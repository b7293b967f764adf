use catalog::{JobKind, Page};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TRUST, document};

const IN_USE: &str = "ResourceInUseException";
const INVALID: &str = "InvalidInputException";

fn fields(more: &[Value]) -> Value {
    let mut fields = json!([{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]);
    fields.as_array_mut().unwrap().extend(more.iter().cloned());
    fields
}

fn color() -> Value {
    json!({"name": "COLOR", "type": ["null", "string"], "categorical": true})
}

async fn schema(f: &Fixture, name: &str, record_name: &str, fields: Value) -> String {
    let input = json!({"name": name, "schema": document(record_name, fields)});
    f.ok("CreateSchema", input).await["schemaArn"].as_str().unwrap().to_owned()
}

/// An Items dataset and a schema that may take its schema's place.
async fn stage() -> (Fixture, String, String) {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    let wider = schema(&f, "wider", "Items", fields(&[color()])).await;
    (f, dataset, wider)
}

async fn described(f: &Fixture, dataset: &str) -> Value {
    f.ok("DescribeDataset", json!({"datasetArn": dataset})).await["dataset"].clone()
}

/// Does what the worker does.
async fn work(f: &Fixture) {
    let (job, lease) = f.catalog.claim(1000).await.unwrap().unwrap();
    assert_eq!(job.kind, JobKind::Update);
    f.catalog.begin_dataset_update(&lease).await.unwrap();
    let row = f.catalog.dataset_by_id(job.dataset_id).await.unwrap().unwrap();
    let arn = job.update_request().unwrap().schema_arn;
    let schema = f.catalog.schema(&arn).await.unwrap().unwrap();
    let layout = row.layout.replaced_by(&super::stored_schema(&schema).unwrap()).unwrap();
    f.catalog.finish_dataset_update(&lease, row.id, &arn, &layout).await.unwrap();
}

fn put(dataset: &str, properties: &Value) -> Value {
    json!({"datasetArn": dataset, "items": [{"itemId": "i", "properties": properties.to_string()}]})
}

#[tokio::test]
async fn an_update_shows_in_its_dataset_from_beginning_to_end() {
    let (f, dataset, wider) = stage().await;
    let before = described(&f, &dataset).await;
    assert!(before.get("latestDatasetUpdate").is_none() && before.get("trackingId").is_none());
    f.clock.advance_ms(1000);
    let input = json!({"datasetArn": dataset, "schemaArn": wider});
    assert_eq!(f.ok("UpdateDataset", input).await, json!({"datasetArn": dataset}));
    let pending = described(&f, &dataset).await;
    assert_eq!((&pending["status"], &pending["schemaArn"]), (&json!("ACTIVE"), &before["schemaArn"]));
    let update = json!({"schemaArn": wider, "status": "UPDATE PENDING", "creationDateTime": 1_790_000_001.123,
        "lastUpdatedDateTime": 1_790_000_001.123});
    assert_eq!(pending["latestDatasetUpdate"], update);
    f.clock.advance_ms(1000);
    work(&f).await;
    let after = described(&f, &dataset).await;
    assert_eq!(
        (&after["schemaArn"], &after["lastUpdatedDateTime"]),
        (&json!(wider), &json!(1_790_000_002.123))
    );
    let update = json!({"schemaArn": wider, "status": "ACTIVE", "creationDateTime": 1_790_000_001.123,
        "lastUpdatedDateTime": 1_790_000_002.123});
    assert_eq!(after["latestDatasetUpdate"], update);
    let listed = f.ok("ListDatasets", json!({})).await["datasets"][0].clone();
    assert!(listed.get("latestDatasetUpdate").is_none(), "{listed}");
}

#[tokio::test]
async fn an_open_update_keeps_everything_else_away() {
    let (f, dataset, wider) = stage().await;
    f.role(TRUST).await;
    // The layout is known to the puts before.
    assert_eq!(f.put("/items", put(&dataset, &json!({"price": 1}))).await.0, 200);
    f.ok("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": wider})).await;
    let role = crate::fixture::ROLE;
    let import = json!({"jobName": "j", "datasetArn": dataset, "roleArn": role,
        "dataSource": {"dataLocation": "s3://source/a.csv"}});
    let export = json!({"jobName": "j", "datasetArn": dataset, "roleArn": role,
        "jobOutput": {"s3DataDestination": {"path": "s3://target/out"}}});
    for (operation, input) in [
        ("CreateDatasetImportJob", import),
        ("CreateDatasetExportJob", export),
        ("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": wider})),
        ("DeleteDataset", json!({"datasetArn": dataset})),
    ] {
        let text = format!("The dataset is being updated: {dataset}");
        assert_eq!(f.refused(operation, input).await, (IN_USE.to_owned(), text), "{operation}");
    }
    let (status, (code, _)) = f.put("/items", put(&dataset, &json!({"price": 1}))).await;
    assert_eq!((status, code.as_str()), (409, IN_USE));
    for schema in [&wider, &f.realm.schema("Items").to_string()] {
        assert_eq!(f.refused("DeleteSchema", json!({"schemaArn": schema})).await.0, IN_USE);
    }
    work(&f).await;
    assert_eq!(f.put("/items", put(&dataset, &json!({"price": 1, "color": "red"}))).await.0, 200);
    f.ok("DeleteSchema", json!({"schemaArn": f.realm.schema("Items")})).await;
    assert_eq!(f.refused("DeleteSchema", json!({"schemaArn": wider})).await.0, IN_USE);
}

#[tokio::test]
async fn a_failed_update_leaves_the_old_schema_and_a_reason() {
    let (f, dataset, wider) = stage().await;
    f.ok("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": wider})).await;
    let (_, lease) = f.catalog.claim(1000).await.unwrap().unwrap();
    f.catalog.begin_dataset_update(&lease).await.unwrap();
    assert_eq!(described(&f, &dataset).await["latestDatasetUpdate"]["status"], "UPDATE IN_PROGRESS");
    f.catalog.fail_job(&lease, "for a reason", None).await.unwrap();
    let after = described(&f, &dataset).await;
    let update = &after["latestDatasetUpdate"];
    assert_eq!(
        (&update["status"], &update["failureReason"]),
        (&json!("UPDATE FAILED"), &json!("for a reason"))
    );
    assert_eq!(after["schemaArn"], f.realm.schema("Items").to_string());
    assert_eq!(f.put("/items", put(&dataset, &json!({"price": 1}))).await.0, 200);
    f.ok("DeleteSchema", json!({"schemaArn": wider})).await;
    assert_eq!(f.records(&dataset).await, ["i,1.0"]);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_replaces_nothing() {
    let (f, dataset, wider) = stage().await;
    f.ok("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": wider})).await;
    let (job, lost) = f.catalog.claim(1000).await.unwrap().unwrap();
    f.clock.advance_ms(1001);
    let row = f.catalog.dataset_by_id(job.dataset_id).await.unwrap().unwrap();
    let arn = job.update_request().unwrap().schema_arn;
    work(&f).await;
    assert!(f.catalog.begin_dataset_update(&lost).await.is_err());
    assert!(f.catalog.finish_dataset_update(&lost, row.id, &arn, &row.layout).await.is_err());
    assert_eq!(described(&f, &dataset).await["latestDatasetUpdate"]["status"], "ACTIVE");
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused_with_all_that_is_wrong() {
    let (f, dataset, _) = stage().await;
    let wrong = json!([{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "double"},
        {"name": "COLOR", "type": "string"}, {"name": "AGE", "type": ["int", "null"]}]);
    let shop = json!({"name": "shop", "domain": "ECOMMERCE", "schema": document("Items", json!([
        {"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"},
        {"name": "CATEGORY_L1", "type": "string", "categorical": true}]))});
    let shop = f.ok("CreateSchema", shop).await["schemaArn"].as_str().unwrap().to_owned();
    let users = json!([{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}]);
    let users = schema(&f, "users", "Users", users).await;
    let mut texts = vec![
        (
            schema(&f, "wrong", "Items", wrong).await,
            "The new schema must keep field PRICE with its type and attributes. \
            New field COLOR must support null."
                .to_owned(),
        ),
        (users.clone(), format!("Schema {users} can't be used for a dataset of type ITEMS.")),
        (
            shop,
            "Schema domain does not match dataset group domain. New field CATEGORY_L1 must support null."
                .to_owned(),
        ),
    ];
    let now = f.realm.schema("Items").to_string();
    texts.push((now.clone(), format!("The dataset has this schema already: {now}")));
    for (schema, text) in texts {
        let refusal = f.refused("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": schema})).await;
        assert_eq!(refusal, (INVALID.to_owned(), text));
    }
    assert!(described(&f, &dataset).await.get("latestDatasetUpdate").is_none());
    assert!(f.catalog.jobs(JobKind::Update, None, &Page::first(1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_items_and_users_can_be_updated() {
    let (f, _, wider) = stage().await;
    let dataset = f.interactions().await;
    let (code, message) =
        f.refused("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": wider})).await;
    assert_eq!(code, INVALID);
    assert!(message.contains("INTERACTIONS"), "{message}");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let (f, dataset, wider) = stage().await;
    let nobody = f.realm.dataset("nobody", model::DatasetType::Items).to_string();
    let nothing = f.realm.schema("nothing").to_string();
    for (dataset, schema, text) in [
        (&nobody, &wider, format!("The given dataset does not exist: {nobody}")),
        (&dataset, &nothing, format!("The given schema does not exist: {nothing}")),
    ] {
        let refusal = f.refused("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": schema})).await;
        assert_eq!(refusal, ("ResourceNotFoundException".to_owned(), text));
    }
    assert_eq!(f.refused("UpdateDataset", json!({"datasetArn": dataset})).await.0, INVALID);
}

#[tokio::test]
async fn an_update_is_no_resource_of_its_own() {
    let (f, dataset, wider) = stage().await;
    f.ok("UpdateDataset", json!({"datasetArn": dataset, "schemaArn": wider})).await;
    let job = f.catalog.claim(1000).await.unwrap().unwrap().0.arn;
    for (operation, member) in [
        ("DescribeDatasetImportJob", "datasetImportJobArn"),
        ("DescribeDatasetExportJob", "datasetExportJobArn"),
        ("ListTagsForResource", "resourceArn"),
    ] {
        assert_eq!(
            f.refused(operation, json!({member: job})).await.0,
            "ResourceNotFoundException",
            "{operation}"
        );
    }
    for operation in ["ListDatasetImportJobs", "ListDatasetExportJobs"] {
        let listed = f.ok(operation, json!({"datasetArn": dataset})).await;
        assert!(listed.as_object().unwrap().values().all(|jobs| jobs == &json!([])), "{listed}");
    }
}
