//! The body of a verified request: what it yields was signed, and its last bytes come only when all of it held true.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use sha2::{Digest, Sha256};

use super::chunked::Chunked;

/// A body as it comes from the network.
pub type Raw = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A body that is decoded and verified while it is read.
///
/// The last piece is held back until the hash, the signatures and the trailing checksum were found to fit, so a
/// reader that got as many bytes as were announced has got true ones.
pub struct Body {
    raw: Raw,
    check: Check,
    ready: VecDeque<Bytes>,
    is_done: bool,
}

enum Check {
    None,
    Hash { hasher: Sha256, expected: [u8; 32] },
    Chunked(Box<Chunked>),
}

/// What was wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyErrorKind {
    /// It ended early, or the connection broke.
    Incomplete,
    /// Its chunks or trailing headers can't be read.
    Malformed,
    /// Its hash is not the signed one.
    HashMismatch,
    /// A chunk's or the trailer's signature does not fit.
    SignatureMismatch,
    /// The checksum in its trailing header does not fit.
    ChecksumMismatch,
}

/// A body that broke off or is not what was signed.
#[derive(Debug)]
pub struct BodyError {
    pub kind: BodyErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BodyError {
    pub(super) fn new(kind: BodyErrorKind, message: impl Into<String>) -> BodyError {
        BodyError { kind, message: message.into(), source: None }
    }

    pub(super) fn malformed(message: impl Into<String>) -> BodyError {
        BodyError::new(BodyErrorKind::Malformed, message)
    }

    pub(super) fn incomplete() -> BodyError {
        BodyError::new(BodyErrorKind::Incomplete, "The request body terminated unexpectedly.")
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| &**e as &(dyn std::error::Error + 'static))
    }
}

impl Body {
    pub fn empty() -> Body {
        Body::unsigned(Empty::new().map_err(|never| match never {}).boxed())
    }

    pub(super) fn unsigned(raw: Raw) -> Body {
        Body { raw, check: Check::None, ready: VecDeque::new(), is_done: false }
    }

    /// `None` when there is no body and another hash than that of nothing.
    pub(super) fn hashed(raw: Raw, expected: [u8; 32]) -> Option<Body> {
        let nothing: [u8; 32] = Sha256::digest([]).into();
        let is_true = !raw.is_end_stream() || nothing == expected;
        let check = Check::Hash { hasher: Sha256::new(), expected };
        is_true.then(|| Body { check, ..Body::unsigned(raw) })
    }

    pub(super) fn chunked(raw: Raw, chunked: Chunked) -> Body {
        Body { check: Check::Chunked(Box::new(chunked)), ..Body::unsigned(raw) }
    }

    fn take(&mut self, data: Bytes) -> Result<(), BodyError> {
        match &mut self.check {
            Check::Chunked(chunked) => return chunked.take(data, &mut self.ready),
            Check::Hash { hasher, .. } => hasher.update(&data),
            Check::None => {}
        }
        if !data.is_empty() {
            self.ready.push_back(data);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        match &mut self.check {
            Check::None => Ok(()),
            Check::Chunked(chunked) => chunked.finish(),
            Check::Hash { hasher, expected } => {
                let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
                let found: [u8; 32] = hasher.finalize_reset().into();
                if found == *expected {
                    Ok(())
                } else {
                    Err(BodyError::new(BodyErrorKind::HashMismatch, text))
                }
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.ready.clear();
        self.is_done = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::unsigned(Full::new(bytes).map_err(|never| match never {}).boxed())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            // One piece stays behind until the end was verified.
            let is_held = !self.is_done && self.ready.len() < 2 && !matches!(self.check, Check::None);
            if !is_held && let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            let step = match ready!(Pin::new(&mut self.raw).poll_frame(cx)) {
                // The protocol's own trailers are nobody's business: S3 has its own, inside the body.
                Some(Ok(frame)) => frame.into_data().map_or(Ok(()), |data| self.take(data)),
                Some(Err(source)) => Err(BodyError { source: Some(source), ..BodyError::incomplete() }),
                None => {
                    self.is_done = true;
                    self.finish()
                }
            };
            if let Err(error) = step {
                return self.fail(error);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_at_end = self.is_done || matches!(self.check, Check::None) && self.raw.is_end_stream();
        self.ready.is_empty() && is_at_end
    }

    fn size_hint(&self) -> SizeHint {
        let waiting: u64 = self.ready.iter().map(|piece| piece.len() as u64).sum();
        match &self.check {
            _ if self.is_done => SizeHint::with_exact(waiting),
            Check::Chunked(chunked) => SizeHint::with_exact(chunked.left() + waiting),
            Check::None | Check::Hash { .. } => {
                let hint = self.raw.size_hint();
                hint.exact().map_or_else(SizeHint::new, |left| SizeHint::with_exact(left + waiting))
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
