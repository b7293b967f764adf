//! One connection that stays open: a request goes out in one write, its answer is read as far as it goes.

use std::io;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::client::connector::{Connector, Stream};

const PATIENCE: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 64 << 10;

pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Whether the server closes the connection behind this.
    pub is_last: bool,
}

/// What the head of an answer says.
struct Head {
    status: u16,
    body_bytes: usize,
    is_last: bool,
}

impl Connection {
    pub async fn open(connector: &Connector, authority: &str) -> io::Result<Connection> {
        let stream = connector.open(authority).await?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a whole request and waits for its whole answer.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<Answer> {
        timeout(PATIENCE, self.exchange(request))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let (head_bytes, head) = loop {
            self.more().await?;
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break (end + 4, Head::parse(&self.buffer[..end])?);
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(unreadable());
            }
        };
        let Head { status, body_bytes, is_last } = head;
        while self.buffer.len() < head_bytes + body_bytes {
            self.more().await?;
        }
        let body = self.buffer[head_bytes..head_bytes + body_bytes].to_vec();
        Ok(Answer { status, body, is_last })
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Head {
    fn parse(head: &[u8]) -> io::Result<Head> {
        let head = std::str::from_utf8(head).map_err(|_| unreadable())?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let mut parsed = Head { status: status.ok_or_else(unreadable)?, body_bytes: 0, is_last: false };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                parsed.body_bytes = value.parse().map_err(|_| unreadable())?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(io::Error::other("the answer has no length"));
            } else if name.eq_ignore_ascii_case("connection") {
                parsed.is_last = value.eq_ignore_ascii_case("close");
            }
        }
        Ok(parsed)
    }
}

fn unreadable() -> io::Error {
    io::Error::other("the answer is no HTTP")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answered(parts: &'static [&'static [u8]]) -> io::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let authority = listener.local_addr()?.to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 4];
            stream.read_exact(&mut request).await?;
            for part in parts {
                stream.write_all(part).await?;
                tokio::task::yield_now().await;
            }
            io::Result::Ok(())
        };
        let client = async { Connection::open(&Connector::default(), &authority).await?.call(b"call").await };
        tokio::join!(client, server).0
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces() {
        let answer = answered(&[
            b"HTTP/1.1 400 Bad Request\r\nContent-",
            b"Length: 5\r\nconnection: close\r\n\r\nhe",
            b"llo",
        ]);
        let answer = answer.await.unwrap();
        assert_eq!((answer.status, &answer.body[..], answer.is_last), (400, &b"hello"[..], true));
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_none() {
        assert!(answered(&[b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"]).await.is_err());
        assert!(answered(&[b"nonsense\r\n\r\n"]).await.is_err());
        assert!(answered(&[]).await.is_err());
    }
}
