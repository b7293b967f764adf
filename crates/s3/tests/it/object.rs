//! Objects: bytes and headers in, the same out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use md5::{Digest, Md5};

use crate::harness::{Store, read};

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let store = Store::with_bucket().await;
    let headers = [
        ("content-type", "text/csv"),
        ("cache-control", "no-cache"),
        ("content-disposition", "attachment"),
        ("content-language", "de"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-meta-color", "red"),
    ];
    let put = store.send("PUT", "/data/a/b.csv", &headers, "hello world").await.ok();
    assert_eq!(put.header("etag"), "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
    let got = store.get("/data/a/b.csv").await.ok();
    assert_eq!(got.body, "hello world");
    for (name, value) in headers {
        assert_eq!(got.header(name), value, "{name}");
    }
    assert_eq!(got.header("content-length"), "11");
    assert_eq!(got.header("content-security-policy"), "sandbox");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert_eq!(got.header("x-amz-request-id"), "id");
    assert!(got.header("last-modified").ends_with("GMT"));
    let head = store.send("HEAD", "/data/a/b.csv", &[], "").await.ok();
    assert_eq!((head.header("content-length"), head.header("content-type")), ("11", "text/csv"));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn odd_keys_are_names_and_no_paths() {
    let store = Store::with_bucket().await;
    let long = "k".repeat(1024);
    let keys = [
        "../x",
        "..",
        "//",
        "/",
        "a//b",
        "./.",
        "ключ/鍵",
        "a b+c&d=e?f#g",
        "%2e%2e%2f",
        "x\\..\\y",
        "nul\0",
        &long,
    ];
    for (n, key) in keys.iter().enumerate() {
        let target = format!(
            "/data/{}",
            percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC)
        );
        store.put(&target, format!("{n}")).await.ok();
        assert_eq!(store.get(&target).await.ok().text(), format!("{n}"), "{key}");
    }
    assert_eq!(store.files(), keys.len());
    let listed = store.get("/data?list-type=2&encoding-type=url").await.ok().elements("Key");
    let mut sorted: Vec<&str> = keys.to_vec();
    sorted.sort_unstable();
    let read = |key: &String| percent_encoding::percent_decode_str(key).decode_utf8().unwrap().into_owned();
    assert_eq!(listed.iter().map(read).collect::<Vec<_>>(), sorted);
    let outside: Vec<_> = std::fs::read_dir(store.folder.path()).unwrap().collect();
    assert!(outside.iter().all(|e| e.as_ref().unwrap().file_name() != "x"));
    store.put(&format!("/data/{long}k"), "").await.refused(400, "KeyTooLongError");
}

#[tokio::test]
async fn ranges_give_the_bytes_asked_for() {
    let store = Store::with_bucket().await;
    let bytes: Vec<u8> = (0..2_500_000u32).map(|n| (n % 251) as u8).collect();
    store.put("/data/k", bytes.clone()).await.ok();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1048570-1048590", 1_048_570, 1_048_591),
        ("bytes=-5", 2_499_995, 2_500_000),
    ] {
        let got = store.send("GET", "/data/k", &[("range", range)], "").await.ok();
        assert_eq!(got.status, 206);
        assert_eq!(got.body, &bytes[from..to], "{range}");
        assert_eq!(got.header("content-range"), format!("bytes {from}-{}/2500000", to - 1));
    }
    let got = store.send("GET", "/data/k", &[("range", "bytes=0-1,5-6")], "").await.ok();
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 2_500_000));
    let refused =
        store.send("GET", "/data/k", &[("range", "bytes=2500000-")], "").await.refused(416, "InvalidRange");
    assert_eq!(refused.header("content-range"), "bytes */2500000");
}

#[tokio::test]
async fn responses_can_be_overridden() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let got =
        store.get("/data/k?response-content-type=text%2Fhtml&response-content-disposition=inline").await.ok();
    assert_eq!((got.header("content-type"), got.header("content-disposition")), ("text/html", "inline"));
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "").await.ok();
    let got = store.get("/data/k").await.ok();
    assert_eq!((got.body.len(), got.header("etag")), (0, "\"d41d8cd98f00b204e9800998ecf8427e\""));
    store.send("GET", "/data/k", &[("range", "bytes=0-")], "").await.refused(416, "InvalidRange");
}

