use crate::fixture::{Fixture, ROLE, TRUST};
use serde_json::{Value, json};

fn input(dataset: &str, path: &str) -> Value {
    json!({"jobName": "j", "datasetArn": dataset, "roleArn": ROLE, "jobOutput": {"s3DataDestination": {"path": path}}})
}

async fn fixture() -> (Fixture, String) {
    let f = Fixture::new().await;
    f.role(TRUST).await;
    f.store.put("out/there", "");
    let dataset = f.items().await;
    (f, dataset)
}

#[tokio::test]
async fn a_job_pins_its_snapshot_and_exports_put_records_by_default() {
    let (f, dataset) = fixture().await;
    let items = json!({"datasetArn": dataset, "items": [{"itemId": "i", "properties": "{\"price\":1}"}]});
    assert_eq!(f.put("/items", items).await.0, 200);
    let arn =
        f.ok("CreateDatasetExportJob", input(&dataset, "s3://out/a")).await["datasetExportJobArn"].clone();
    f.bell.notified().await;
    assert_eq!(
        f.store.done(),
        ["list out/", "create out/a/j/_manifest.json", "abort out/a/j/_manifest.json"]
    );
    let row = f.catalog.job(&f.realm.export_job("j")).await.unwrap().unwrap();
    assert_eq!(row.snapshot().unwrap().log_to, f.log.settled().position);
    let job = f.ok("DescribeDatasetExportJob", json!({"datasetExportJobArn": arn})).await["datasetExportJob"]
        .clone();
    let whole = json!({"jobName": "j", "datasetExportJobArn": arn, "datasetArn": dataset, "ingestionMode": "PUT",
        "roleArn": ROLE, "status": "CREATE PENDING", "jobOutput": {"s3DataDestination": {"path": "s3://out/a"}},
        "creationDateTime": 1_790_000_000.123, "lastUpdatedDateTime": 1_790_000_000.123});
    assert_eq!(job, whole);
    let listed = f.ok("ListDatasetExportJobs", json!({})).await;
    assert_eq!(listed["datasetExportJobs"].as_array().unwrap().len(), 1);
    assert_eq!(
        f.refused("CreateDatasetExportJob", input(&dataset, "s3://out/a")).await.0,
        "ResourceAlreadyExistsException"
    );
    assert_eq!(f.refused("DeleteDataset", json!({"datasetArn": dataset})).await.0, "ResourceInUseException");
}

#[tokio::test]
async fn destinations_that_can_not_be_are_refused() {
    let (f, dataset) = fixture().await;
    for path in ["https://out/a", "s3://Out/a", "s3:///a"] {
        let (code, message) = f.refused("CreateDatasetExportJob", input(&dataset, path)).await;
        assert_eq!((code.as_str(), message.as_str()), ("InvalidInputException", "Invalid S3 output path"));
    }
    assert!(f.store.done().is_empty());
}

#[tokio::test]
async fn a_key_that_can_not_be_used_is_told_by_its_name() {
    let (f, dataset) = fixture().await;
    let key = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000";
    let mut sealed = input(&dataset, "s3://out/a");
    sealed["jobOutput"]["s3DataDestination"]["kmsKeyArn"] = json!(key);
    let (code, message) = f.refused("CreateDatasetExportJob", sealed).await;
    assert_eq!(code, "InvalidInputException");
    assert!(message.starts_with(&format!("Insufficient privileges for KMS key {key}.")), "{message}");
    assert_eq!(f.ok("ListDatasetExportJobs", json!({})).await, json!({"datasetExportJobs": []}));
}

#[tokio::test]
async fn a_role_that_may_not_write_is_told_which_bucket() {
    for (action, bucket) in [("list", "out"), ("create", "out"), ("none", "nobucket")] {
        let (f, dataset) = fixture().await;
        f.store.deny(action);
        let (code, message) =
            f.refused("CreateDatasetExportJob", input(&dataset, &format!("s3://{bucket}/a"))).await;
        assert_eq!(code, "InvalidInputException");
        assert!(
            message.starts_with("Insufficient privileges for accessing data in S3.")
                && message.contains(&format!("fix bucket policy on {bucket}.")),
            "{message}"
        );
        assert_eq!(f.ok("ListDatasetExportJobs", json!({})).await, json!({"datasetExportJobs": []}));
    }
}

#[tokio::test]
async fn a_role_that_may_not_abort_is_no_obstacle() {
    let (f, dataset) = fixture().await;
    f.store.deny("abort");
    f.ok("CreateDatasetExportJob", input(&dataset, "s3://out")).await;
}

#[tokio::test]
async fn actions_are_not_exported() {
    let (f, _) = fixture().await;
    let actions = f
        .dataset(
            "Actions",
            json!([{"name": "ACTION_ID", "type": "string"}, {"name": "VALUE", "type": "long"}]),
        )
        .await;
    let (code, message) = f.refused("CreateDatasetExportJob", input(&actions, "s3://out")).await;
    assert!(code == "InvalidInputException" && message.contains("ACTIONS"), "{message}");
}

#[tokio::test]
async fn checks_come_in_their_order() {
    let (f, dataset) = fixture().await;
    let none = f.realm.dataset("none", model::DatasetType::Items);
    let mut input = input(none.as_str(), "nonsense");
    input["ingestionMode"] = json!("SOME");
    let (code, message) = f.refused("CreateDatasetExportJob", input.clone()).await;
    assert!(
        code == "InvalidInputException" && message.starts_with("2 validation errors detected"),
        "{message}"
    );
    input["ingestionMode"] = json!("ALL");
    input["jobOutput"]["s3DataDestination"]["path"] = json!("http://x");
    assert_eq!(f.refused("CreateDatasetExportJob", input.clone()).await.0, "ResourceNotFoundException");
    input["datasetArn"] = json!(dataset);
    input["tags"] = json!([{"tagKey": "aws:x", "tagValue": ""}]);
    assert!(f.refused("CreateDatasetExportJob", input.clone()).await.1.contains("aws:"));
    input["tags"] = json!([{"tagKey": "lade:form", "tagValue": "parquet"}]);
    assert!(f.refused("CreateDatasetExportJob", input).await.1.contains("There is no option lade:form"));
}

#[tokio::test]
async fn a_session_may_not_pass_a_role_on() {
    let (f, dataset) = fixture().await;
    let text = input(&dataset, "s3://out").to_string();
    let target = "AmazonPersonalize.CreateDatasetExportJob";
    let response = f.send(f.session(), http::Method::POST, "/", target, &text).await;
    assert_eq!(crate::fixture::body(&response)["__type"], "AccessDeniedException");
    assert!(f.store.done().is_empty());
}
