use catalog::NewRun;
use http::Method;
use model::Origin;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Fixture, body};

const DAY_MS: i64 = DAY * MINUTE_MS;

async fn ask(f: &Fixture, path: &str) -> (u16, Value) {
    let root = access::Principal::Root { arn: f.realm.root() };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let response = f.send_query(root, Method::GET, path, query).await;
    (response.status().as_u16(), body(&response))
}

async fn put(f: &Fixture, dataset: &str, ids: &[&str]) {
    let items: Vec<Value> =
        ids.iter().map(|id| json!({"itemId": id, "properties": r#"{"price": 1}"#})).collect();
    assert_eq!(f.put("/items", json!({"datasetArn": dataset, "items": items})).await.0, 200);
}

async fn told(f: &Fixture, dataset: &str) -> Value {
    let (status, told) = ask(f, &format!("/lade/v1/datasets/{dataset}")).await;
    assert_eq!(status, 200, "{told}");
    told
}

fn run(rows: u64, records: u64) -> NewRun {
    let object = format!("attempt-{rows}.parquet");
    let (schema_version, sequence_base, csv_bytes, size_bytes) = (1, 0, 10, 100 * rows);
    NewRun {
        origin: Origin::Put,
        schema_version,
        sequence_base,
        rows,
        records,
        csv_bytes,
        object,
        size_bytes,
    }
}

#[tokio::test]
async fn a_new_dataset_holds_nothing() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    let whole = json!({"datasetArn": dataset, "name": "d", "datasetGroupArn": f.realm.dataset_group("g"),
        "datasetType": "ITEMS", "status": "ACTIVE", "rows": {"bulk": 0, "put": 0, "waiting": 0},
        "distinct": {"bulk": 0, "put": 0}, "bytesAtRest": 0, "files": 0, "putsToday": 0, "lastPutAt": null,
        "sequence": f.catalog.sequencer().next(), "creationDateTime": 1_790_000_000.123});
    assert_eq!(told(&f, &dataset).await, whole);
    let encoded = dataset.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(told(&f, &encoded).await, whole);
    let listed = ask(&f, "/lade/v1/datasets").await;
    assert_eq!(listed, (200, json!({"datasets": [whole], "nextToken": null})));
}

#[tokio::test]
async fn what_waits_in_the_log_moves_to_the_runs() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    put(&f, &dataset, &["a", "a", "b"]).await;
    assert_eq!(told(&f, &dataset).await["rows"], json!({"bulk": 0, "put": 0, "waiting": 3}));
    let id = f.catalog.dataset(&Arn::parse(&dataset).unwrap()).await.unwrap().unwrap().id;
    f.catalog.begin_attempt("attempt").await.unwrap();
    assert!(f.catalog.finish_flush(id, 0, f.log.durable(), Some(&run(2, 3))).await.unwrap());
    put(&f, &dataset, &["c"]).await;
    let told = told(&f, &dataset).await;
    assert_eq!(told["rows"], json!({"bulk": 0, "put": 3, "waiting": 1}));
    assert_eq!(told["distinct"], json!({"bulk": 0, "put": 2}));
    assert_eq!((&told["files"], &told["bytesAtRest"]), (&json!(1), &json!(200)));
}

#[tokio::test]
async fn puts_of_today_count_whether_they_are_written_down_or_not() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    let puts = |told: Value| (told["putsToday"].clone(), told["lastPutAt"].clone());
    put(&f, &dataset, &["a", "b"]).await;
    assert_eq!(puts(told(&f, &dataset).await), (json!(2), json!(1_790_000_000)));
    f.api.write_put_counts().await.unwrap();
    f.clock.advance_ms(2 * MINUTE_MS);
    put(&f, &dataset, &["c"]).await;
    assert_eq!(puts(told(&f, &dataset).await), (json!(3), json!(1_790_000_120)));
    f.api.write_put_counts().await.unwrap();
    assert_eq!(puts(told(&f, &dataset).await), (json!(3), json!(1_790_000_120)));
    f.clock.advance_ms(DAY_MS);
    assert_eq!(puts(told(&f, &dataset).await), (json!(0), json!(1_790_000_120)));
    put(&f, &dataset, &["d"]).await;
    f.api.write_put_counts().await.unwrap();
    assert_eq!(puts(told(&f, &dataset).await), (json!(1), json!(1_790_086_520)));
}

