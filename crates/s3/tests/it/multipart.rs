//! Multipart uploads from begin to end.

use crate::harness::{Answer, Store};

const PART: usize = 5 * 1024 * 1024;

fn part_of(seed: u8, size: usize) -> Vec<u8> {
    (0..size).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn list(parts: &[(usize, String)]) -> String {
    let show = |(number, etag): &(usize, String)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts: String = parts.iter().map(show).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn put_part(store: &Store, id: &str, number: usize, bytes: Vec<u8>) -> (usize, String) {
    let answer = store.put(&format!("/data/k?partNumber={number}&uploadId={id}"), bytes).await.ok();
    (number, answer.header("etag").to_owned())
}

async fn complete(store: &Store, id: &str, parts: &[(usize, String)], headers: &[(&str, &str)]) -> Answer {
    store.send("POST", &format!("/data/k?uploadId={id}"), headers, list(parts)).await
}

#[tokio::test]
async fn parts_become_one_object() {
    let store = Store::with_bucket().await;
    let (one, two) = (part_of(1, PART), part_of(2, 1000));
    let id = store.multipart("/data/k", &[("content-type", "text/csv")]).await;
    let second = put_part(&store, &id, 7, two.clone()).await;
    put_part(&store, &id, 2, part_of(9, 10)).await;
    let first = put_part(&store, &id, 2, one.clone()).await;
    put_part(&store, &id, 9, part_of(3, 10)).await;
    let listed = store.get(&format!("/data/k?uploadId={id}")).await.ok();
    assert_eq!(listed.elements("PartNumber"), ["2", "7", "9"]);
    let page = store.get(&format!("/data/k?uploadId={id}&max-parts=1&part-number-marker=2")).await.ok();
    assert_eq!(
        (page.elements("PartNumber"), page.element("IsTruncated")),
        (vec!["7".to_owned()], "true".into())
    );
    let parts = [first, second];
    let done = complete(&store, &id, &parts, &[]).await.ok();
    assert!(done.element("ETag").contains("-2"), "{}", done.text());
    let whole = [one, two].concat();
    let got = store.send("GET", "/data/k", &[("x-amz-checksum-mode", "ENABLED")], "").await.ok();
    assert_eq!((&got.body[..], got.header("content-type")), (&whole[..], "text/csv"));
    store.put("/data/same", whole.clone()).await.ok();
    let single = store.send("HEAD", "/data/same", &[("x-amz-checksum-mode", "ENABLED")], "").await.ok();
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), single.header("x-amz-checksum-crc64nvme"));
    let range = format!("bytes={}-{}", PART - 3, PART + 2);
    let got = store.send("GET", "/data/k", &[("range", &range)], "").await.ok();
    assert_eq!(got.body, &whole[PART - 3..PART + 3]);
    // A client that lost the answer asks again, and hears the same.
    assert_eq!(complete(&store, &id, &parts, &[]).await.ok().element("ETag"), done.element("ETag"));
    store.settled_at(3).await;
    let attributes = [("x-amz-object-attributes", "ObjectParts,ObjectSize,Checksum,ETag,StorageClass")];
    let shown = store.send("GET", "/data/k?attributes", &attributes, "").await.ok();
    assert_eq!((shown.element("ObjectSize"), shown.elements("Size").len()), (whole.len().to_string(), 2));
}

#[tokio::test]
async fn broken_completions_leave_the_upload_as_it_was() {
    let store = Store::with_bucket().await;
    let id = store.multipart("/data/k", &[]).await;
    let (a, b) =
        (put_part(&store, &id, 1, part_of(1, 10)).await, put_part(&store, &id, 2, part_of(2, 10)).await);
    complete(&store, &id, &[b.clone(), a.clone()], &[]).await.refused(400, "InvalidPartOrder");
    complete(&store, &id, &[(1, "\"00\"".into())], &[]).await.refused(400, "InvalidPart");
    complete(&store, &id, &[(5, a.1.clone())], &[]).await.refused(400, "InvalidPart");
    complete(&store, &id, &[], &[]).await.refused(400, "MalformedXML");
    complete(&store, &id, &[a.clone(), b], &[]).await.refused(400, "EntityTooSmall");
    complete(&store, &id, std::slice::from_ref(&a), &[("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")])
        .await
        .refused(400, "BadDigest");
    store.put("/data/k", "there").await.ok();
    complete(&store, &id, std::slice::from_ref(&a), &[("if-none-match", "*")])
        .await
        .refused(412, "PreconditionFailed");
    assert_eq!(store.get("/data/k").await.text(), "there");
    complete(&store, &id, &[a], &[]).await.ok();
    complete(&store, "none", &[], &[]).await.refused(404, "NoSuchUpload");
    for number in ["0", "10001"] {
        store
            .put(&format!("/data/k?partNumber={number}&uploadId={id}"), "x")
            .await
            .refused(400, "InvalidArgument");
    }
    store.put(&format!("/data/k?partNumber=1&uploadId={id}"), "x").await.refused(404, "NoSuchUpload");
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let store = Store::with_bucket().await;
    let id = store.multipart("/data/k", &[]).await;
    put_part(&store, &id, 1, part_of(1, 10)).await;
    store.delete(&format!("/data/other?uploadId={id}")).await.refused(404, "NoSuchUpload");
    assert_eq!(store.delete(&format!("/data/k?uploadId={id}")).await.ok().status, 204);
    store.delete(&format!("/data/k?uploadId={id}")).await.refused(404, "NoSuchUpload");
    store.settled_at(0).await;
}

