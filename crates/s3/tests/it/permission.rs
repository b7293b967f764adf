//! Permissions: nobody without a principal, and a role no further than both its policies.

use access::Principal;

use crate::harness::Store;

fn policy(actions: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}}]}}"#
    )
}

fn bucket_policy(actions: &str) -> String {
    policy(actions).replace(
        r#""Effect":"Allow","#,
        r#""Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},"#,
    )
}

#[tokio::test]
async fn a_request_without_a_principal_is_refused() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/data/k"),
        ("PUT", "/data/k"),
        ("POST", "/data?delete"),
        ("DELETE", "/data/k"),
    ] {
        store.send_as(None, method, target, &[], "y").await.refused(403, "AccessDenied");
    }
    assert_eq!(store.get("/data/k").await.text(), "x");
}

#[tokio::test]
async fn a_signature_that_was_not_removed_is_not_believed() {
    let store = Store::with_bucket().await;
    let v4 = "AWS4-HMAC-SHA256 Credential=AKIAROOT/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for value in [v4, "AWS AKIAROOT:c2lnbmF0dXJl"] {
        let headers =
            [("authorization", value), ("x-amz-date", "20260101T000000Z"), ("x-amz-content-sha256", hash)];
        let answer = store.send("GET", "/data", &headers, "").await;
        assert!(answer.status.is_client_error(), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_role_needs_its_own_policy_and_the_bucket_s() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let session = store.session("Reader", &policy(r#"["s3:GetObject"]"#)).await;
    let get = |target: &'static str| store.send_as(Some(session.clone()), "GET", target, &[], "");
    let refused = get("/data/k").await.refused(403, "AccessDenied");
    assert!(refused.element("Message").contains("s3:GetObject"), "{}", refused.text());
    store.put("/data?policy", bucket_policy(r#"["s3:GetObject","s3:ListBucket"]"#)).await.ok();
    assert_eq!(get("/data/k").await.ok().text(), "x");
    get("/data?list-type=2").await.refused(403, "AccessDenied");
    get("/data/none").await.refused(403, "AccessDenied");
    get("/").await.refused(403, "AccessDenied");
    store.send_as(Some(session.clone()), "PUT", "/data/k", &[], "y").await.refused(403, "AccessDenied");
    let lister = store.session("Lister", &policy(r#"["s3:GetObject","s3:ListBucket"]"#)).await;
    store.send_as(Some(lister), "GET", "/data/none", &[], "").await.refused(404, "NoSuchKey");
    store.delete("/data?policy").await.ok();
    get("/data/k").await.refused(403, "AccessDenied");
}

#[tokio::test]
async fn a_role_may_abort_what_it_began() {
    let store = Store::with_bucket().await;
    let writes = r#"["s3:PutObject"]"#;
    store.put("/data?policy", bucket_policy(writes)).await.ok();
    let (one, other) =
        (store.session("One", &policy(writes)).await, store.session("Other", &policy(writes)).await);
    let begin =
        |principal: &Principal| store.send_as(Some(principal.clone()), "POST", "/data/k?uploads", &[], "");
    let id = begin(&one).await.ok().element("UploadId");
    let target = format!("/data/k?uploadId={id}");
    store.send_as(Some(other), "DELETE", &target, &[], "").await.refused(403, "AccessDenied");
    store.send_as(Some(one), "DELETE", &target, &[], "").await.ok();
}

#[tokio::test]
async fn a_denied_root_can_still_mend_the_policy() {
    let store = Store::with_bucket().await;
    let deny = bucket_policy(r#""s3:*""#)
        .replace("Allow", "Deny")
        .replace(r#"{"Service":"personalize.amazonaws.com"}"#, r#""*""#);
    store.put("/data?policy", deny).await.ok();
    store.put("/data/k", "x").await.refused(403, "AccessDenied");
    store.get("/data?policy").await.ok();
    store.delete("/data?policy").await.ok();
    store.put("/data/k", "x").await.ok();
}

#[tokio::test]
async fn a_list_of_deletions_is_asked_key_by_key() {
    let store = Store::with_bucket().await;
    for key in ["a/1", "b/1"] {
        store.put(&format!("/data/{key}"), "x").await.ok();
    }
    store.put("/data?policy", bucket_policy(r#"["s3:DeleteObject"]"#)).await.ok();
    let some = policy(r#"["s3:DeleteObject"]"#).replace("data/*", "data/a/*");
    let session = store.session("Cleaner", &some).await;
    let list = "<Delete><Object><Key>a/1</Key></Object><Object><Key>b/1</Key></Object></Delete>";
    let answer = store.send_as(Some(session), "POST", "/data?delete", &[], list).await.ok();
    assert_eq!(
        (answer.elements("Key"), answer.element("Code")),
        (vec!["a/1".into(), "b/1".into()], "AccessDenied".into())
    );
}
