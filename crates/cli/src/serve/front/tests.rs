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

fn front(stop: &CancellationToken, client_timeout: Duration) -> Front {
    let (dispatch, stop) = (Arc::new(Dispatch { client_timeout, ..dispatch() }), stop.clone());
    Front { dispatch, connections_max: None, client_timeout, tls: None, proxies: Proxies::default(), stop }
}

async fn running_with(client_timeout: Duration) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let front = tokio::spawn(front(&stop, client_timeout).accept(listener, Duration::from_secs(5)));
    Running { address, stop, front }
}

async fn running() -> Running {
    running_with(Duration::from_secs(30)).await
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

#[tokio::test]
async fn a_request_that_arrives_during_the_stop_is_answered_on_a_connection_that_had_others() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    exchange(&mut stream, LIVE, "ok\n").await;
    stream.write_all(&LIVE[..20]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answered = exchange(&mut stream, &LIVE[20..], "ok\n").await;
    assert!(answered.starts_with("HTTP/1.1 200 OK") && answered.contains("connection: close"), "{answered}");
    assert_eq!(exchange(&mut stream, b"", "never").await, "");
    running.front.await.unwrap();
}

#[tokio::test]
async fn a_client_that_connected_before_the_stop_is_served_after_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(LIVE).await.unwrap();
        clients.push(stream);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    let front = tokio::spawn(front(&stop, Duration::from_secs(5)).accept(listener, Duration::from_secs(5)));
    for mut stream in clients {
        assert!(exchange(&mut stream, b"", "ok\n").await.starts_with("HTTP/1.1 200 OK"));
    }
    front.await.unwrap();
}

#[tokio::test]
async fn whoever_keeps_the_server_waiting_is_given_up() {
    let running = running_with(Duration::from_millis(100)).await;
    let half = "PUT /b/k HTTP/1.1\r\nhost: h\r\n";
    for begun in ["", half] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(exchange(&mut stream, begun.as_bytes(), "never").await, "", "{begun}");
    }
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    exchange(&mut idle, LIVE, "ok\n").await;
    assert_eq!(exchange(&mut idle, b"", "never").await, "");
}
