//! What operations answer: bodies, times, and failures with their codes.

use bytes::Bytes;
use model::{Arn, Error, ErrorKind};
use serde::{Serialize, Serializer};
use wire::error::Fault;
use wire::protocol::Protocol;

/// What a handler returns.
pub type Answer<T> = Result<T, Failure>;

/// A call that was not done.
#[derive(Debug)]
pub enum Failure {
    /// Its kind tells code and status.
    Error(Error),
    /// A code that no kind stands for.
    Fault(Fault),
}

impl Failure {
    /// As a client sees it.
    pub fn fault(&self, protocol: Protocol) -> Fault {
        match self {
            Failure::Error(error) => Fault::of(error, protocol),
            Failure::Fault(fault) => fault.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

/// A time: on the wire a number of seconds with at most three decimals.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub i64);

impl Serialize for Seconds {
    // Milliseconds of this era have 13 digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1000 {
            0 => serializer.serialize_i64(self.0 / 1000),
            _ => serializer.serialize_f64(self.0 as f64 / 1000.0),
        }
    }
}

/// An output shape without members.
#[derive(Serialize)]
pub struct Nothing {}

/// The body of an answer.
pub fn body(output: &impl Serialize) -> Answer<Bytes> {
    let body = serde_json::to_vec(output).map_err(|e| Error::internal("write an answer").caused_by(e))?;
    Ok(body.into())
}

/// `what` is the resource in words, such as `dataset group`.
pub fn not_found(what: &str, arn: &Arn) -> Failure {
    Error::new(ErrorKind::NotFound, format!("The given {what} does not exist: {arn}")).into()
}

/// The name that a new resource was to have is taken.
pub fn already_exists(arn: &Arn) -> Failure {
    let text = format!("Another resource with Amazon Resource Name {arn} already exists.");
    Error::new(ErrorKind::AlreadyExists, text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_plain_decimals_of_seconds() {
        let text = |ms| serde_json::to_string(&Seconds(ms)).unwrap();
        assert_eq!(text(1_542_392_161_837), "1542392161.837");
        assert_eq!(text(1_542_392_161_100), "1542392161.1");
        assert_eq!(text(1_542_392_161_000), "1542392161");
        assert_eq!(text(1), "0.001");
    }

    #[test]
    fn every_millisecond_keeps_its_three_decimals() {
        for ms in (1_790_000_000_001i64..1_790_000_001_000).chain([4_102_444_799_999]) {
            let text = serde_json::to_string(&Seconds(ms)).unwrap();
            let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
            assert!(decimals <= 3 && !text.contains('e'), "{text}");
        }
    }
}
