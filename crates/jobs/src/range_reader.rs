//! A range of an object as bytes one after the other: asked for anew, from where it stood, when a connection breaks.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use access::Bucket;
use access::bucket::{Body, ObjectHead};
use bytes::{Buf, Bytes};
use engine::Progress;
use model::error::{ErrorKind, Result};
use tokio::runtime::Handle;
use tracing::warn;

use crate::patience::unless_stopped;

/// Behind the end that was asked for, so much at once.
const MORE_BYTES: u64 = 1 << 20;
/// After which a range is asked for again, doubled each time,
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// up to this: about 4 seconds together.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// The bytes of an object from some place on, up to its end if they are asked for.
pub struct RangeReader {
    pub bucket: Bucket,
    pub key: String,
    /// The object must still have it; empty: any will do.
    pub etag: String,
    /// Where the next byte stands that is given out.
    pub next: u64,
    /// The end of what is asked for at once.
    pub end: u64,
    pub size: u64,
    pub progress: Arc<Progress>,
    pub handle: Handle,
    body: Option<Body>,
    piece: Bytes,
}

/// Which bytes of an object are wanted.
pub struct Wanted<'a> {
    pub key: &'a str,
    pub etag: &'a str,
    pub begin: u64,
    pub end: u64,
    /// Of the whole object.
    pub size: u64,
}

impl RangeReader {
    /// Asks for the range, so that what a store says of it is known; nothing is asked of an object without bytes there.
    ///
    /// # Errors
    /// Those of `Bucket::get`; `Unavailable` when the work was stopped.
    pub fn open(
        bucket: &Bucket,
        wanted: &Wanted<'_>,
        progress: &Arc<Progress>,
        handle: &Handle,
    ) -> Result<(ObjectHead, RangeReader)> {
        let Wanted { key, etag, begin, end, size } = *wanted;
        let mut reader = RangeReader {
            bucket: bucket.clone(),
            key: key.to_owned(),
            etag: etag.to_owned(),
            next: begin,
            end: end.min(size),
            size,
            progress: progress.clone(),
            handle: handle.clone(),
            body: None,
            piece: Bytes::new(),
        };
        let head = if begin < size { reader.patiently(RangeReader::ask)? } else { ObjectHead::default() };
        Ok((head, reader))
    }

    fn ask(&mut self) -> Result<ObjectHead> {
        let end = if self.next < self.end { self.end } else { self.size.min(self.next + MORE_BYTES) };
        let if_match = (!self.etag.is_empty()).then_some(self.etag.as_str());
        let asking =
            unless_stopped(&self.progress, self.bucket.get(&self.key, Some(self.next..end), if_match));
        let (head, body) = self.handle.block_on(asking)?;
        self.body = Some(body);
        Ok(head)
    }

    // True: there is a piece, or nothing more at all.
    fn advance(&mut self) -> Result<bool> {
        let Some(body) = &mut self.body else {
            return match self.next < self.size {
                true => self.ask().map(|_| false),
                false => Ok(true),
            };
        };
        match self.handle.block_on(unless_stopped(&self.progress, body.next()))? {
            Some(piece) => self.piece = piece,
            None => self.body = None,
        }
        Ok(!self.piece.is_empty())
    }

    fn patiently<T>(&mut self, mut what: impl FnMut(&mut RangeReader) -> Result<T>) -> Result<T> {
        let mut delay = FIRST_DELAY;
        loop {
            match what(self) {
                Err(cause) if cause.kind == ErrorKind::Unavailable && delay <= DELAY_MAX => {
                    self.progress.check()?;
                    warn!(error = %cause.chain(), "an object is read on from where it stood");
                    self.body = None;
                    std::thread::sleep(delay);
                    delay *= 2;
                }
                done => return done,
            }
        }
    }
}

impl Read for RangeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.patiently(RangeReader::advance).map_err(io::Error::other)? && self.piece.is_empty() {
                return Ok(0);
            }
        }
        let n = out.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut out[..n]);
        self.next += n as u64;
        Ok(n)
    }
}
