//! Bodies in chunks (`aws-chunked`): framing undone, signatures and lengths checked, in bounded memory.

use std::collections::VecDeque;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Trailers;
use super::body::{BodyError, BodyErrorKind};
use super::key::SigningKey;
use super::trailer::{Announced, Trailer};

/// A chunk's line holds a size and a signature: about a hundred bytes.
const LINE_MAX: usize = 256;
const TRAILER_MAX: usize = 4096;

/// Undoes the framing of one body.
pub(super) struct Chunked {
    step: Step,
    line: Vec<u8>,
    left: u64,
    signer: Option<ChunkSigner>,
    announced: Option<Announced>,
    trailers: Trailers,
}

/// What comes next in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The line with a chunk's size.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The line break behind a chunk.
    Break,
    /// All that follows the last chunk.
    Trailer,
}

impl Chunked {
    /// `length` is that of the decoded body in bytes; without a `signer` the chunks are not signed.
    pub fn new(
        length: u64,
        signer: Option<ChunkSigner>,
        announced: Option<Announced>,
        trailers: Trailers,
    ) -> Chunked {
        Chunked { step: Step::Size, line: Vec::new(), left: length, signer, announced, trailers }
    }

    /// How many decoded bytes are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes bytes of the body, and hands out the decoded ones.
    pub fn take(&mut self, mut bytes: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), BodyError> {
        while !bytes.is_empty() {
            match self.step {
                Step::Size => self.take_size(&mut bytes)?,
                Step::Data(size) => self.take_data(size, &mut bytes, out)?,
                Step::Break => self.take_break(&mut bytes)?,
                Step::Trailer => self.take_trailer(&mut bytes)?,
            }
        }
        Ok(())
    }

    /// Checks the body's end.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        if self.step != Step::Trailer || self.left > 0 {
            return Err(BodyError::incomplete());
        }
        let trailer = Trailer::parse(&self.line)?;
        match (&self.announced, &mut self.signer) {
            (None, _) if trailer.is_empty() => Ok(()),
            (None, _) => Err(BodyError::malformed("The body goes on behind its last chunk.")),
            (Some(_), None) if trailer.signature().is_some() => {
                Err(BodyError::malformed("An unsigned trailer has a signature."))
            }
            (Some(announced), signer) => {
                if let Some(signer) = signer {
                    signer.check_trailer(&trailer)?;
                }
                // Nobody else sets this cell: it was made for this body.
                let _ = self.trailers.0.set(announced.check(&trailer)?);
                Ok(())
            }
        }
    }

    fn take_size(&mut self, bytes: &mut Bytes) -> Result<(), BodyError> {
        let Some(line) = self.take_line(bytes)? else { return Ok(()) };
        let (size, signature) = match line.split_once(";chunk-signature=") {
            Some((size, signature)) => (size, Some(signature)),
            None => (line.as_str(), None),
        };
        let size = read_size(size)?;
        match (&mut self.signer, signature) {
            (None, None) => {}
            (Some(signer), Some(signature)) => signer.begin(signature),
            _ => return Err(BodyError::malformed("Chunks must be signed exactly when the request says so.")),
        }
        if size > self.left {
            return Err(BodyError::malformed(
                "The body holds more bytes than x-amz-decoded-content-length says.",
            ));
        }
        self.step = if size == 0 { Step::Trailer } else { Step::Data(size) };
        if size == 0 { self.end_chunk() } else { Ok(()) }
    }

    fn take_data(
        &mut self,
        size: u64,
        bytes: &mut Bytes,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), BodyError> {
        let n = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
        let data = bytes.split_to(n);
        if let Some(signer) = &mut self.signer {
            signer.update(&data);
        }
        if let Some(announced) = &mut self.announced {
            announced.update(&data);
        }
        out.push_back(data);
        self.left -= n as u64;
        self.step = Step::Data(size - n as u64);
        if self.step == Step::Data(0) {
            self.step = Step::Break;
            self.end_chunk()?;
        }
        Ok(())
    }

    fn take_break(&mut self, bytes: &mut Bytes) -> Result<(), BodyError> {
        match self.take_line(bytes)? {
            None => {}
            Some(line) if line.is_empty() => self.step = Step::Size,
            Some(_) => return Err(BodyError::malformed("A chunk is longer than its size says.")),
        }
        Ok(())
    }

    fn take_trailer(&mut self, bytes: &mut Bytes) -> Result<(), BodyError> {
        self.line.extend_from_slice(&bytes.split_to(bytes.len().min(TRAILER_MAX + 1)));
        if self.line.len() > TRAILER_MAX {
            Err(BodyError::malformed("The trailing headers are too long."))
        } else {
            Ok(())
        }
    }

    // A line without its end; `None` while the end has not come.
    fn take_line(&mut self, bytes: &mut Bytes) -> Result<Option<String>, BodyError> {
        let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| n + 1);
        if self.line.len() + end > LINE_MAX {
            return Err(BodyError::malformed("A chunk's line is too long."));
        }
        self.line.extend_from_slice(&bytes.split_to(end));
        if self.line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\r\n").and_then(|text| std::str::from_utf8(text).ok());
        text.map(|text| Some(text.to_owned()))
            .ok_or_else(|| BodyError::malformed("A chunk's line can't be read."))
    }

    fn end_chunk(&mut self) -> Result<(), BodyError> {
        self.signer.as_mut().map_or(Ok(()), ChunkSigner::end)
    }
}

fn read_size(text: &str) -> Result<u64, BodyError> {
    let is_hex = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let size = if is_hex { u64::from_str_radix(text, 16).ok() } else { None };
    size.ok_or_else(|| BodyError::malformed("A chunk's size can't be read."))
}

/// Checks the chain of signatures that starts with the request's own.
pub(super) struct ChunkSigner {
    key: SigningKey,
    /// The time and scope of the request, as they are signed with every chunk.
    context: String,
    previous: String,
    claimed: String,
    hasher: Sha256,
}

impl ChunkSigner {
    pub fn new(key: SigningKey, timestamp: &str, scope: &str, seed: &str) -> ChunkSigner {
        let context = format!("{timestamp}\n{scope}");
        ChunkSigner { key, context, previous: seed.to_owned(), claimed: String::new(), hasher: Sha256::new() }
    }

    fn begin(&mut self, signature: &str) {
        self.claimed = signature.to_owned();
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn end(&mut self) -> Result<(), BodyError> {
        let hash = hex::encode(self.hasher.finalize_reset());
        let nothing = hex::encode(Sha256::digest([]));
        let claimed = std::mem::take(&mut self.claimed);
        self.check("AWS4-HMAC-SHA256-PAYLOAD", &format!("{nothing}\n{hash}"), claimed)
    }

    fn check_trailer(&mut self, trailer: &Trailer) -> Result<(), BodyError> {
        let hash = hex::encode(Sha256::digest(trailer.canonical()));
        self.check("AWS4-HMAC-SHA256-TRAILER", &hash, trailer.signature().unwrap_or_default().to_owned())
    }

    fn check(&mut self, algorithm: &str, hashes: &str, claimed: String) -> Result<(), BodyError> {
        let text = format!("{algorithm}\n{}\n{}\n{hashes}", self.context, self.previous);
        let wrong = |e: super::AuthError| BodyError::new(BodyErrorKind::SignatureMismatch, e.message);
        self.key.check(&text, &claimed).map_err(wrong)?;
        self.previous = claimed;
        Ok(())
    }
}
