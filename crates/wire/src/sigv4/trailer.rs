//! The trailing headers of a chunked body: announced in advance, read at the end, held against the bytes.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq;

use super::body::{BodyError, BodyErrorKind};
use super::checksum::Checksum;
use super::refusal::{AuthError, AuthErrorKind};
use super::scope::single;

const SIGNATURE: &str = "x-amz-trailer-signature";

/// The checksum that a request announced for its body's end.
pub(super) struct Announced {
    name: String,
    checksum: Checksum,
}

impl Announced {
    /// # Errors
    /// When x-amz-trailer is missing or names anything but one known checksum.
    pub fn of(parts: &Parts) -> Result<Announced, AuthError> {
        let name = single(&parts.headers, "x-amz-trailer")?.unwrap_or_default().trim().to_ascii_lowercase();
        let unknown = || {
            AuthError::new(
                AuthErrorKind::UnknownPayload,
                "The value of the x-amz-trailer header is not supported.",
            )
        };
        let checksum = Checksum::of_header(&name).ok_or_else(unknown)?;
        Ok(Announced { name, checksum })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
    }

    /// Holds the trailer against the bytes that went by, and gives it as headers.
    ///
    /// # Errors
    /// `Malformed` when it is not the announced one, `ChecksumMismatch` when the value is another.
    pub fn check(&self, trailer: &Trailer) -> Result<HeaderMap, BodyError> {
        let [(name, value)] = trailer.lines.as_slice() else {
            return Err(BodyError::malformed(
                "The body must end with the one trailing header that was announced.",
            ));
        };
        if *name != self.name {
            return Err(BodyError::malformed(format!(
                "The trailing header {} was announced and is missing.",
                self.name
            )));
        }
        if !bool::from(self.checksum.text().as_bytes().ct_eq(value.as_bytes())) {
            let text = format!("The {name} you specified did not match the calculated checksum.");
            return Err(BodyError::new(BodyErrorKind::ChecksumMismatch, text));
        }
        let header = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value).ok());
        Ok(HeaderMap::from_iter(header))
    }
}

/// A trailer as it was read: its lines, and the signature over them.
#[derive(Debug, Default)]
pub(super) struct Trailer {
    lines: Vec<(String, String)>,
    signature: Option<String>,
}

impl Trailer {
    /// Reads all that follows the last chunk. Lines end with a line feed, before which a carriage return may stand.
    pub fn parse(bytes: &[u8]) -> Result<Trailer, BodyError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| BodyError::malformed("The trailing headers are not text."))?;
        let mut trailer = Trailer::default();
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = || BodyError::malformed("A trailing header lacks its colon.");
            let (name, value) = line.split_once(':').ok_or_else(colon)?;
            trailer.push(name.to_ascii_lowercase(), value.trim_matches(' ').to_owned())?;
        }
        Ok(trailer)
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.signature.is_none()
    }

    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The lines as they are signed.
    pub fn canonical(&self) -> String {
        self.lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect()
    }

    fn push(&mut self, name: String, value: String) -> Result<(), BodyError> {
        let is_repeated = match name.as_str() {
            SIGNATURE => self.signature.replace(value).is_some(),
            _ => {
                self.lines.push((name, value));
                false
            }
        };
        if is_repeated { Err(BodyError::malformed("The trailer is signed twice.")) } else { Ok(()) }
    }
}
