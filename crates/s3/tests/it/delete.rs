//! Deletions, one by one and by the list.

use crate::harness::Store;

#[tokio::test]
async fn deleting_what_is_not_there_succeeds() {
    let store = Store::with_bucket().await;
    assert_eq!(store.delete("/data/none").await.ok().status, 204);
    store.put("/data/k", "x").await.ok();
    store.delete("/data/k").await.ok();
    store.get("/data/k").await.refused(404, "NoSuchKey");
    store.settled_at(0).await;
}

#[tokio::test]
async fn a_list_of_keys_is_deleted_at_once() {
    let store = Store::with_bucket().await;
    for key in ["a", "b", "c"] {
        store.put(&format!("/data/{key}"), key).await.ok();
    }
    let list = "<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object>\
                <Object><Key>c</Key><ETag>\"00\"</ETag></Object></Delete>";
    let answer = store.post("/data?delete", list).await.ok();
    assert_eq!(answer.elements("Key"), ["a", "none", "c"]);
    assert_eq!(answer.elements("Code"), ["PreconditionFailed"]);
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>";
    assert!(!store.post("/data?delete", quiet).await.ok().text().contains("<Key>"));
    assert_eq!(store.get("/data?list-type=2").await.ok().elements("Key"), ["c"]);
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    store.send("POST", "/data?delete", &wrong, quiet).await.refused(400, "BadDigest");
    let many: String = (0..1001).map(|n| format!("<Object><Key>{n}</Key></Object>")).collect();
    store.post("/data?delete", format!("<Delete>{many}</Delete>")).await.refused(400, "MalformedXML");
    store.post("/data?delete", "<Delete>").await.refused(400, "MalformedXML");
}
