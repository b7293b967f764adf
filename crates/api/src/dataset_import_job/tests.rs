use crate::fixture::{Fixture, ROLE, TRUST};
use serde_json::{Value, json};

const HEADER: &str = "USER_ID,ITEM_ID,TIMESTAMP,NUM_RATINGS\n";

fn input(dataset: &str, name: &str, location: &str) -> Value {
    json!({"jobName": name, "datasetArn": dataset, "dataSource": {"dataLocation": location}, "roleArn": ROLE})
}

async fn fixture() -> (Fixture, String) {
    let f = Fixture::new().await;
    f.role(TRUST).await;
    let dataset = f.interactions().await;
    f.store.put("data/in/a.csv", &format!("{HEADER}u,i,1,\n"));
    (f, dataset)
}

#[tokio::test]
async fn a_job_waits_and_the_bell_rings() {
    let (f, dataset) = fixture().await;
    let arn = f.ok("CreateDatasetImportJob", input(&dataset, "j", "s3://data/in/a.csv")).await["datasetImportJobArn"].clone();
    assert_eq!(arn, "arn:aws:personalize:us-east-1:000000000000:dataset-import-job/j");
    f.bell.notified().await;
    let job = f.ok("DescribeDatasetImportJob", json!({"datasetImportJobArn": arn})).await["datasetImportJob"]
        .clone();
    let whole = json!({"jobName": "j", "datasetImportJobArn": arn, "datasetArn": dataset,
        "dataSource": {"dataLocation": "s3://data/in/a.csv"}, "roleArn": ROLE, "status": "CREATE PENDING",
        "creationDateTime": 1_790_000_000.123, "lastUpdatedDateTime": 1_790_000_000.123, "importMode": "FULL"});
    assert_eq!(job, whole);
    let listed = f.ok("ListDatasetImportJobs", json!({"datasetArn": dataset})).await;
    assert_eq!(listed["datasetImportJobs"][0]["jobName"], "j");
    let (code, _) = f.refused("CreateDatasetImportJob", input(&dataset, "j", "s3://data/in/a.csv")).await;
    assert_eq!(code, "ResourceAlreadyExistsException");
    assert_eq!(
        f.refused("DescribeDatasetExportJob", json!({"datasetExportJobArn": arn})).await.0,
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn a_job_without_a_role_is_refused() {
    let (f, dataset) = fixture().await;
    let mut input = input(&dataset, "j", "s3://data/in/a.csv");
    input["roleArn"] = Value::Null;
    let (code, message) = f.refused("CreateDatasetImportJob", input).await;
    let text = "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null";
    assert_eq!((code.as_str(), message.as_str()), ("InvalidInputException", text));
}

#[tokio::test]
async fn the_first_import_is_a_full_one() {
    let (f, dataset) = fixture().await;
    let mut input = input(&dataset, "j", "s3://data/in/a.csv");
    input["importMode"] = json!("INCREMENTAL");
    let (code, message) = f.refused("CreateDatasetImportJob", input).await;
    assert!(code == "InvalidInputException" && message.contains("INCREMENTAL"), "{message}");
}

#[tokio::test]
async fn places_without_data_are_told_in_the_words_of_the_service() {
    let (f, dataset) = fixture().await;
    for place in [
        "http://data/in/a.csv",
        "s3://data/in/b.csv",
        "s3://data/none/",
        "s3://nobucket/a.csv",
        "s3://Data/a.csv",
    ] {
        let (code, message) = f.refused("CreateDatasetImportJob", input(&dataset, "j", place)).await;
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("InvalidInputException", "Invalid Data location."),
            "{place}"
        );
    }
    assert_eq!(f.ok("ListDatasetImportJobs", json!({})).await, json!({"datasetImportJobs": []}));
}

#[tokio::test]
async fn every_file_of_a_folder_is_looked_at() {
    let (f, dataset) = fixture().await;
    f.store.put("data/in/b.csv", "USER_ID,TIMESTAMP\n");
    f.store.put("data/in/sub/c.csv", "X\n");
    f.store.put("data/in/notes.txt", "X\n");
    for place in ["s3://data/in/", "s3://data/in"] {
        let (_, message) = f.refused("CreateDatasetImportJob", input(&dataset, "j", place)).await;
        assert_eq!(
            message,
            "Input csv is missing the following columns: [ITEM_ID, NUM_RATINGS] (file in/b.csv)"
        );
    }
    f.store.put("data/in/b.csv", &format!("EXTRA,{HEADER}"));
    f.ok("CreateDatasetImportJob", input(&dataset, "j", "s3://data/in/")).await;
}

#[tokio::test]
async fn a_missing_column_of_a_single_file_has_the_known_text() {
    let (f, dataset) = fixture().await;
    for (text, missing) in [
        ("USER_ID,TIMESTAMP,NUM_RATINGS\nu,1,2\n", "[ITEM_ID]"),
        ("", "[USER_ID, ITEM_ID, TIMESTAMP, NUM_RATINGS]"),
    ] {
        f.store.put("data/x.csv", text);
        let (_, message) = f.refused("CreateDatasetImportJob", input(&dataset, "j", "s3://data/x.csv")).await;
        assert_eq!(message, format!("Input csv is missing the following columns: {missing}"));
    }
}

#[tokio::test]
async fn a_header_may_be_longer_than_the_first_look() {
    let (f, dataset) = fixture().await;
    f.store.put("data/wide.csv", &format!("{},{HEADER}", "X".repeat(300_000)));
    f.ok("CreateDatasetImportJob", input(&dataset, "j", "s3://data/wide.csv")).await;
}

#[tokio::test]
async fn a_role_that_may_not_read_is_told_which_bucket() {
    for action in ["list", "get"] {
        let (f, dataset) = fixture().await;
        f.store.deny(action);
        let (code, message) =
            f.refused("CreateDatasetImportJob", input(&dataset, "j", "s3://data/in/a.csv")).await;
        assert_eq!(code, "InvalidInputException");
        assert!(message.starts_with("Insufficient privileges for accessing data in S3. Please look at https://docs.aws.amazon.com/personalize/latest/dg/granting-personalize-s3-access.html#attach-bucket-policy and fix bucket policy on data."), "{message}");
    }
}

#[tokio::test]
async fn a_role_that_is_not_there_can_not_be_assumed() {
    let (f, dataset) = fixture().await;
    let mut input = input(&dataset, "j", "s3://data/in/a.csv");
    input["roleArn"] = json!("arn:aws:iam::000000000000:role/None");
    let (code, message) = f.refused("CreateDatasetImportJob", input).await;
    assert_eq!(code, "InvalidInputException");
    assert!(
        message.starts_with("Personalize can't assume the role arn:aws:iam::000000000000:role/None."),
        "{message}"
    );
    assert!(f.store.done().is_empty());
}