#[tokio::test]
async fn a_refused_put_counts_nothing() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    let items = json!([{"itemId": "a", "properties": r#"{"price": "dear"}"#}]);
    assert_eq!(f.put("/items", json!({"datasetArn": dataset, "items": items})).await.0, 400);
    assert_eq!(told(&f, &dataset).await["putsToday"], 0);
}

#[tokio::test]
async fn a_list_is_paged_and_filtered_by_group() {
    let f = Fixture::new().await;
    let (items, interactions) = (f.items().await, f.interactions().await);
    let (_, first) = ask(&f, "/lade/v1/datasets?maxResults=1").await;
    let token = first["nextToken"].as_str().unwrap();
    let (_, second) = ask(&f, &format!("/lade/v1/datasets?maxResults=1&nextToken={token}")).await;
    let mut seen = [&first, &second].map(|page| page["datasets"][0]["datasetArn"].as_str().unwrap());
    seen.sort_unstable();
    assert_eq!((seen, &second["nextToken"]), ([interactions.as_str(), items.as_str()], &Value::Null));
    let empty = f.group("empty").await;
    let of = |group: String| format!("/lade/v1/datasets?datasetGroupArn={}", group.replace(':', "%3A"));
    let (_, listed) = ask(&f, &of(f.realm.dataset_group("g").to_string())).await;
    assert_eq!(listed["datasets"].as_array().unwrap().len(), 2);
    assert_eq!(ask(&f, &of(empty)).await, (200, json!({"datasets": [], "nextToken": null})));
    assert_eq!(ask(&f, &of(f.realm.dataset_group("none").to_string())).await.0, 404);
    for query in ["maxResults=0", "maxResults=1001", "datasetGroupArn=x", "open=true", "nextToken=x"] {
        assert_eq!(ask(&f, &format!("/lade/v1/datasets?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn what_is_no_dataset_of_this_account_is_not_found() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    let foreign = dataset.replace("000000000000", "111111111111");
    for arn in [foreign, format!("{dataset}2"), f.realm.dataset_group("g").to_string()] {
        let (status, refusal) = ask(&f, &format!("/lade/v1/datasets/{arn}")).await;
        assert_eq!((status, &refusal["__type"]), (404, &json!("ResourceNotFoundException")), "{arn}");
    }
    assert_eq!(ask(&f, "/lade/v1/datasets/x").await.0, 400);
    put(&f, &dataset, &["a"]).await;
    f.api.write_put_counts().await.unwrap();
    f.ok("DeleteDataset", json!({"datasetArn": dataset})).await;
    assert_eq!(ask(&f, &format!("/lade/v1/datasets/{dataset}")).await.0, 404);
    // A successor begins anew.
    let schema = f.realm.schema("Items");
    let new = json!({"name": "d", "schemaArn": schema, "datasetGroupArn": f.realm.dataset_group("g"),
        "datasetType": "Items"});
    f.ok("CreateDataset", new).await;
    let told = told(&f, &dataset).await;
    assert_eq!((&told["putsToday"], &told["rows"]["waiting"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn who_may_not_describe_or_list_datasets_sees_nothing_of_them() {
    let f = Fixture::new().await;
    let dataset = f.items().await;
    for (path, action) in [
        (format!("/lade/v1/datasets/{dataset}"), "personalize:DescribeDataset"),
        ("/lade/v1/datasets".to_owned(), "personalize:ListDatasets"),
    ] {
        let response = f.send_query(f.session(), Method::GET, &path, None).await;
        let refusal = body(&response);
        assert_eq!(response.status(), 403, "{path}: {refusal}");
        assert!(refusal["message"].as_str().unwrap().contains(action), "{refusal}");
    }
}
