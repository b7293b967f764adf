//! Conditions: who wins a race, and when a read is not needed.

use crate::harness::Store;

#[tokio::test]
async fn of_many_creators_one_wins() {
    let store = Store::with_bucket().await;
    let tries: Vec<String> = (0..32).map(|n| format!("{n}")).collect();
    let put = |body: &String| {
        let (store, body) = (&store, body.clone());
        async move { store.send("PUT", "/data/once", &[("if-none-match", "*")], body).await.status.as_u16() }
    };
    let answers = futures_util::future::join_all(tries.iter().map(put)).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 412).count(), 31);
    let winner = answers.iter().position(|status| *status == 200).unwrap();
    assert_eq!(store.get("/data/once").await.text(), format!("{winner}"));
    store.settled_at(1).await;
}

#[tokio::test]
async fn a_write_can_depend_on_the_etag() {
    let store = Store::with_bucket().await;
    store.send("PUT", "/data/k", &[("if-match", "\"00\"")], "x").await.refused(404, "NoSuchKey");
    let etag = store.put("/data/k", "a").await.ok().header("etag").to_owned();
    store.send("PUT", "/data/k", &[("if-match", &etag)], "b").await.ok();
    store.send("PUT", "/data/k", &[("if-match", &etag)], "c").await.refused(412, "PreconditionFailed");
    store.send("PUT", "/data/k", &[("if-none-match", &etag)], "c").await.refused(501, "NotImplemented");
    store.send("DELETE", "/data/k", &[("if-match", &etag)], "").await.refused(412, "PreconditionFailed");
    assert_eq!(store.get("/data/k").await.text(), "b");
}

#[tokio::test]
async fn a_read_can_depend_on_etag_and_date() {
    let store = Store::with_bucket().await;
    let put = store.put("/data/k", "a").await.ok();
    let etag = put.header("etag");
    let date = store.get("/data/k").await.header("last-modified").to_owned();
    let old = "Wed, 21 Oct 2015 07:28:00 GMT";
    for (name, value, status) in [
        ("if-match", etag, 200),
        ("if-match", "\"00\"", 412),
        ("if-none-match", etag, 304),
        ("if-none-match", "\"00\"", 200),
        ("if-modified-since", old, 200),
        ("if-modified-since", &date, 304),
        ("if-unmodified-since", old, 412),
        ("if-unmodified-since", &date, 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = store.send(method, "/data/k", &[(name, value)], "").await;
            assert_eq!(answer.status.as_u16(), status, "{method} {name}: {value}");
            if status == 304 {
                assert_eq!((answer.header("etag"), answer.body.len()), (etag, 0));
            }
        }
    }
}
