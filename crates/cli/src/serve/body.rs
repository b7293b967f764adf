//! Bodies of requests: those that come too slowly are given up, and small ones are read whole.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, Sleep, sleep};

use super::answer::BodyFailure;

/// The most that a request outside S3 may hold, in bytes.
pub const SMALL_MAX: usize = 2 << 20;
/// What a client has to send or take in each second that it is waited for, in bytes.
pub const RATE_MIN: f64 = 1024.0;

/// A body that fails when its sender stalls or drips; time that the reader takes does not count.
pub struct Paced<B> {
    body: B,
    stall_max: Duration,
    stall: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
    waited: Duration,
    received_bytes: u64,
}

impl<B> Paced<B> {
    /// `stall_max` is how long a client may send nothing, and for how long it may send slowly.
    pub fn new(body: B, stall_max: Duration) -> Paced<B> {
        let stall = Box::pin(sleep(stall_max));
        Paced { body, stall_max, stall, waiting_since: None, waited: Duration::ZERO, received_bytes: 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    fn is_too_slow(&mut self, bytes: usize) -> bool {
        self.received_bytes += bytes as u64;
        self.waited += self.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.waited > self.stall_max && (self.received_bytes as f64) < RATE_MIN * self.waited.as_secs_f64()
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

/// A body that tells whether anybody began to read it.
pub struct Watched<B> {
    pub body: B,
    pub is_read: Arc<AtomicBool>,
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.is_read.store(true, Ordering::Relaxed);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn too_slow() -> BodyFailure {
    io::Error::new(io::ErrorKind::TimedOut, "the request's body came too slowly").into()
}

fn is_timeout(failure: &BodyFailure) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyFailure>,
{
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.wait(cx).map(|()| Some(Err(too_slow()))),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let outcome = if self.is_too_slow(bytes) { Err(too_slow()) } else { Ok(frame) };
                Poll::Ready(Some(outcome))
            }
            Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(e.into()))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a body that has to be small.
///
/// # Errors
/// 413 when it is larger than `SMALL_MAX` (unread, where its length was announced), 408 when it came too slowly, 400
/// when it broke off.
pub async fn read_small<B>(body: B, stall_max: Duration) -> Result<Bytes, StatusCode>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyFailure>,
{
    if body.size_hint().lower() > SMALL_MAX as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let read = Limited::new(Paced::new(body, stall_max), SMALL_MAX).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|e| {
        if e.is::<http_body_util::LengthLimitError>() {
            StatusCode::PAYLOAD_TOO_LARGE
        } else if is_timeout(&e) {
            StatusCode::REQUEST_TIMEOUT
        } else {
            StatusCode::BAD_REQUEST
        }
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    fn is_given_up<T>(outcome: &Result<T, BodyFailure>) -> bool {
        outcome.as_ref().is_err_and(is_timeout)
    }

    #[tokio::test]
    async fn a_dripping_body_is_given_up() {
        let drips = futures_util::stream::unfold((), |()| async {
            sleep(SHORT / 10).await;
            Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let start = Instant::now();
        let outcome = Paced::new(Box::pin(StreamBody::new(drips)), SHORT).collect().await;
        assert!(is_given_up(&outcome) && start.elapsed() < SHORT * 10);
    }

    #[tokio::test]
    async fn a_silent_body_is_given_up() {
        let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        assert!(is_given_up(&Paced::new(silent, SHORT).collect().await));
    }

    #[tokio::test]
    async fn a_large_body_is_refused() {
        assert_eq!(
            read_small(Full::new(Bytes::from(vec![0; SMALL_MAX])), SHORT).await.map(|b| b.len()),
            Ok(SMALL_MAX)
        );
        assert_eq!(
            read_small(Full::new(Bytes::from(vec![0; SMALL_MAX + 1])), SHORT).await,
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        );
    }
}
