use crate::fixture::{Fixture, ROLE, TRUST};
use serde_json::{Value, json};

fn metric(name: &str, expression: &str) -> Value {
    json!({"eventType": "watch", "metricName": name, "expression": expression})
}

fn counts(names: &[&str]) -> Value {
    names.iter().map(|name| metric(name, "SAMPLECOUNT()")).collect()
}

fn output(path: &str) -> Value {
    json!({"roleArn": ROLE, "s3DataDestination": {"path": path}})
}

fn input(f: &Fixture, name: &str, metrics: Value) -> Value {
    json!({"name": name, "datasetGroupArn": f.realm.dataset_group("g"), "metrics": metrics,
        "metricsOutputConfig": output("s3://out/reports")})
}

async fn fixture() -> Fixture {
    let f = Fixture::new().await;
    f.role(TRUST).await;
    let fields = json!([
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "EVENT_VALUE", "type": ["float", "null"]},
        {"name": "DEVICE", "type": ["string", "null"]},
        {"name": "TIMESTAMP", "type": "long"},
    ]);
    f.dataset("Interactions", fields).await;
    f
}

async fn made(f: &Fixture, metrics: Value) -> String {
    let answer = f.ok("CreateMetricAttribution", input(f, "m", metrics)).await;
    answer["metricAttributionArn"].as_str().unwrap().to_owned()
}

