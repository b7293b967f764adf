//! What went wrong, and what to do next: one error for every storey; `wire` alone turns kinds into AWS codes.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// Mend the request.
    Invalid,
    /// A paging token that this server did not give, or gave for another list.
    InvalidNextToken,
    /// The body is no JSON, or a member has the wrong JSON type.
    Serialization,
    /// Choose another name.
    AlreadyExists,
    /// Nothing bears this name.
    NotFound,
    /// Wait until the resource has left its state.
    InUse,
    /// A quota is used up.
    LimitExceeded,
    /// The caller may not do this.
    Denied,
    /// Too much at once; clients wait and try again by themselves.
    Throttled,
    /// A disk, store or peer did not answer; try again.
    Unavailable,
    /// Stored data is damaged; call the operator.
    Corrupt,
    /// Our bug.
    Internal,
}

/// An error with the text for whoever made the request, and the cause for the log.
#[derive(Debug)]
pub struct Error {
    pub kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unavailable, message)
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, message)
    }

    /// Keeps what caused this error, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// The text for whoever made the request; hosts, paths and causes are not in it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The whole chain in one line, for the log.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// What an error and all its causes say, in one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|e| &**e as &(dyn StdError + 'static))
    }
}

/// Names what was being done when something failed.
pub trait Context<T> {
    /// The failure becomes the cause of an `Unavailable` error with this text.
    fn unavailable(self, doing: impl FnOnce() -> String) -> Result<T>;

    /// The failure becomes the cause of a `Corrupt` error with this text.
    fn corrupt(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn unavailable(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::unavailable(doing()).caused_by(e))
    }

    fn corrupt(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::corrupt(doing()).caused_by(e))
    }
}
