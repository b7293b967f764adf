//! The door of Personalize: finds the operation, checks, asks for permission, does it, answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use access::{Access, trail};
use bytes::Bytes;
use catalog::Catalog;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use model::{Clock, Error, ErrorKind, Realm, Result};
use store::Objects;
use store::log::Log;
use tokio::sync::{Notify, Semaphore};
use tracing::{debug, error};
use wire::error::Fault;
use wire::protocol::{Protocol, json11, rest_json};
use wire::shape;

use crate::call::Call;
use crate::events::rate::Rates;
use crate::events::request::read_tree;
use crate::events::targets::Targets;
use crate::lade::Pieces;
use crate::lade::event::STREAMS_MAX;
use crate::lade::record::ReadRecords;
use crate::lade::user::ReadUser;
use crate::operation::{Asked, Handler, Operation, by_path, by_target};
use crate::paging::PagingKey;
use crate::reply::{self, Answer, Failure};
use crate::{events, lade, measured, permission, shapes};

/// What the door works with.
pub struct ApiParts {
    pub catalog: Catalog,
    pub log: Arc<Log>,
    pub objects: Objects,
    pub access: Arc<Access>,
    pub clock: Arc<dyn Clock>,
    pub realm: Realm,
    /// Rung when a job was created.
    pub bell: Arc<Notify>,
}

/// The control plane and the events service.
pub struct Api {
    pub(crate) catalog: Catalog,
    pub(crate) log: Arc<Log>,
    pub(crate) objects: Objects,
    pub(crate) access: Arc<Access>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) realm: Realm,
    pub(crate) bell: Arc<Notify>,
    pub(crate) paging: PagingKey,
    pub(crate) targets: Targets,
    pub(crate) rates: Rates,
    /// Places for callers that watch.
    pub(crate) watchers: Arc<Semaphore>,
    is_closing: AtomicBool,
    pub(crate) user_reader: OnceLock<ReadUser>,
    pub(crate) record_reader: OnceLock<ReadRecords>,
}

const TARGET_PREFIX: &str = "AmazonPersonalize.";

impl Api {
    pub fn new(parts: ApiParts) -> Api {
        let ApiParts { catalog, log, objects, access, clock, realm, bell } = parts;
        let paging = PagingKey::new(&realm);
        let (targets, rates) = Default::default();
        let (watchers, is_closing) = (Arc::new(Semaphore::new(STREAMS_MAX)), AtomicBool::new(false));
        Api {
            watchers,
            is_closing,
            user_reader: OnceLock::new(),
            record_reader: OnceLock::new(),
            catalog,
            log,
            objects,
            access,
            clock,
            realm,
            bell,
            paging,
            targets,
            rates,
        }
    }

    /// Says who reads the records of a user, once there is somebody.
    pub fn set_user_reader(&self, reader: ReadUser) {
        // The first one stays.
        drop(self.user_reader.set(reader));
    }

    /// Says who looks records up, once there is somebody.
    pub fn set_record_reader(&self, reader: ReadRecords) {
        // The first one stays.
        drop(self.record_reader.set(reader));
    }

    /// Sends away who watches: the server stops.
    pub fn close_streams(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Forgets what puts have learnt about datasets; for whoever changes a dataset behind this door's back.
    pub fn forget_datasets(&self) {
        self.targets.forget();
    }

    /// Writes down how many records were put since the last time; to be called now and then, and in the end.
    ///
    /// # Errors
    /// `Unavailable` when the catalog can't be written; the counts wait for the next time.
    pub async fn write_put_counts(&self) -> Result<()> {
        let written = self.targets.counts.write(&self.catalog, self.clock.now_ms()).await;
        written.inspect_err(|_| measured::counts_late())
    }

    /// Answers a call; every outcome is a response.
    pub fn call(&self, call: Call) -> BoxFuture<'_, Response<Bytes>> {
        // Boxed: async code is compiled where it is polled, and belongs to this crate.
        Box::pin(self.serve(call))
    }

    async fn serve(&self, call: Call) -> Response<Bytes> {
        let (protocol, asked) = find(&call);
        let name = asked.name();
        trail::operation(name);
        let answer = self.answer(asked, &call).await;
        report(name, &answer);
        match answer {
            Ok(body) if protocol == Protocol::Json11 => json11(StatusCode::OK, body, &call.request_id),
            Ok(body) => rest_json(StatusCode::OK, body, &call.request_id),
            Err(failure) => protocol.fault(&failure.fault(protocol), &call.request_id),
        }
    }

    /// Answers a call whose answer may be long, piece by piece; `None` for all others, which `call` answers.
    pub fn stream<'a>(self: &'a Arc<Self>, call: &'a Call) -> BoxFuture<'a, Option<Response<Pieces>>> {
        Box::pin(self.open(call))
    }

