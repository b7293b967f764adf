//! Memory: an object streams in and out without being held. Alone in its process, so that nobody else is measured.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "it/harness.rs"]
mod harness;

use access::Principal;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};

const PIECES: u64 = 8192;
const PIECE_BYTES: usize = 64 * 1024;

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_gibibyte_streams_in_constant_memory() {
    let store = harness::Store::with_bucket().await;
    let root = || Some(Principal::Root { arn: store.access.realm.root() });
    store.put("/data/warm", vec![1; 4_000_000]).await.ok();
    let before = peak();
    let pieces = stream::iter(0..PIECES)
        .map(|n| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![n as u8; PIECE_BYTES]))));
    let size = PIECES * PIECE_BYTES as u64;
    let put = Request::put("/data/k").header("host", "localhost").header("content-length", size);
    let put = put.body(StreamBody::new(pieces)).unwrap();
    harness::read(store.door.call(root(), "id".into(), put).await).await.ok();
    let get = Request::get("/data/k").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    let mut body = store.door.call(root(), "id".into(), get).await.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len() as u64;
    }
    assert_eq!(read, size);
    let grown = peak() - before;
    assert!(grown < 24 * 1024 * 1024, "grew by {grown} bytes");
}
