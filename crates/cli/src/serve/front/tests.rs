//! The front over real connections, byte by byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::super::dispatch::tests::dispatch;
use super::*;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    front: JoinHandle<()>,
}

async fn running() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let front = tokio::spawn(accept(listener, Arc::new(dispatch()), stop.clone(), Duration::from_secs(5)));
    Running { address, stop, front }
}

/// Sends bytes and reads until `end` comes, or the connection is closed.
async fn exchange(stream: &mut TcpStream, bytes: &[u8], end: &str) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        match stream.read(&mut buffer).await.unwrap_or(0) {
            0 => break,
            n => text.push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
        }
    }
    text
}

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n";

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..3 {
        assert!(exchange(&mut stream, LIVE, "ok\n").await.starts_with("HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn a_body_is_asked_for_only_when_it_will_be_read() {
    let running = running().await;
    let head = |authorization: &str| {
        format!(
            "PUT /b/k HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\nexpect: 100-continue\r\n{authorization}\r\n"
        )
    };
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let refused = exchange(&mut stream, head("").as_bytes(), "</Error>").await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let claim = "x-amz-date: 20260301T123045Z\r\nauthorization: AWS4-HMAC-SHA256 \
        Credential=AKIDEXAMPLE/20260301/eu-central-1/iam/aws4_request,SignedHeaders=host;x-amz-date,Signature=0\r\n";
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let asked = exchange(&mut stream, head(claim).as_bytes(), "\r\n\r\n").await;
    assert!(asked.starts_with("HTTP/1.1 100 Continue"), "{asked}");
    let answered = exchange(&mut stream, b"body", "</ErrorResponse>").await;
    assert!(answered.contains("SignatureDoesNotMatch"), "{answered}");
}

#[tokio::test]
async fn large_and_many_headers_are_refused() {
    let running = running().await;
    for headers in [format!("x: {}\r\n", "y".repeat(64 << 10)), "x: y\r\n".repeat(200)] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: h\r\n{headers}\r\n");
        let answered = exchange(&mut stream, request.as_bytes(), "\r\n\r\n").await;
        assert!(answered.starts_with("HTTP/1.1 431"), "{answered}");
    }
}

#[tokio::test]
async fn a_stop_finishes_what_was_accepted_and_closes_the_rest() {
    let running = running().await;
    let silent = TcpStream::connect(running.address).await.unwrap();
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    exchange(&mut idle, LIVE, "ok\n").await;
    let mut late = TcpStream::connect(running.address).await.unwrap();
    late.write_all(&LIVE[..20]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(exchange(&mut late, &LIVE[20..], "ok\n").await.starts_with("HTTP/1.1 200 OK"));
    running.front.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
    drop(silent);
}
