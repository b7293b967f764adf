//! Copies of objects.

use crate::harness::Store;

#[tokio::test]
async fn a_copy_has_the_bytes_and_the_headers_of_its_source() {
    let store = Store::with_bucket().await;
    let headers = [
        ("content-type", "text/csv"),
        ("x-amz-meta-color", "red"),
        ("x-amz-checksum-sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
    ];
    store.send("PUT", "/data/a%20b", &headers, "hello world").await.ok();
    let copied = store.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/a%20b")], "").await.ok();
    assert_eq!(copied.element("ChecksumSHA256"), "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=");
    let got = store.get("/data/c").await.ok();
    assert_eq!(
        (got.text().as_str(), got.header("content-type"), got.header("x-amz-meta-color")),
        ("hello world", "text/csv", "red")
    );
    let replace =
        [("x-amz-copy-source", "data/c"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-size", "s")];
    store.send("PUT", "/data/d", &replace, "").await.ok();
    let got = store.get("/data/d").await.ok();
    assert_eq!((got.header("x-amz-meta-color"), got.header("x-amz-meta-size")), ("", "s"));
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let onto = ("x-amz-copy-source", "data/k");
    store.send("PUT", "/data/k", &[onto], "").await.refused(400, "InvalidRequest");
    let replace = [onto, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "b")];
    store.send("PUT", "/data/k", &replace, "").await.ok();
    let got = store.get("/data/k").await.ok();
    assert_eq!((got.text().as_str(), got.header("x-amz-meta-a")), ("x", "b"));
    assert_eq!(store.files(), 1);
}

#[tokio::test]
async fn a_copy_can_depend_on_its_source() {
    let store = Store::with_bucket().await;
    let etag = store.put("/data/k", "x").await.ok().header("etag").to_owned();
    let from = ("x-amz-copy-source", "data/k");
    store.send("PUT", "/data/c", &[from, ("x-amz-copy-source-if-match", &etag)], "").await.ok();
    for (name, value) in
        [("x-amz-copy-source-if-none-match", etag.as_str()), ("x-amz-copy-source-if-match", "\"00\"")]
    {
        store.send("PUT", "/data/c", &[from, (name, value)], "").await.refused(412, "PreconditionFailed");
    }
    store
        .send("PUT", "/data/c", &[from, ("if-none-match", "*")], "")
        .await
        .refused(412, "PreconditionFailed");
    store.send("PUT", "/data/c", &[("x-amz-copy-source", "data/none")], "").await.refused(404, "NoSuchKey");
    store.send("PUT", "/data/c", &[("x-amz-copy-source", "none/k")], "").await.refused(404, "NoSuchBucket");
}
