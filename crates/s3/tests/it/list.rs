//! Listings: order, paging, prefixes and delimiters.

use crate::harness::Store;

async fn filled() -> Store {
    let store = Store::with_bucket().await;
    for key in ["a", "b/1", "b/2", "b/c/3", "d", "e/1", "e/2", "f"] {
        store.put(&format!("/data/{key}"), "x").await.ok();
    }
    store
}

/// All pages of a listing with one entry each, keys and common prefixes in turn.
async fn walk(store: &Store, query: &str) -> Vec<String> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = store.get(&format!("/data?list-type=2&max-keys=1&{query}{token}")).await.ok();
        found.extend(page.elements("Key"));
        found.extend(
            page.elements("CommonPrefixes")
                .iter()
                .map(|p| p.replace("<Prefix>", "").replace("</Prefix>", "")),
        );
        assert!(matches!(page.element("KeyCount").as_str(), "0" | "1"));
        if page.element("IsTruncated") == "false" {
            return found;
        }
        token = format!("&continuation-token={}", page.element("NextContinuationToken"));
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let store = filled().await;
    assert_eq!(walk(&store, "").await, ["a", "b/1", "b/2", "b/c/3", "d", "e/1", "e/2", "f"]);
    assert_eq!(walk(&store, "delimiter=/").await, ["a", "b/", "d", "e/", "f"]);
    assert_eq!(walk(&store, "delimiter=/&prefix=b/").await, ["b/1", "b/2", "b/c/"]);
    assert_eq!(walk(&store, "prefix=e").await, ["e/1", "e/2"]);
    assert_eq!(walk(&store, "prefix=e/&start-after=e/1").await, ["e/2"]);
    assert_eq!(walk(&store, "delimiter=/&start-after=b/").await, ["d", "e/", "f"]);
    assert_eq!(walk(&store, "delimiter=/&start-after=b/1").await, ["b/", "d", "e/", "f"]);
    assert_eq!(walk(&store, "prefix=zz").await, [""; 0]);
}

#[tokio::test]
async fn the_first_version_pages_by_marker() {
    let store = filled().await;
    let page = store.get("/data?delimiter=/&max-keys=2").await.ok();
    assert_eq!((page.element("Key"), page.element("NextMarker")), ("a".into(), "b/".into()));
    let page = store.get("/data?delimiter=/&max-keys=2&marker=b/").await.ok();
    assert_eq!((page.element("Key"), page.element("NextMarker")), ("d".into(), "e/".into()));
    let page = store.get("/data?marker=e/1").await.ok();
    assert_eq!(page.elements("Key"), ["e/2", "f"]);
    assert_eq!(page.element("IsTruncated"), "false");
    assert!(page.text().contains("<Owner>"));
}

#[tokio::test]
async fn many_keys_under_one_prefix_are_one_entry() {
    let store = Store::with_bucket().await;
    for n in 0..260 {
        store.put(&format!("/data/p/{n:03}"), "").await.ok();
    }
    store.put("/data/q", "").await.ok();
    assert_eq!(walk(&store, "delimiter=/").await, ["p/", "q"]);
    let page = store.get("/data?list-type=2&prefix=p/&delimiter=/").await.ok();
    assert_eq!((page.elements("Key").len(), page.element("KeyCount")), (260, "260".to_owned()));
}

#[tokio::test]
async fn arguments_that_make_no_sense_are_refused() {
    let store = filled().await;
    for query in ["max-keys=-1", "max-keys=many", "list-type=2&continuation-token=%21", "encoding-type=hex"] {
        store.get(&format!("/data?{query}")).await.refused(400, "InvalidArgument");
    }
    let none = store.get("/data?list-type=2&max-keys=0").await.ok();
    assert_eq!((none.element("KeyCount"), none.element("IsTruncated")), ("0".into(), "false".into()));
    let most = store.get("/data?list-type=2&max-keys=100000").await.ok();
    assert_eq!(most.element("MaxKeys"), "1000");
}
