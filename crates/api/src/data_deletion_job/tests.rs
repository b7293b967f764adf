use serde_json::{Value, json};

use crate::fixture::{Fixture, ROLE, TRUST};

fn input(group: &str, name: &str, location: &str) -> Value {
    json!({"jobName": name, "datasetGroupArn": group, "dataSource": {"dataLocation": location}, "roleArn": ROLE})
}

async fn fixture() -> (Fixture, String) {
    let f = Fixture::new().await;
    f.role(TRUST).await;
    let group = f.group("g").await;
    f.store.put("data/in/a.csv", "USER_ID\nu\n");
    (f, group)
}

#[tokio::test]
async fn a_job_waits_and_the_bell_rings() {
    let (f, group) = fixture().await;
    let input = input(&group, "j", "s3://data/in/a.csv");
    let arn = f.ok("CreateDataDeletionJob", input.clone()).await["dataDeletionJobArn"].clone();
    assert_eq!(arn, "arn:aws:personalize:us-east-1:000000000000:data-deletion-job/j");
    f.bell.notified().await;
    let job = f.ok("DescribeDataDeletionJob", json!({"dataDeletionJobArn": arn})).await;
    let whole = json!({"jobName": "j", "dataDeletionJobArn": arn, "datasetGroupArn": group,
        "dataSource": {"dataLocation": "s3://data/in/a.csv"}, "roleArn": ROLE, "status": "PENDING",
        "creationDateTime": 1_790_000_000.123, "lastUpdatedDateTime": 1_790_000_000.123});
    assert_eq!(job, json!({"dataDeletionJob": whole}));
    let listed = f.ok("ListDataDeletionJobs", json!({"datasetGroupArn": group})).await;
    let short = json!({"jobName": "j", "dataDeletionJobArn": arn, "datasetGroupArn": group, "status": "PENDING",
        "creationDateTime": 1_790_000_000.123, "lastUpdatedDateTime": 1_790_000_000.123});
    assert_eq!(listed, json!({"dataDeletionJobs": [short]}));
    let none = json!({"datasetGroupArn": f.realm.dataset_group("none")});
    assert_eq!(f.ok("ListDataDeletionJobs", none).await, json!({"dataDeletionJobs": []}));
    assert_eq!(f.refused("CreateDataDeletionJob", input).await.0, "ResourceAlreadyExistsException");
    let elsewhere = f.refused("DescribeDatasetImportJob", json!({"datasetImportJobArn": arn})).await;
    assert_eq!(elsewhere.0, "ResourceNotFoundException");
    f.ok("TagResource", json!({"resourceArn": arn, "tags": [{"tagKey": "a", "tagValue": "b"}]})).await;
}

#[tokio::test]
async fn a_group_that_is_not_there_is_told_first() {
    let (f, group) = fixture().await;
    let missing = format!("{group}2");
    let refused = f.refused("CreateDataDeletionJob", input(&missing, "j", "http://nothing")).await;
    assert_eq!(refused.0, "ResourceNotFoundException");
    let refused = f.refused("DescribeDataDeletionJob", json!({"dataDeletionJobArn": missing})).await;
    assert_eq!(refused.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_group_whose_records_are_being_deleted_stays() {
    let (f, group) = fixture().await;
    let dataset = f.items().await;
    f.ok("CreateDataDeletionJob", input(&group, "j", "s3://data/in/a.csv")).await;
    for (operation, input) in [
        ("DeleteDataset", json!({"datasetArn": dataset})),
        ("DeleteDatasetGroup", json!({"datasetGroupArn": group})),
    ] {
        let (code, message) = f.refused(operation, input).await;
        assert_eq!(code, "ResourceInUseException");
        assert!(message.starts_with("1 data deletion job(s) of the dataset group are pending"), "{message}");
    }
}

#[tokio::test]
async fn a_file_has_the_one_column() {
    let (f, group) = fixture().await;
    for (text, told) in [
        ("ID\nu\n", "Input csv is missing the following columns: [USER_ID]"),
        ("", "Input csv is missing the following columns: [USER_ID]"),
        ("USER_ID,AGE\nu,1\n", "Input csv may have the columns [USER_ID] only, and has also: [AGE]"),
        ("USER_ID,USER_ID\nu,v\n", "Input csv has the following columns more than once: [USER_ID]"),
    ] {
        f.store.put("data/bad.csv", text);
        let (code, message) =
            f.refused("CreateDataDeletionJob", input(&group, "j", "s3://data/bad.csv")).await;
        assert_eq!((code.as_str(), message.as_str()), ("InvalidInputException", told));
    }
    for place in ["s3://data/none.csv", "s3://data/none/", "https://data/in/a.csv"] {
        let (_, message) = f.refused("CreateDataDeletionJob", input(&group, "j", place)).await;
        assert_eq!(message, "Invalid Data location.", "{place}");
    }
}