#[tokio::test]
async fn checksums_are_verified_stored_and_given_back() {
    let store = Store::with_bucket().await;
    let asked = [("x-amz-checksum-mode", "ENABLED")];
    store.put("/data/none", "hello world").await.ok();
    let got = store.send("GET", "/data/none", &asked, "").await.ok();
    assert_eq!(got.header("x-amz-checksum-type"), "FULL_OBJECT");
    assert_eq!(STANDARD.decode(got.header("x-amz-checksum-crc64nvme")).unwrap().len(), 8);
    assert_eq!(store.get("/data/none").await.header("x-amz-checksum-crc64nvme"), "");
    for (name, value) in [
        ("x-amz-checksum-crc32", "DUoRhQ=="),
        ("x-amz-checksum-crc32c", "yZRlqg=="),
        ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        ("x-amz-checksum-sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
    ] {
        let put = store.send("PUT", "/data/k", &[(name, value)], "hello world").await.ok();
        assert_eq!(put.header(name), value);
        assert_eq!(store.send("HEAD", "/data/k", &asked, "").await.ok().header(name), value);
        store.send("PUT", "/data/bad", &[(name, value)], "hello worlD").await.refused(400, "BadDigest");
    }
    let md5 = STANDARD.encode(Md5::digest(b"hello world"));
    store.send("PUT", "/data/k", &[("content-md5", &md5)], "hello world").await.ok();
    store.send("PUT", "/data/bad", &[("content-md5", &md5)], "other").await.refused(400, "BadDigest");
    store.send("PUT", "/data/bad", &[("content-md5", "xx")], "other").await.refused(400, "InvalidDigest");
    store.get("/data/bad").await.refused(404, "NoSuchKey");
    store.settled_at(2).await;
}

#[tokio::test]
async fn a_verified_trailer_is_the_checksum() {
    let store = Store::with_bucket().await;
    let trailers = wire::sigv4::Trailers::default();
    let body = wire::sigv4::Body::from(Bytes::from("hello world"));
    let request = Request::put("/data/k").header("host", "localhost").header("content-length", 11);
    let mut request = request.header("x-amz-trailer", "x-amz-checksum-crc32").body(body).unwrap();
    let trailer =
        [("x-amz-checksum-crc32".parse().unwrap(), "DUoRhQ==".parse().unwrap())].into_iter().collect();
    trailers.0.set(trailer).unwrap();
    request.extensions_mut().insert(trailers);
    let root = access::Principal::Root { arn: store.access.realm.root() };
    let put = read(store.door.call(Some(root), "id".into(), request).await).await.ok();
    assert_eq!(put.header("x-amz-checksum-crc32"), "DUoRhQ==");
    let announced = [("x-amz-trailer", "x-amz-checksum-crc32")];
    store.send("PUT", "/data/k", &announced, "x").await.refused(400, "InvalidRequest");
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "old").await.ok();
    store.send("PUT", "/data/k", &[("content-length", "9")], "new").await.refused(400, "IncompleteBody");
    assert_eq!(store.get("/data/k").await.text(), "old");
    let pieces = futures_util::stream::iter([
        Ok(http_body::Frame::data(Bytes::from(vec![7; 3_000_000]))),
        Err(std::io::Error::other("the peer went away")),
    ]);
    let body = http_body_util::StreamBody::new(pieces);
    let request = Request::put("/data/k").header("host", "localhost").header("content-length", 6_000_000);
    let root = access::Principal::Root { arn: store.access.realm.root() };
    let answer = store.door.call(Some(root), "id".into(), request.body(body).unwrap()).await;
    read(answer).await.refused(400, "IncompleteBody");
    assert_eq!(store.get("/data/k").await.text(), "old");
    store.settled_at(1).await;
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    for (name, value, code) in [
        ("x-amz-server-side-encryption", "aws:kms", "NotImplemented"),
        ("x-amz-server-side-encryption", "aws:kms:dsse", "NotImplemented"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256", "NotImplemented"),
        ("x-amz-tagging", "a=b", "NotImplemented"),
        ("x-amz-storage-class", "GLACIER", "InvalidStorageClass"),
        ("x-amz-acl", "public-read", "AccessControlListNotSupported"),
    ] {
        let answer = store.send("PUT", "/data/k", &[(name, value)], "y").await;
        assert_eq!(answer.element("Code"), code, "{name}");
    }
    for target in ["/data/k?acl", "/data?versions", "/data/k?versionId=7"] {
        store.get(target).await.refused(501, "NotImplemented");
    }
    // What nobody can set is read as never set.
    store.get("/data?lifecycle").await.refused(404, "NoSuchLifecycleConfiguration");
    assert!(store.get("/data/k?tagging").await.text().contains("<TagSet></TagSet>"));
    assert_eq!(store.get("/data/k").await.text(), "x");
}

#[tokio::test]
async fn a_large_object_streams_both_ways() {
    let store = Store::with_bucket().await;
    let bytes = vec![42u8; 40 * 1024 * 1024 + 7];
    store.put("/data/k", bytes.clone()).await.ok();
    assert_eq!(store.get("/data/k").await.ok().body, bytes);
}
