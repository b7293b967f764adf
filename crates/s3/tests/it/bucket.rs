//! Buckets, their names and addresses, and their policies.

use crate::harness::Store;

const POLICY: &str = r#"{ "Version":"2012-10-17",
  "Statement":[{"Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},
                "Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}] }
"#;

#[tokio::test]
async fn buckets_live_from_create_to_delete() {
    let store = Store::new().await;
    store.get("/data").await.refused(404, "NoSuchBucket");
    assert_eq!(store.put("/data", "").await.ok().header("location"), "/data");
    store.put("/data", "").await.ok();
    store.put("/more", "").await.ok();
    assert_eq!(store.get("/").await.ok().elements("Name"), ["data", "more"]);
    assert_eq!(store.get("/?prefix=m").await.ok().elements("Name"), ["more"]);
    let page = store.get("/?max-buckets=1").await.ok();
    assert_eq!(page.elements("Name"), ["data"]);
    let next = store.get(&format!("/?continuation-token={}", page.element("ContinuationToken"))).await.ok();
    assert_eq!(next.elements("Name"), ["more"]);
    assert_eq!(store.send("HEAD", "/data", &[], "").await.ok().header("x-amz-bucket-region"), "us-east-1");
    assert_eq!(store.send("HEAD", "/none", &[], "").await.status, 404);
    store.get("/data?location").await.ok();
    store.get("/data?versioning").await.ok();
    store.put("/data/k", "x").await.ok();
    store.delete("/data").await.refused(409, "BucketNotEmpty");
    store.delete("/data/k").await.ok();
    assert_eq!(store.delete("/data").await.ok().status, 204);
    store.delete("/data").await.refused(404, "NoSuchBucket");
    store.put("/data/k", "x").await.refused(404, "NoSuchBucket");
    store.settled_at(0).await;
}

#[tokio::test]
async fn names_that_are_no_bucket_names_are_refused() {
    let store = Store::new().await;
    for name in ["ab", "Data", "a_b", "-ab", "ab-", "a..b", "192.168.1.1", "xn--abc", "..%2F..%2Fetc"] {
        store.put(&format!("/{name}"), "").await.refused(400, "InvalidBucketName");
    }
    let elsewhere = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    store.put("/data", elsewhere).await.refused(400, "IllegalLocationConstraintException");
    store.put("/data", elsewhere.replace("eu-west-1", "us-east-1")).await.ok();
}

#[tokio::test]
async fn a_bucket_can_stand_in_the_host() {
    let store = Store::with_bucket().await;
    store.send("PUT", "/a/k", &[("host", "data.localhost:8080")], "x").await.ok();
    assert_eq!(store.get("/data/a/k").await.ok().text(), "x");
    for host in ["data.s3.example.org", "DATA.localhost"] {
        assert_eq!(store.send("GET", "/a/k", &[("host", host)], "").await.ok().text(), "x", "{host}");
        assert_eq!(
            store.send("GET", "/?list-type=2", &[("host", host)], "").await.ok().element("Key"),
            "a/k"
        );
    }
    for host in ["localhost", "s3.example.org:80", "127.0.0.1", "[::1]:8080", "elsewhere.test"] {
        assert_eq!(store.send("GET", "/data/a/k", &[("host", host)], "").await.ok().text(), "x", "{host}");
    }
}

#[tokio::test]
async fn a_policy_comes_back_byte_for_byte() {
    let store = Store::with_bucket().await;
    store.get("/data?policy").await.refused(404, "NoSuchBucketPolicy");
    assert_eq!(store.put("/data?policy", POLICY).await.ok().status, 204);
    assert_eq!(store.get("/data?policy").await.ok().text(), POLICY);
    store.put("/data?policy", "{").await.refused(400, "MalformedPolicy");
    store.put("/data?policy", POLICY.replace(":::data", ":::other")).await.refused(400, "MalformedPolicy");
    assert_eq!(store.get("/data?policy").await.ok().text(), POLICY);
    store.delete("/data?policy").await.ok();
    store.get("/data?policy").await.refused(404, "NoSuchBucketPolicy");
}