#[tokio::test]
async fn composite_checksums_are_those_of_the_parts() {
    let store = Store::with_bucket().await;
    let id = store.multipart("/data/k", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let part = put_part(&store, &id, 1, b"hello world".to_vec()).await;
    let wrong = [("x-amz-checksum-crc32", "DUoRhQ==")];
    store
        .send("PUT", &format!("/data/k?partNumber=2&uploadId={id}"), &wrong, "hello world")
        .await
        .refused(400, "InvalidRequest");
    let done = complete(&store, &id, &[part], &[]).await.ok();
    assert!(done.element("ChecksumSHA256").ends_with("-1"));
    assert_eq!(done.element("ChecksumType"), "COMPOSITE");
    let none = [("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "FULL_OBJECT")];
    store.send("POST", "/data/k?uploads", &none, "").await.refused(400, "InvalidRequest");
}

#[tokio::test]
async fn a_part_can_be_copied() {
    let store = Store::with_bucket().await;
    store.put("/data/source", "0123456789").await.ok();
    let id = store.multipart("/data/k", &[]).await;
    let target = format!("/data/k?partNumber=1&uploadId={id}");
    let from = ("x-amz-copy-source", "data/source");
    let copied = store.send("PUT", &target, &[from, ("x-amz-copy-source-range", "bytes=2-5")], "").await.ok();
    let etag = copied.element("ETag").replace("&quot;", "\"");
    complete(&store, &id, &[(1, etag)], &[]).await.ok();
    assert_eq!(store.get("/data/k").await.text(), "2345");
    let id = store.multipart("/data/k", &[]).await;
    let target = format!("/data/k?partNumber=1&uploadId={id}");
    store
        .send("PUT", &target, &[from, ("x-amz-copy-source-range", "bytes=2-10")], "")
        .await
        .refused(400, "InvalidArgument");
}

#[tokio::test]
async fn uploads_are_listed_in_pages() {
    let store = Store::with_bucket().await;
    let mut ids = Vec::new();
    for key in ["a", "a", "a", "b/1", "b/2", "c"] {
        ids.push(store.multipart(&format!("/data/{key}"), &[]).await);
    }
    let (mut found, mut markers) = (Vec::new(), String::new());
    loop {
        let page = store.get(&format!("/data?uploads&max-uploads=2{markers}")).await.ok();
        found.extend(page.elements("UploadId"));
        if page.element("IsTruncated") == "false" {
            break;
        }
        markers = format!(
            "&key-marker={}&upload-id-marker={}",
            page.element("NextKeyMarker"),
            page.element("NextUploadIdMarker")
        );
    }
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
    let page = store.get("/data?uploads&delimiter=/").await.ok();
    assert_eq!(
        (page.elements("Key").len(), page.elements("CommonPrefixes")),
        (4, vec!["<Prefix>b/</Prefix>".to_owned()])
    );
    store.delete("/data").await.ok();
}

#[tokio::test]
async fn a_part_s_etag_is_its_md5_unless_the_service_sends_it() {
    let store = Store::with_bucket().await;
    let policy = |principal: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{principal}"Action":"s3:PutObject","Resource":"arn:aws:s3:::data/*"}}]}}"#
        )
    };
    let service = r#""Principal":{"Service":"personalize.amazonaws.com"},"#;
    store.put("/data?policy", policy(service)).await.ok();
    let session = store.session("Writer", &policy("")).await;
    let id = store.multipart("/data/k", &[]).await;
    let etag = async |number: usize, principal: Option<_>, headers: &[(&str, &str)]| {
        let target = format!("/data/k?partNumber={number}&uploadId={id}");
        let answer = match principal {
            Some(principal) => store.send_as(Some(principal), "PUT", &target, headers, "hello world").await,
            None => store.send("PUT", &target, headers, "hello world").await,
        };
        answer.ok().header("etag").to_owned()
    };
    let md5 = "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"";
    assert_eq!(etag(1, None, &[]).await, md5);
    let own = etag(2, Some(session.clone()), &[]).await;
    assert_eq!((own.len(), own == md5), (md5.len(), false));
    assert_eq!(etag(2, Some(session.clone()), &[]).await, own);
    assert_ne!(etag(3, Some(session.clone()), &[]).await, own);
    let stated = [("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")];
    assert_eq!(etag(4, Some(session.clone()), &stated).await, md5);
    let target = format!("/data/k?partNumber=5&uploadId={id}");
    let wrong = store.send_as(Some(session), "PUT", &target, &stated, "hello").await;
    wrong.refused(400, "BadDigest");
}
