//! The body of an answer, of whichever door, and what is kept until its last byte was sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use api::lade::Pieces;
use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

/// Any failure of a body.
pub type BodyFailure = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, BodyFailure>;

/// An answer that is in memory as a whole.
pub fn whole(response: Response<Bytes>) -> Response<AnswerBody> {
    response.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}

/// A body that comes piece by piece.
pub fn pieces(pieces: Pieces) -> AnswerBody {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data).map_err(BodyFailure::from))).boxed_unsync()
}

/// A body that keeps `T` until it was sent or given up.
pub struct Keeping<T> {
    body: AnswerBody,
    _kept: T,
}

impl<T> Keeping<T> {
    pub fn new(body: AnswerBody, kept: T) -> Keeping<T> {
        Keeping { body, _kept: kept }
    }
}

impl<T: Unpin> Body for Keeping<T> {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
