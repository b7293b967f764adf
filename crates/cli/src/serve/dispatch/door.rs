//! What stands behind the dispatcher.

use std::pin::Pin;

use access::bucket::Arriving;
use access::{Principal, Unauthenticated};
use api::Call;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use wire::sigv4::{self, Credential};

use crate::serve::answer::AnswerBody;

/// A future that a door answers with.
pub type Answering<B> = Pin<Box<dyn Future<Output = Response<B>> + Send>>;

/// The one word that says why the server can't do what it is asked; `None` when it can.
pub type AskReady = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<&'static str>> + Send>> + Send + Sync>;

/// All that is counted, as text.
pub type AskMetrics = Box<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// A call of a door that reads bodies whole.
pub type CallDoor = Box<dyn Fn(Call) -> Answering<Bytes> + Send + Sync>;

/// A call of a door that reads bodies whole, and may answer piece by piece.
pub type LongDoor = Box<dyn Fn(Call) -> Answering<AnswerBody> + Send + Sync>;

/// A call of the S3 door: who, the request's id, and the request.
pub type StreamDoor =
    Box<dyn Fn(Principal, String, Request<sigv4::Body>) -> Answering<AnswerBody> + Send + Sync>;

/// A browser's question, without a signature, about a bucket: the request's head and its id.
pub type PreflightDoor = Box<dyn Fn(Parts, String) -> Answering<AnswerBody> + Send + Sync>;

/// A browser's request for a page.
pub type ConsoleDoor = Box<dyn Fn(Arriving) -> Answering<AnswerBody> + Send + Sync>;

/// Told which access key a verified request bore, and for which service.
pub type KeyUsed = Box<dyn Fn(&str, &str) + Send + Sync>;

/// The secret and the bearer of an access key id, given the token that came with it.
pub type Credentials = Box<dyn for<'a> Fn(&'a str, Option<&'a str>) -> LookingUp<'a> + Send + Sync>;

/// A look for the bearer of a key.
pub type LookingUp<'a> =
    Pin<Box<dyn Future<Output = Result<(Credential, Principal), Unauthenticated>> + Send + 'a>>;

/// All doors, and who tells callers apart.
pub struct Doors {
    pub credential: Credentials,
    pub key_used: KeyUsed,
    pub personalize: LongDoor,
    pub iam: CallDoor,
    pub kms: CallDoor,
    pub s3: StreamDoor,
    pub s3_preflight: PreflightDoor,
    pub console: ConsoleDoor,
}
