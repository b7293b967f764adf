//! The client against a store of a few prepared answers.

use std::sync::Arc;

use model::ErrorKind;
use model::clock::SimulatedClock;
use model::{Arn, Clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::RoleSession;
use crate::session::Sessions;

/// A store that gives these answers, one a connection, and hands back the requests that it got.
async fn store(answers: Vec<String>) -> (Bucket, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(read_request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        requests
    });
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(0, 1));
    let arn = Arn::parse("arn:aws:iam::111122223333:role/Export").unwrap();
    let session = RoleSession {
        role: arn.clone(),
        role_id: "AROAROLE".into(),
        role_tags: vec![],
        session: arn.clone(),
        service: "personalize.amazonaws.com".into(),
        source: arn,
        expires_ms: i64::MAX,
    };
    let keys = Arc::new(Sessions::default()).mint(session, &clock);
    (Bucket::open("out", &url, "us-east-1", &Way::to(&url, None), keys), serving)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .and_then(|n| n.parse::<usize>().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return text.to_ascii_lowercase();
            }
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "the client hung up");
        bytes.extend_from_slice(&piece[..count]);
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn error(status: &str, code: &str, message: &str) -> String {
    answer(status, "", &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

fn listing(objects: &[(&str, u64, &str)], next: Option<&str>) -> String {
    let contents: String = objects
        .iter()
        .map(|(k, s, e)| format!("<Contents><Key>{k}</Key><Size>{s}</Size><ETag>{e}</ETag></Contents>"))
        .collect();
    let next =
        next.map(|n| format!("<NextContinuationToken>{n}</NextContinuationToken>")).unwrap_or_default();
    let body = format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{next}{contents}<KeyCount>{}</KeyCount></ListBucketResult>",
        !next.is_empty(),
        objects.len()
    );
    answer("200 OK", "", &body)
}

/// The same answer, with the length that its body has.
fn with_length(answered: &str) -> String {
    answer("200 OK", "", answered.split_once("\r\n\r\n").unwrap().1)
}

#[tokio::test]
async fn a_list_holds_all_pages() {
    let first = listing(&[("a/1", 5, "&quot;e1&quot;"), ("a/2", 6, "e2")], Some("token"));
    let (bucket, serving) = store(vec![first, listing(&[("a/3", 7, "e3")], None)]).await;
    let entries = bucket.list("a/", true).await.unwrap();
    let keys: Vec<(&str, u64)> = entries.iter().map(|e| (e.key.as_str(), e.size)).collect();
    assert_eq!(keys, [("a/1", 5), ("a/2", 6), ("a/3", 7)]);
    assert_eq!(entries[0].etag, "\"e1\"");
    let requests = serving.await.unwrap();
    assert!(
        requests[0].starts_with("get /out?list-type=2") || requests[0].starts_with("get /out/?list-type=2")
    );
    assert!(requests[0].contains("delimiter=%2f") && requests[0].contains("prefix=a%2f"), "{}", requests[0]);
    assert!(requests[0].contains("x-amz-security-token: "), "{}", requests[0]);
    assert!(requests[1].contains("continuation-token=token"), "{}", requests[1]);
}

#[tokio::test]
async fn an_object_is_read_with_its_metadata() {
    let whole = answer("200 OK", "ETag: \"e\"\r\nx-amz-meta-colour: red\r\n", "hello");
    let part = answer("206 Partial Content", "ETag: \"e\"\r\nContent-Range: bytes 1-2/5\r\n", "el");
    let (bucket, serving) = store(vec![whole, part]).await;
    let (head, body) = bucket.get("k", None, None).await.unwrap();
    assert_eq!((head.size, head.etag.as_str()), (5, "\"e\""));
    assert_eq!(head.metadata.get("colour").map(String::as_str), Some("red"));
    assert_eq!(body.collect(100).await.unwrap(), b"hello");
    let (head, body) = bucket.get("k", Some(1..3), Some("\"e\"")).await.unwrap();
    assert_eq!(head.size, 5);
    assert_eq!(body.collect(100).await.unwrap(), b"el");
    let requests = serving.await.unwrap();
    assert!(
        requests[1].contains("range: bytes=1-2") && requests[1].contains("if-match: \"e\""),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn a_truncated_object_is_an_error() {
    let short = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhello".to_owned();
    let (bucket, _serving) = store(vec![short]).await;
    let (_, body) = bucket.get("k", None, None).await.unwrap();
    assert_eq!(body.collect(100).await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_object_that_is_shorter_than_its_list_said_is_an_error() {
    let unsaid = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello".to_owned();
    let (bucket, _serving) = store(vec![answer("200 OK", "", "hello"), unsaid]).await;
    let (_, body) = bucket.get("k", None, None).await.unwrap();
    let error = body.of_size(6).unwrap_err();
    assert_eq!(error.message(), "s3://out/k was listed with 6 bytes, but the store sends 5");
    let (_, body) = bucket.get("k", None, None).await.unwrap();
    let error = body.of_size(6).unwrap().collect(100).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_range_that_was_ignored_is_an_error() {
    let (bucket, _serving) = store(vec![answer("200 OK", "", "hello")]).await;
    assert_eq!(bucket.get("k", Some(1..3), None).await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn refusals_keep_the_text_of_the_store() {
    let denied = error("403 Forbidden", "AccessDenied", "because no resource-based policy allows it");
    let missing = error("404 Not Found", "NoSuchKey", "gone");
    let changed = error("412 Precondition Failed", "PreconditionFailed", "changed");
    let (bucket, _serving) = store(vec![denied, missing, changed, answer("403 Forbidden", "", "")]).await;
    let put = bucket.put("k", Bytes::from_static(b"x"), "text/csv", HashMap::new(), None).await.unwrap_err();
    assert_eq!(put.kind, ErrorKind::Denied);
    assert_eq!(put.message(), "can't write s3://out/k: because no resource-based policy allows it");
    assert_eq!(bucket.get("k", None, None).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(bucket.get("k", None, Some("e")).await.unwrap_err().kind, ErrorKind::Invalid);
    let head = bucket.head("k").await.unwrap_err();
    assert_eq!(
        (head.kind, head.message()),
        (ErrorKind::Denied, "can't look at s3://out/k: the store denies access")
    );
}

#[tokio::test]
async fn bytes_go_with_the_checksum_that_was_given() {
    let (bucket, serving) =
        store(vec![answer("200 OK", "ETag: \"e\"\r\n", ""), answer("200 OK", "ETag: \"p\"\r\n", "")]).await;
    let metadata = HashMap::from([("a".to_owned(), "b".to_owned())]);
    bucket.put("k", Bytes::from_static(b"hello"), "text/csv", metadata, Some(1)).await.unwrap();
    let part = bucket.upload_part("k", "id", 3, Bytes::from_static(b"hello"), 2).await.unwrap();
    assert_eq!(part, PartTag { number: 3, etag: "\"p\"".into(), crc64nvme: 2 });
    let requests = serving.await.unwrap();
    for (request, crc) in [(&requests[0], "aaaaaaaaaae="), (&requests[1], "aaaaaaaaaai=")] {
        assert!(request.contains(&format!("x-amz-checksum-crc64nvme: {crc}")), "{request}");
        assert!(request.contains("x-amz-content-sha256: unsigned-payload"), "{request}");
        assert!(!request.contains("aws-chunked") && request.ends_with("\r\n\r\nhello"), "{request}");
    }
    assert!(requests[0].contains("x-amz-meta-a: b") && requests[0].contains("content-type: text/csv"));
    assert!(requests[1].contains("partnumber=3") && requests[1].contains("uploadid=id"));
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_found_by_listing() {
    let parts = [PartTag { number: 1, etag: "\"p\"".into(), crc64nvme: 2 }];
    let gone = || error("404 Not Found", "NoSuchUpload", "gone");
    let answers =
        vec![gone(), listing(&[("k", 5, "abc-1")], None), gone(), listing(&[("k", 6, "abc-1")], None)];
    let (bucket, serving) = store(answers).await;
    bucket.complete("k", "id", &parts, 2, 5).await.unwrap();
    assert_eq!(bucket.complete("k", "id", &parts, 2, 5).await.unwrap_err().kind, ErrorKind::NotFound);
    let requests = serving.await.unwrap();
    assert!(
        requests[0].contains("x-amz-mp-object-size: 5")
            && requests[0].contains("x-amz-checksum-type: full_object")
    );
}

#[tokio::test]
async fn a_completion_is_asked_for_again_while_nobody_can_look_it_up() {
    let parts = [PartTag { number: 1, etag: "\"p\"".into(), crc64nvme: 2 }];
    let gone = error("404 Not Found", "NoSuchUpload", "gone");
    let listed = listing(&[("a", 1, "x"), ("k", 5, "abc-1")], None);
    let cut_off = listed.split("<Contents><Key>k").next().unwrap();
    let (bucket, _serving) = store(vec![gone, with_length(cut_off)]).await;
    let error = bucket.complete("k", "id", &parts, 2, 5).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_completion_that_is_refused_after_it_was_done_is_done() {
    let parts = [PartTag { number: 1, etag: "\"p\"".into(), crc64nvme: 2 }];
    let there = || listing(&[("k", 5, "abc-1")], None);
    let refused =
        [error("403 Forbidden", "AccessDenied", "no"), error("400 Bad Request", "InvalidPart", "no")];
    for refusal in refused {
        let (bucket, _serving) = store(vec![refusal, there()]).await;
        bucket.complete("k", "id", &parts, 2, 5).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_that_ends_too_early_is_an_error() {
    let whole = listing(&[("a", 1, "x"), ("b", 2, "y")], None);
    for cut in ["<KeyCount>", "<Contents><Key>b", "<Contents><Key>a", "<IsTruncated>"] {
        let body = &whole[..whole.find(cut).unwrap()];
        let (bucket, _serving) = store(vec![with_length(body)]).await;
        let listed = bucket.list("", true).await;
        assert_eq!(listed.as_ref().map_err(|e| e.kind), Err(ErrorKind::Unavailable), "{body}: {listed:?}");
    }
}

#[tokio::test]
async fn a_store_may_count_folders_or_not() {
    let folder = "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><KeyCount>";
    let whole = listing(&[("a", 1, "x"), ("b", 2, "y")], None).replace("<KeyCount>", folder);
    let counted = whole.replace("<KeyCount>2", "<KeyCount>3");
    let (bucket, _serving) = store(vec![with_length(&whole), with_length(&counted)]).await;
    for _ in 0..2 {
        assert_eq!(bucket.list("", true).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_upload_that_is_gone_is_begun_again() {
    let (bucket, _serving) = store(vec![error("404 Not Found", "NoSuchUpload", "gone")]).await;
    let error = bucket.upload_part("k", "id", 1, Bytes::from_static(b"x"), 2).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message()),
        (ErrorKind::Unavailable, "can't upload a part of s3://out/k: gone")
    );
}

#[tokio::test]
async fn a_store_that_sends_on_is_not_followed() {
    for status in ["301 Moved Permanently", "307 Temporary Redirect"] {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("Location: http://{}/out/k\r\n", elsewhere.local_addr().unwrap());
        let body = "<Error><Code>PermanentRedirect</Code><Message>Use the endpoint.</Message></Error>";
        let (bucket, _serving) = store(vec![answer(status, &to, body)]).await;
        let error = bucket.get("k", None, None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message().contains("another address or region, which is not followed"), "{error}");
        let waited = tokio::time::timeout(std::time::Duration::from_millis(50), elsewhere.accept()).await;
        assert!(waited.is_err(), "it went there");
    }
}

#[tokio::test]
async fn clocks_that_are_apart_are_named_and_may_be_put_right() {
    let (bucket, _serving) = store(vec![error("403 Forbidden", "RequestTimeTooSkewed", "too large")]).await;
    let error = bucket.list("a/", true).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(
        error.message(),
        "can't list s3://out/a/: the clocks of the store and of this server are too far apart: too large"
    );
}

#[tokio::test]
async fn bytes_that_were_changed_on_the_way_are_asked_for_again() {
    let wrong = answer("200 OK", "x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n", "hello");
    let (bucket, _serving) = store(vec![wrong]).await;
    let (_, body) = bucket.get("k", None, None).await.unwrap();
    assert_eq!(body.collect(100).await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_error_in_an_answer_of_200_is_an_error() {
    let parts = [PartTag { number: 1, etag: "\"p\"".into(), crc64nvme: 2 }];
    let (bucket, _serving) =
        store(vec![error("200 OK", "InvalidPart", "no such part"), listing(&[], None)]).await;
    let error = bucket.complete("k", "id", &parts, 2, 5).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message().ends_with("no such part"), "{error}");
}

#[tokio::test]
async fn an_upload_that_is_gone_can_be_aborted() {
    let (bucket, _serving) = store(vec![
        error("404 Not Found", "NoSuchUpload", "gone"),
        error("403 Forbidden", "AccessDenied", "no"),
    ])
    .await;
    bucket.abort("k", "id").await.unwrap();
    assert_eq!(bucket.abort("k", "id").await.unwrap_err().kind, ErrorKind::Denied);
}
