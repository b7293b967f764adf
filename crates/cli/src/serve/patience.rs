//! A connection that is given up when its client takes what is sent to it too slowly, and that tells what goes on on it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::body::RATE_MIN;
use super::measured;

/// A stream whose writes time out; time in which there is nothing to write does not count.
pub struct Patient<S> {
    stream: S,
    stall_max: Duration,
    stall: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
    waited: Duration,
    /// What was written while somebody waited.
    written_bytes: u64,
    traffic: Arc<Traffic>,
}

/// What a connection has been through, for whoever thinks of closing it.
#[derive(Default)]
pub struct Traffic {
    read_bytes: AtomicU64,
    is_writing: AtomicBool,
}

impl Traffic {
    /// How much came from the client so far.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// Whether the client has yet to take a part of an answer.
    pub fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
    }
}

impl<S> Patient<S> {
    /// `stall_max` is how long a client may take nothing of an answer, and for how long it may take it slowly.
    pub fn new(stream: S, stall_max: Duration, traffic: Arc<Traffic>) -> Patient<S> {
        Patient {
            stream,
            stall_max,
            stall: Box::pin(sleep(stall_max)),
            waiting_since: None,
            waited: Duration::ZERO,
            written_bytes: 0,
            traffic,
        }
    }

    fn timed<T>(
        &mut self,
        cx: &mut Context<'_>,
        step: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        self.traffic.is_writing.store(step.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(done)) = &step {
            measured::SENT.add(bytes(done) as u64);
        }
        match step {
            Poll::Ready(Ok(done)) if self.is_too_slow(bytes(&done)) => Poll::Ready(Err(gave_up())),
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.wait(cx).map(|()| Err(gave_up())),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    fn is_too_slow(&mut self, bytes: usize) -> bool {
        let Some(since) = self.waiting_since.take() else { return false };
        self.waited += since.elapsed();
        self.written_bytes += bytes as u64;
        self.waited > self.stall_max && (self.written_bytes as f64) < RATE_MIN * self.waited.as_secs_f64()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let end = now + self.stall_max;
            self.stall.as_mut().reset(end);
        }
        self.stall.as_mut().poll(cx)
    }
}

fn gave_up() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client took too little of an answer")
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let step = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        self.traffic.read_bytes.fetch_add(read, Ordering::Relaxed);
        measured::RECEIVED.add(read);
        step
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.timed(cx, step, |n| *n)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.timed(cx, step, |n| *n)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_flush(cx);
        self.timed(cx, step, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.timed(cx, step, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(16);
        let traffic = Arc::<Traffic>::default();
        let mut near = Patient::new(near, SHORT, traffic.clone());
        assert_eq!(near.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(traffic.is_writing());
    }

    #[tokio::test]
    async fn a_client_that_takes_drops_is_given_up() {
        let (near, mut far) = tokio::io::duplex(16);
        let drips = tokio::spawn(async move {
            while far.read(&mut [0; 1]).await.is_ok_and(|n| n > 0) {
                sleep(SHORT / 10).await;
            }
        });
        let error = Patient::new(near, SHORT, Arc::default()).write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drips.await.unwrap();
    }
}
