use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Fixture, ROLE, TRUST, body};

const ITEMS: &str = "ITEM_ID,PRICE\ni,1.0\n";

/// A server with an import job that waits; the ARN of dataset and job.
async fn fixture() -> (Fixture, String, String) {
    let f = Fixture::new().await;
    f.role(TRUST).await;
    let dataset = f.items().await;
    f.store.put("data/in/a.csv", ITEMS);
    let input = json!({"jobName": "j", "datasetArn": dataset, "roleArn": ROLE,
        "dataSource": {"dataLocation": "s3://data/in/a.csv"}});
    let arn = f.ok("CreateDatasetImportJob", input).await["datasetImportJobArn"].clone();
    (f, dataset, arn.as_str().unwrap().to_owned())
}

async fn ask(f: &Fixture, method: Method, path: &str) -> (u16, Value) {
    let root = access::Principal::Root { arn: f.realm.root() };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let response = f.send_query(root, method, path, query).await;
    (response.status().as_u16(), body(&response))
}

#[tokio::test]
async fn a_job_that_waits_knows_nothing_of_its_end() {
    let (f, dataset, arn) = fixture().await;
    let (status, job) = ask(&f, Method::GET, &format!("/lade/v1/jobs/{arn}")).await;
    let progress =
        json!({"rowsDone": 0, "rowsTotal": null, "bytesDone": 0, "bytesTotal": null, "etaSeconds": null});
    let whole = json!({"jobArn": arn, "jobName": "j", "type": "IMPORT", "datasetArn": dataset,
        "datasetGroupArn": null, "status": "CREATE PENDING", "progress": progress, "attempts": 0, "ledger": null,
        "files": null, "losers": null, "options": null, "since": null, "rejects": null, "failureReason": null,
        "cancelledBy": null, "roleArn": ROLE, "location": "s3://data/in/a.csv", "mode": "FULL", "tolerance": 0,
        "validateOnly": false, "createdAt": 1_790_000_000.123,
        "lastUpdatedAt": 1_790_000_000.123});
    assert_eq!((status, job), (200, whole));
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_at_once_and_only_once() {
    let (f, _, arn) = fixture().await;
    let path = format!("/lade/v1/jobs/{arn}/cancel");
    let (status, job) = ask(&f, Method::POST, &path).await;
    assert_eq!(status, 200, "{job}");
    assert_eq!(job["status"], "CREATE FAILED");
    assert_eq!(job["failureReason"], "cancelled by arn:aws:iam::000000000000:root");
    let (status, refusal) = ask(&f, Method::POST, &path).await;
    assert_eq!((status, &refusal["__type"]), (409, &json!("ResourceInUseException")), "{refusal}");
}

#[tokio::test]
async fn what_is_no_job_is_not_found() {
    let (f, dataset, arn) = fixture().await;
    for path in [format!("/lade/v1/jobs/{arn}2"), format!("/lade/v1/jobs/{dataset}"), "/lade/v1/x".to_owned()]
    {
        let (status, refusal) = ask(&f, Method::GET, &path).await;
        assert_eq!((status, &refusal["__type"]), (404, &json!("ResourceNotFoundException")), "{path}");
    }
    assert_eq!(ask(&f, Method::GET, "/lade/v1/jobs/x").await.0, 400);
}

#[tokio::test]
async fn a_list_is_paged_and_filtered() {
    let (f, dataset, arn) = fixture().await;
    f.store.put("data/users/a.csv", "USER_ID\nu\n");
    let input = json!({"jobName": "d", "datasetGroupArn": f.realm.dataset_group("g"), "roleArn": ROLE,
        "dataSource": {"dataLocation": "s3://data/users/a.csv"}});
    f.ok("CreateDataDeletionJob", input).await;
    let (_, first) = ask(&f, Method::GET, "/lade/v1/jobs?maxResults=1").await;
    assert_eq!(first["jobs"][0]["type"], "DELETION");
    let token = first["nextToken"].as_str().unwrap();
    let (_, second) = ask(&f, Method::GET, &format!("/lade/v1/jobs?maxResults=1&nextToken={token}")).await;
    assert_eq!((&second["jobs"][0]["jobArn"], &second["nextToken"]), (&json!(arn), &Value::Null));
    let (_, of_dataset) = ask(&f, Method::GET, &format!("/lade/v1/jobs?datasetArn={dataset}")).await;
    assert_eq!(of_dataset["jobs"].as_array().unwrap().len(), 1);
    ask(&f, Method::POST, &format!("/lade/v1/jobs/{arn}/cancel")).await;
    let (_, open) = ask(&f, Method::GET, "/lade/v1/jobs?open=true").await;
    assert_eq!(open["jobs"].as_array().unwrap().len(), 1);
    for query in ["maxResults=0", "maxResults=101", "open=yes", "datasetArn=x", "x=y", "nextToken=x"] {
        assert_eq!(ask(&f, Method::GET, &format!("/lade/v1/jobs?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn who_may_not_describe_or_create_a_job_may_not_watch_or_cancel_it() {
    let (f, _, arn) = fixture().await;
    for (method, path, action) in [
        (Method::GET, format!("/lade/v1/jobs/{arn}"), "personalize:DescribeDatasetImportJob"),
        (Method::POST, format!("/lade/v1/jobs/{arn}/cancel"), "personalize:CreateDatasetImportJob"),
        (Method::GET, "/lade/v1/jobs".to_owned(), "personalize:ListDatasetImportJobs"),
    ] {
        let response = f.send_query(f.session(), method, &path, None).await;
        let refusal = body(&response);
        assert_eq!(response.status(), 403, "{path}: {refusal}");
        assert!(refusal["message"].as_str().unwrap().contains(action), "{refusal}");
    }
}

#[test]
fn every_row_of_an_import_is_in_its_ledger() {
    let of =
        |report: Value, status, validate_only| ledger(JobKind::Import, status, &report, 0, validate_only);
    let report = json!({"rowsRead": 10, "exactDuplicates": 3});
    let whole = |rejected: u64, kept: u64| json!({"rowsRead": 10, "exactDuplicates": 3, "rowsRejected": rejected, "rowsKept": kept});
    assert_eq!(of(report.clone(), Status::Active, false), Some(whole(0, 7)));
    assert_eq!(of(report, Status::CreateFailed, false), None);
    let report = json!({"rowsRead": 10, "exactDuplicates": 3, "rowsRejected": 2});
    assert_eq!(of(report.clone(), Status::Active, false), Some(whole(2, 5)));
    let mut checked = whole(2, 0);
    checked["rowsValid"] = json!(5);
    assert_eq!(of(report, Status::Active, true), Some(checked));
}

#[tokio::test]
async fn a_group_lists_its_jobs_by_type_and_status() {
    let (f, dataset, arn) = fixture().await;
    let group = dataset.replace(":dataset/", ":dataset-group/").replace("/ITEMS", "");
    let count = async |more: &str| {
        let path = format!("/lade/v1/jobs?datasetGroupArn={group}{more}");
        let (status, listed) = ask(&f, Method::GET, &path).await;
        assert_eq!(status, 200, "{listed}");
        listed["jobs"].as_array().unwrap().iter().filter(|job| job["jobArn"] == arn.as_str()).count()
    };
    for more in ["", "&type=IMPORT", "&status=CREATE%20PENDING", "&type=IMPORT&status=PENDING", "&open=true"]
    {
        assert_eq!(count(more).await, 1, "{more}");
    }
    for more in ["&type=EXPORT", "&type=DELETION", "&status=ACTIVE", "&status=FAILED"] {
        assert_eq!(count(more).await, 0, "{more}");
    }
    let other = format!("/lade/v1/jobs?datasetGroupArn={group}x");
    assert_eq!(ask(&f, Method::GET, &other).await.1["jobs"], json!([]));
    for wrong in [
        "type=UPDATE",
        "status=x",
        "datasetGroupArn=x",
        &format!("datasetGroupArn={group}&datasetArn={dataset}"),
    ] {
        assert_eq!(ask(&f, Method::GET, &format!("/lade/v1/jobs?{wrong}")).await.0, 400, "{wrong}");
    }
}