    async fn open(self: &Arc<Self>, call: &Call) -> Option<Response<Pieces>> {
        let path = Some(call.path.as_str()).filter(|_| !call.headers.contains_key("x-amz-target"));
        let asked = lade::long_by_path(&call.method, path?)?;
        trail::operation(asked.name());
        let answer = lade::open(self, &asked, call).await;
        report(asked.name(), &answer);
        Some(match answer {
            Ok(pieces) => {
                let head = rest_json(StatusCode::OK, Bytes::new(), &call.request_id);
                let mut response = head.map(|_| pieces);
                let kind = HeaderValue::from_static(asked.content_type());
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(failure) => {
                let protocol = Protocol::RestJson;
                let refused = protocol.fault(&failure.fault(protocol), &call.request_id);
                refused.map(|body| Box::pin(futures_util::stream::iter([Ok(body)])) as Pieces)
            }
        })
    }

    async fn answer(&self, asked: Asked, call: &Call) -> Answer<Bytes> {
        match asked {
            Asked::Operation(operation) => self.perform(operation, call).await,
            Asked::EmptyList(name, member) => {
                check_readable(call)?;
                permission::authorize_any(self, call, &format!("personalize:{name}")).await?;
                reply::body(&serde_json::json!({ member: [] }))
            }
            Asked::NotOffered(name) => {
                check_readable(call)?;
                permission::authorize_any(self, call, &format!("personalize:{name}")).await?;
                Err(Error::invalid(format!("The operation {name} is not offered by this version.")).into())
            }
            Asked::Lade(asked) => lade::answer(self, asked, call).await,
            Asked::Unknown => Err(unknown(call)),
        }
    }

    async fn perform(&self, operation: &Operation, call: &Call) -> Answer<Bytes> {
        let Handler::Json(handler) = operation.handler else {
            let input = events::request::read_events(&call.body)?;
            trail::resource(&input.tracking_id);
            permission::authorize_any(self, call, &operation.action()).await?;
            return events::put_events(self, &call.body, input).await.map(|()| Bytes::new());
        };
        let input = read_tree(&call.body)?;
        shape::check(operation.input, &input)?;
        permission::check(self, call, operation, &input).await?;
        handler(self, input).await
    }
}

// A target decides, whatever the path; without one the path does.
fn find(call: &Call) -> (Protocol, Asked) {
    let is_post = call.method == Method::POST;
    let Some(target) = call.headers.get("x-amz-target") else {
        if let Some(asked) = lade::by_path(&call.method, &call.path) {
            return (Protocol::RestJson, Asked::Lade(asked));
        }
        let protocol = if call.path == "/" { Protocol::Json11 } else { Protocol::RestJson };
        return (protocol, if is_post { by_path(&call.path) } else { Asked::Unknown });
    };
    let name = target.to_str().ok().and_then(|target| target.strip_prefix(TARGET_PREFIX));
    (Protocol::Json11, name.filter(|_| is_post).map_or(Asked::Unknown, by_target))
}

fn unknown(call: &Call) -> Failure {
    let has_target = call.headers.contains_key("x-amz-target");
    let (status, message) = match (has_target, call.path.as_str()) {
        (true, _) => (StatusCode::BAD_REQUEST, "The operation in X-Amz-Target is unknown.".to_owned()),
        (false, "/") => {
            (StatusCode::BAD_REQUEST, "The request names no operation: X-Amz-Target is missing.".to_owned())
        }
        (false, path) => (StatusCode::NOT_FOUND, format!("There is no operation at {} {path}.", call.method)),
    };
    Failure::Fault(Fault::new("UnknownOperationException", status, message))
}

// Of what is not offered no more is asked than that it is a request.
fn check_readable(call: &Call) -> Result<()> {
    shape::check(&shapes::ANYTHING, &read_tree(&call.body)?)
}

impl Asked {
    fn name(&self) -> &'static str {
        match self {
            Asked::Operation(operation) => operation.name,
            Asked::EmptyList(name, _) | Asked::NotOffered(name) => name,
            Asked::Lade(asked) => asked.name(),
            Asked::Unknown => "unknown",
        }
    }
}

// Bodies, names and values of records stay out of the log. The line that a call has comes from whoever answers it.
fn report<T>(operation: &str, answer: &Answer<T>) {
    match answer {
        Ok(_) => debug!(operation, "done: {operation}"),
        Err(Failure::Error(e)) if is_ours(e.kind) => {
            error!(operation, cause = e.chain(), "failed: {operation}");
        }
        Err(Failure::Error(e)) => debug!(operation, kind = ?e.kind, "refused: {operation}"),
        Err(Failure::Fault(fault)) => {
            debug!(operation, code = fault.code, "refused: {operation}")
        }
    }
}

fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal)
}

#[cfg(test)]
mod tests;
