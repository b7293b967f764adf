//! Calls of the own bucket, on a store that fails when it is told to.

use super::*;
use crate::objects::fake::{Fake, Trouble};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_has_succeeded() {
    let fake = Fake::default();
    let bucket = fake.bucket().await.unwrap();
    fake.asked();
    fake.fail("PUT", Trouble::LostAnswer);
    bucket.put_new("log/1", bytes("x")).await.unwrap();
    assert_eq!(fake.asked(), ["PUT a/log/1", "PUT a/log/1", "GET a/log/1"]);
    assert_eq!(bucket.get("log/1").await.unwrap(), "x");
}

#[tokio::test]
async fn a_key_with_other_bytes_is_an_error_of_its_own() {
    let fake = Fake::default();
    let bucket = fake.bucket().await.unwrap();
    bucket.put_new("log/1", bytes("x")).await.unwrap();
    bucket.put_new("log/1", bytes("x")).await.unwrap();
    let error = bucket.put_new("log/1", bytes("y")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert_eq!(bucket.get("log/1").await.unwrap(), "x");
}

#[tokio::test]
async fn outages_are_waited_out_for_a_while() {
    let fake = Fake::default();
    let bucket = fake.bucket().await.unwrap();
    bucket.put_new("b", bytes("0123456789")).await.unwrap();
    fake.fail("GET", Trouble::Unavailable);
    fake.fail("GET", Trouble::LostAnswer);
    assert_eq!(bucket.get_range("b", 3..6).await.unwrap(), "345");
    assert_eq!(bucket.get_range("b", 8..60).await.unwrap(), "89");
    (0..100).for_each(|_| fake.fail("GET", Trouble::Unavailable));
    let error = bucket.get("b").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(!error.message().contains("own") && error.chain().contains("s3://own/a/b"), "{}", error.chain());
}

#[tokio::test]
async fn an_object_that_is_not_there_is_not_found_at_once() {
    let fake = Fake::default();
    let bucket = fake.bucket().await.unwrap();
    fake.asked();
    assert_eq!(bucket.get("b").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn lists_are_read_to_their_end_and_many_are_deleted_at_once() {
    let fake = Fake::default();
    let bucket = fake.bucket().await.unwrap();
    let keys: Vec<String> = (0..8).map(|n| format!("log/{n}")).collect();
    for key in &keys {
        bucket.put_new(key, bytes("x")).await.unwrap();
    }
    bucket.put_new("runs/1", bytes("x")).await.unwrap();
    assert_eq!(bucket.list("log/", None).await.unwrap(), keys);
    assert_eq!(bucket.list("log/", Some("log/4")).await.unwrap(), keys[5..]);
    fake.asked();
    bucket.delete(&keys).await.unwrap();
    bucket.delete(&keys[..1]).await.unwrap();
    assert_eq!(fake.asked(), ["POST ", "DELETE a/log/0"]);
    assert_eq!(fake.keys(), ["a/runs/1"]);
}

#[tokio::test]
async fn a_store_that_lets_two_puts_win_is_refused() {
    let fake = Fake::default();
    fake.ignore_conditions();
    let error = fake.bucket().await.err().unwrap();
    assert!(error.message().contains("does not honour If-None-Match"), "{}", error.chain());
    assert!(fake.keys().is_empty());
}

#[tokio::test]
async fn an_upload_whose_completion_was_lost_is_complete() {
    let fake = Fake::default();
    let bucket = fake.bucket().await.unwrap();
    let upload = bucket.begin_upload("runs/1").await.unwrap();
    let part = bucket.upload_part(&upload, 1, bytes("xyz")).await.unwrap();
    fake.fail("POST", Trouble::LostAnswer);
    bucket.complete(&upload, &[part], 3).await.unwrap();
    assert_eq!(bucket.get("runs/1").await.unwrap(), "xyz");
}