async fn names(f: &Fixture, arn: &str) -> Vec<String> {
    let listed = f.ok("ListMetricAttributionMetrics", json!({"metricAttributionArn": arn})).await;
    let name = |metric: &Value| metric["metricName"].as_str().unwrap().to_owned();
    listed["metrics"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn a_metric_attribution_goes_through_its_life() {
    let f = fixture().await;
    let arn = made(&f, counts(&["views"])).await;
    assert_eq!(arn, "arn:aws:personalize:us-east-1:000000000000:metric-attribution/m");
    let group = f.realm.dataset_group("g");
    let summary = json!({"name": "m", "metricAttributionArn": arn, "status": "ACTIVE",
        "creationDateTime": 1_790_000_000.123, "lastUpdatedDateTime": 1_790_000_000.123});
    let mut whole = summary.clone();
    whole["datasetGroupArn"] = json!(group);
    whole["metricsOutputConfig"] = output("s3://out/reports");
    let by_arn = json!({"metricAttributionArn": arn});
    let described = f.ok("DescribeMetricAttribution", by_arn.clone()).await;
    assert_eq!(described, json!({"metricAttribution": whole}));
    let listed = f.ok("ListMetricAttributions", json!({"datasetGroupArn": group})).await;
    assert_eq!(listed, json!({"metricAttributions": [summary]}));
    let listed = f.ok("ListMetricAttributionMetrics", by_arn.clone()).await;
    assert_eq!(listed, json!({"metrics": [metric("views", "SAMPLECOUNT()")]}));
    assert_eq!(f.ok("DeleteMetricAttribution", by_arn.clone()).await, Value::Null);
    for operation in ["DescribeMetricAttribution", "UpdateMetricAttribution", "DeleteMetricAttribution"] {
        let (code, message) = f.refused(operation, by_arn.clone()).await;
        assert_eq!(code, "ResourceNotFoundException", "{operation}");
        assert_eq!(message, format!("The given metric attribution does not exist: {arn}"));
    }
    assert_eq!(f.ok("ListMetricAttributions", json!({})).await, json!({"metricAttributions": []}));
    assert_eq!(f.ok("ListMetricAttributionMetrics", by_arn).await, json!({"metrics": []}));
}

#[tokio::test]
async fn an_attribution_without_a_destination_has_a_role_alone() {
    let f = fixture().await;
    let mut request = input(&f, "m", counts(&["views"]));
    request["metricsOutputConfig"] = json!({"roleArn": ROLE});
    f.ok("CreateMetricAttribution", request).await;
    let arn = f.realm.metric_attribution("m");
    let described = f.ok("DescribeMetricAttribution", json!({"metricAttributionArn": arn})).await;
    assert_eq!(described["metricAttribution"]["metricsOutputConfig"], json!({"roleArn": ROLE}));
    assert!(f.store.done().is_empty());
}

#[tokio::test]
async fn metrics_that_do_not_fit_are_refused() {
    let f = fixture().await;
    let eleven: Vec<String> = (0..11).map(|n| format!("m{n}")).collect();
    let eleven = counts(&eleven.iter().map(String::as_str).collect::<Vec<_>>());
    for (metrics, text) in [
        (json!([metric("a", "AVG(Items.PRICE)")]), "expression of metric a must be"),
        (json!([metric("a", "SUM(Interactions.DEVICE)")]), "no numeric column"),
        (json!([metric("a", "SUM(Interactions.event_value)")]), "no numeric column"),
        (json!([metric("a", "SUM(Items.PRICE)")]), "no Items dataset"),
        (counts(&["a", "A"]), "twice: A"),
        (eleven, "less than or equal to 10"),
        (json!([{"metricName": "a", "expression": "SAMPLECOUNT()"}]), "'metrics.1.member.eventType'"),
    ] {
        let (code, message) = f.refused("CreateMetricAttribution", input(&f, "m", metrics)).await;
        assert!(code == "InvalidInputException" && message.contains(text), "{message}");
    }
    let items = f.items().await;
    let sum = input(&f, "m", json!([metric("a", "SUM(Items.PRICE)")]));
    let (code, message) = f.refused("CreateMetricAttribution", sum).await;
    assert!(
        code == "InvalidInputException" && message.ends_with(&format!("import item data first: {items}"))
    );
    made(&f, json!([metric("a", " sum( interactions.EVENT_VALUE ) ")])).await;
}

#[tokio::test]
async fn a_group_needs_interactions_with_event_types() {
    let f = Fixture::new().await;
    f.role(TRUST).await;
    let (code, _) = f.refused("CreateMetricAttribution", input(&f, "m", counts(&["a"]))).await;
    assert_eq!(code, "ResourceNotFoundException");
    f.group("g").await;
    let (code, message) = f.refused("CreateMetricAttribution", input(&f, "m", counts(&["a"]))).await;
    assert!(code == "InvalidInputException" && message.contains("EVENT_TYPE"), "{message}");
    f.interactions().await;
    let (code, message) = f.refused("CreateMetricAttribution", input(&f, "m", counts(&["a"]))).await;
    assert!(code == "InvalidInputException" && message.contains("EVENT_TYPE"), "{message}");
}

#[tokio::test]
async fn a_name_and_a_group_are_taken_once() {
    let f = fixture().await;
    let arn = made(&f, counts(&["a"])).await;
    for (name, text) in
        [("m", "Another resource with Amazon Resource Name"), ("n", "has the metric attribution")]
    {
        let (code, message) = f.refused("CreateMetricAttribution", input(&f, name, counts(&["a"]))).await;
        assert_eq!(code, "ResourceAlreadyExistsException");
        assert!(message.contains(text) && message.contains(&arn), "{message}");
    }
}

#[tokio::test]
async fn outputs_that_would_not_work_are_refused() {
    let f = fixture().await;
    let nobody = "arn:aws:iam::000000000000:role/None";
    let sealed = json!({"path": "s3://out/x", "kmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"});
    for (config, text) in [
        (output("http://out/x"), "Invalid S3 output path"),
        (json!({"roleArn": nobody}), "can't assume the role"),
        (json!({"roleArn": nobody, "s3DataDestination": {"path": "s3://out"}}), "can't assume the role"),
        (json!({"roleArn": ROLE, "s3DataDestination": {}}), "'metricsOutputConfig.s3DataDestination.path'"),
        (json!({"s3DataDestination": {"path": "s3://out"}}), "'metricsOutputConfig.roleArn'"),
    ] {
        let mut request = input(&f, "m", counts(&["a"]));
        request["metricsOutputConfig"] = config;
        let (code, message) = f.refused("CreateMetricAttribution", request).await;
        assert!(code == "InvalidInputException" && message.contains(text), "{message}");
    }
    assert!(f.store.done().is_empty());
    let mut request = input(&f, "m", counts(&["a"]));
    request["metricsOutputConfig"] = json!({"roleArn": ROLE, "s3DataDestination": sealed});
    let (_, message) = f.refused("CreateMetricAttribution", request).await;
    assert!(message.contains("Insufficient privileges for KMS key"), "{message}");
    f.store.deny("create");
    let (code, message) = f.refused("CreateMetricAttribution", input(&f, "m", counts(&["a"]))).await;
    assert!(code == "InvalidInputException" && message.contains("fix bucket policy on out."), "{message}");
    let tried = "create out/reports/AggregatedAttributionMetrics%20-%20FULL%20-%201790000000.csv";
    assert_eq!(f.store.done().last().map(String::as_str), Some(tried));
}

#[tokio::test]
async fn an_update_removes_then_adds_then_changes_the_output() {
    let f = fixture().await;
    let arn = made(&f, counts(&["a", "b", "c"])).await;
    f.clock.advance_ms(1000);
    let update = json!({"metricAttributionArn": arn, "removeMetrics": ["b"], "addMetrics": counts(&["d", "B"]),
        "metricsOutputConfig": output("s3://other")});
    assert_eq!(f.ok("UpdateMetricAttribution", update).await, json!({"metricAttributionArn": arn}));
    assert_eq!(names(&f, &arn).await, ["a", "c", "d", "B"]);
    let described = f.ok("DescribeMetricAttribution", json!({"metricAttributionArn": arn})).await;
    let described = &described["metricAttribution"];
    assert_eq!(described["metricsOutputConfig"], output("s3://other"));
    assert_eq!(described["lastUpdatedDateTime"], 1_790_000_001.123);
    assert_eq!(described["creationDateTime"], 1_790_000_000.123);
}

#[tokio::test]
async fn an_update_that_can_not_be_done_changes_nothing() {
    let f = fixture().await;
    let arn = made(&f, counts(&["a", "b", "c"])).await;
    let eight = counts(&["1", "2", "3", "4", "5", "6", "7", "8"]);
    for (change, code, text) in [
        (json!({"removeMetrics": ["a", "x"]}), "ResourceNotFoundException", "no metric x"),
        (json!({"removeMetrics": ["A"]}), "ResourceNotFoundException", "no metric A"),
        (
            json!({"removeMetrics": ["b"], "addMetrics": counts(&["A"])}),
            "ResourceAlreadyExistsException",
            "metric A",
        ),
        (json!({"addMetrics": eight}), "InvalidInputException", "at most 10"),
        (json!({"addMetrics": counts(&["x", "x"])}), "InvalidInputException", "twice: x"),
        (json!({"addMetrics": [metric("x", "MAX()")]}), "InvalidInputException", "expression of metric x"),
        (json!({"metricsOutputConfig": output("s3://B")}), "InvalidInputException", "Invalid S3 output path"),
    ] {
        let mut update = change;
        update["metricAttributionArn"] = json!(arn);
        let (found, message) = f.refused("UpdateMetricAttribution", update).await;
        assert!(found == code && message.contains(text), "{found}: {message}");
        assert_eq!(names(&f, &arn).await, ["a", "b", "c"]);
    }
    for operation in ["UpdateMetricAttribution", "ListMetricAttributionMetrics"] {
        let (code, message) = f.refused(operation, json!({})).await;
        assert!(code == "InvalidInputException" && message.contains("'metricAttributionArn'"), "{message}");
    }
}

#[tokio::test]
async fn metrics_come_in_pages_in_their_order() {
    let f = fixture().await;
    let arn = made(&f, counts(&["e", "d", "c", "b", "a"])).await;
    let mut page = json!({"metricAttributionArn": arn, "maxResults": 2});
    let mut found = Vec::new();
    loop {
        let answer = f.ok("ListMetricAttributionMetrics", page.clone()).await;
        found.push(answer["metrics"].as_array().unwrap().len());
        let Some(token) = answer.get("nextToken") else { break };
        page["nextToken"] = token.clone();
    }
    assert_eq!(found, [2, 2, 1]);
    page["metricAttributionArn"] = json!(f.realm.metric_attribution("other"));
    assert_eq!(f.refused("ListMetricAttributionMetrics", page).await.0, "InvalidNextTokenException");
}

#[tokio::test]
async fn what_an_attribution_refers_to_stays() {
    let f = fixture().await;
    let interactions = f.realm.dataset("g", model::DatasetType::Interactions);
    let group = f.realm.dataset_group("g");
    let arn = made(&f, counts(&["a"])).await;
    let items = f.items().await;
    for (operation, input) in [
        ("DeleteDataset", json!({"datasetArn": interactions})),
        ("DeleteDatasetGroup", json!({"datasetGroupArn": group})),
    ] {
        let (code, message) = f.refused(operation, input).await;
        assert!(code == "ResourceInUseException" && message.contains("metric attribution"), "{message}");
    }
    f.ok("DeleteDataset", json!({"datasetArn": items})).await;
    f.ok("DeleteMetricAttribution", json!({"metricAttributionArn": arn})).await;
    f.ok("DeleteDataset", json!({"datasetArn": interactions})).await;
    f.ok("DeleteDatasetGroup", json!({"datasetGroupArn": group})).await;
}

#[tokio::test]
async fn a_report_needs_an_attribution_with_a_destination() {
    let f = fixture().await;
    let interactions = f.realm.dataset("g", model::DatasetType::Interactions);
    f.store.put("data/a.csv", "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,DEVICE,TIMESTAMP\n");
    let job = |name: &str| {
        json!({"jobName": name, "datasetArn": interactions, "roleArn": ROLE, "publishAttributionMetricsToS3": true,
            "dataSource": {"dataLocation": "s3://data/a.csv"}})
    };
    let (code, message) = f.refused("CreateDatasetImportJob", job("j")).await;
    assert!(
        code == "InvalidInputException" && message.starts_with("There is nothing to publish"),
        "{message}"
    );
    let mut request = input(&f, "m", counts(&["a"]));
    request["metricsOutputConfig"] = json!({"roleArn": ROLE});
    f.ok("CreateMetricAttribution", request).await;
    assert_eq!(f.refused("CreateDatasetImportJob", job("j")).await.1, message);
    let arn = f.realm.metric_attribution("m");
    let update = json!({"metricAttributionArn": arn, "metricsOutputConfig": output("s3://out")});
    f.ok("UpdateMetricAttribution", update.clone()).await;
    // Two of one second are written to two places.
    for name in ["j", "k"] {
        f.ok("CreateDatasetImportJob", job(name)).await;
    }
    let mut locations = Vec::new();
    for name in ["j", "k"] {
        let promised = f.catalog.promised_report(&f.realm.import_job(name)).await.unwrap().unwrap();
        locations.push(promised.location);
    }
    let at = |second| format!("s3://out/AggregatedAttributionMetrics - FULL - {second}.csv");
    assert_eq!(locations, [at(1_790_000_000), at(1_790_000_001)]);
    for (operation, input) in [
        ("UpdateMetricAttribution", update),
        ("DeleteMetricAttribution", json!({"metricAttributionArn": arn})),
    ] {
        let (code, message) = f.refused(operation, input).await;
        assert!(code == "ResourceInUseException" && message.contains("dataset-import-job/"), "{message}");
    }
}

#[tokio::test]
async fn only_imports_of_interactions_publish() {
    let f = fixture().await;
    made(&f, counts(&["a"])).await;
    let items = f.items().await;
    f.store.put("data/a.csv", "ITEM_ID,PRICE\n");
    let job = json!({"jobName": "j", "datasetArn": items, "roleArn": ROLE, "publishAttributionMetricsToS3": true,
        "dataSource": {"dataLocation": "s3://data/a.csv"}});
    let (code, message) = f.refused("CreateDatasetImportJob", job).await;
    assert!(
        code == "InvalidInputException" && message.starts_with("Only imports of interactions"),
        "{message}"
    );
}

#[tokio::test]
async fn a_metric_attribution_has_no_tags() {
    let f = fixture().await;
    let arn = made(&f, counts(&["a"])).await;
    for (operation, input) in [
        ("TagResource", json!({"resourceArn": arn, "tags": [{"tagKey": "a", "tagValue": "b"}]})),
        ("ListTagsForResource", json!({"resourceArn": arn})),
    ] {
        assert_eq!(f.refused(operation, input).await.0, "InvalidInputException");
    }
}
