//! The bytes of an object on their way from a store.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use model::error::Context;
use model::{Error, Result};

/// How long a store may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// The bytes of an object, piece by piece.
#[derive(Debug)]
pub struct Body {
    stream: ByteStream,
    /// The bytes that are still to come, where the store said how many.
    left: Option<u64>,
    location: String,
}

impl Body {
    pub(super) fn new(stream: ByteStream, left: Option<u64>, location: String) -> Body {
        Body { stream, left, location }
    }

    /// The same bytes, of which there have to be as many as a list said.
    ///
    /// # Errors
    /// `Unavailable` when the store announced another number.
    pub fn of_size(self, size: u64) -> Result<Body> {
        match self.left {
            Some(left) if left != size => Err(Error::unavailable(format!(
                "{} was listed with {size} bytes, but the store sends {left}",
                self.location
            ))),
            _ => Ok(Body { left: Some(size), ..self }),
        }
    }

    /// The next piece; `None` when all bytes that were announced have come.
    ///
    /// # Errors
    /// `Unavailable` when the transfer breaks off, ends early, falls silent, or its checksum is wrong.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let reading = || format!("read {}", self.location);
        let piece = tokio::time::timeout(SILENCE, self.stream.next()).await.unavailable(reading)?;
        let piece = piece.transpose().unavailable(reading)?;
        let length = piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match (&piece, self.left) {
            (None, Some(left)) if left > 0 => Err(self.wrong_length(&format!("{left} bytes too early"))),
            (Some(_), Some(left)) if length > left => Err(self.wrong_length("too late")),
            (_, left) => {
                self.left = left.map(|left| left - length);
                Ok(piece)
            }
        }
    }

    /// All bytes at once; for small objects.
    ///
    /// # Errors
    /// As `next`; `Invalid` when there are more than `size_max`.
    pub async fn collect(mut self, size_max: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > size_max {
                return Err(Error::invalid(format!("{} has more than {size_max} bytes", self.location)));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    fn wrong_length(&self, what: &str) -> Error {
        Error::unavailable(format!("the transfer of {} ended {what}", self.location))
    }
}
