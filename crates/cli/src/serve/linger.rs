//! The end of a connection on which something was refused: what is still on its way is read, so that the refusal is, too.
//!
//! To close with unread bytes is a reset, which takes the answer from whoever still sends; a proxy says 502 instead.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose shutdown waits for the other end, where an answer was one after which the connection is closed.
pub struct Lingering<S> {
    stream: S,
    is_last: Arc<AtomicBool>,
    max: Duration,
    /// Begun when nothing more is written.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// `is_last` is set by whoever answers, once the answer is the last one; `max` is for how long the other end may
    /// take to read it and to close.
    pub fn new(stream: S, is_last: Arc<AtomicBool>, max: Duration) -> Lingering<S> {
        Lingering { stream, is_last, max, waiting: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !self.is_last.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let max = self.max;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(max)));
        if waiting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut unread = [0; 16 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut unread);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                // It has closed, or is gone: there is nobody left to wait for.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, timeout};

    use super::*;

    fn lingering(
        is_last: bool,
        max_ms: u64,
    ) -> (Lingering<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (ours, theirs) = duplex(1 << 10);
        let max = Duration::from_millis(max_ms);
        (Lingering::new(ours, Arc::new(AtomicBool::new(is_last)), max), theirs)
    }

    #[tokio::test]
    async fn what_is_still_sent_is_read_until_the_other_end_has_closed() {
        let (mut ours, mut theirs) = lingering(true, 60_000);
        ours.write_all(b"no").await.unwrap();
        let closing = tokio::spawn(async move { ours.shutdown().await });
        // Much more than fits between them.
        theirs.write_all(&[7; 100 << 10]).await.unwrap();
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"no");
        assert!(!closing.is_finished());
        drop(theirs);
        timeout(Duration::from_secs(1), closing).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn nobody_is_waited_for_without_end() {
        let (mut ours, theirs) = lingering(true, 50);
        let start = Instant::now();
        ours.shutdown().await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(50));
        drop(theirs);
    }

    #[tokio::test]
    async fn a_connection_that_ends_by_itself_is_closed_at_once() {
        let (mut ours, theirs) = lingering(false, 60_000);
        timeout(Duration::from_secs(5), ours.shutdown()).await.unwrap().unwrap();
        drop(theirs);
    }
}
