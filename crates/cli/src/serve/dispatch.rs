//! From a request to its door: who sends it is settled first, in one place, and only then what is asked for.

mod door;
mod refusal;
mod report;

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use access::trail;
use access::{Peer, Principal, Unauthenticated, about};
use api::Call;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, EXPECT, ORIGIN, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use model::{Clock, Realm};
use tracing::error;
use wire::error::{AuthError, Fault};
use wire::protocol::Protocol;
use wire::sigv4::{self, Credential, Rules, Scope};

pub use self::door::{AskMetrics, AskReady, Doors};
use self::refusal::{closing, unread};
use self::report::{Answered, error_code};
use super::answer::{AnswerBody, BodyFailure, whole};
use super::audit::Audit;
use super::body::{Paced, Watched, read_small};
use super::cors::{self, Cors};
use super::otlp::{Otlp, Parent, Served};
use super::unsigned;

const SERVED: [&str; 5] = ["personalize", "s3", "iam", "sts", "kms"];

/// Takes every request of a server.
pub struct Dispatch {
    pub doors: Doors,
    /// Services that are real ones elsewhere, each with the setting that says so.
    pub elsewhere: Vec<(&'static str, &'static str)>,
    pub realm: Realm,
    pub clock: Arc<dyn Clock>,
    pub cors: Cors,
    /// `None`: no call leaves a line.
    pub audit: Option<Arc<Audit>>,
    /// `None`: nobody is told of spans.
    pub otlp: Option<Arc<Otlp>>,
    /// For how long a client may keep the server waiting for a body.
    pub client_timeout: Duration,
    pub ready: AskReady,
    /// `None`: this address tells nobody.
    pub metrics: Option<AskMetrics>,
}

/// What is known of a caller whose signature is yet to be verified.
struct Claimed {
    scope: Scope,
    protocol: Protocol,
    credential: Credential,
    principal: Principal,
}

impl Dispatch {
    /// Answers any request; a panic of its own answers 500 and harms no other.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<BodyFailure>,
    {
        let start = Instant::now();
        let id = self.clock.uuid();
        // The query stays out of the log: presigned addresses hold signatures there.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = request.into_parts();
        let is_chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        let protocol = unsigned::protocol(&parts);
        let page = self.cors.page(&parts);
        let source = parts.extensions.get::<Peer>().map(|peer| peer.address);
        let parent = self.otlp.as_ref().and_then(|_| Parent::read(&parts.headers));
        let routed = AssertUnwindSafe(self.route(parts, body, &id)).catch_unwind();
        let (routed, trail) = about::request(&id, trail::follow(routed)).await;
        let mut response = routed.unwrap_or_else(|_| {
            error!(request.id = id, "a request of {method} {path} met a bug");
            whole(protocol.fault(&Fault::internal(protocol), &id))
        });
        if let Some(origin) = page.filter(|_| method != Method::OPTIONS) {
            cors::admit(response.headers_mut(), origin);
        }
        // A proxy may have seen another end of such a body: what comes behind it is taken for no request.
        if is_chunked {
            response = closing(response);
        }
        let answered =
            Answered { method, path, status: response.status().as_u16(), duration: start.elapsed() };
        self.report(&id, source, &trail, &response, &answered);
        if let Some(otlp) = &self.otlp {
            let Answered { method, path, status, duration } = &answered;
            let error_code = error_code(&response);
            let (status, duration, request_id) = (*status, *duration, &*id);
            let served = Served { request_id, method, path, status, error_code, source, duration };
            otlp.request(parent.as_ref(), &trail, &served);
        }
        response
    }

    async fn route<B>(&self, mut parts: Parts, body: B, id: &str) -> Response<AnswerBody>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<BodyFailure>,
    {
        if let Some(fault) = refusal::large_head(&parts) {
            return whole(closing(unsigned::protocol(&parts).fault(&fault, id)));
        }
        let claimed = match sigv4::scope(&parts) {
            Ok(None) => return self.unsigned(parts, body, id).await,
            Err(e) => return whole(unsigned::protocol(&parts).refusal(&e, id)),
            Ok(Some(scope)) => {
                trail::claim(&scope.access_key_id, &scope.service);
                let protocol = protocol(&parts, &scope);
                match self.claimed(&parts, scope, protocol).await {
                    Ok(claimed) => claimed,
                    Err(Unauthenticated::Refused(e)) => return whole(protocol.refusal(&e, id)),
                    Err(Unauthenticated::Failed(e)) => {
                        error!(request.id = id, cause = e.chain(), "can't tell who sent a request");
                        return whole(protocol.error(&e, id));
                    }
                }
            }
        };
        let protocol = claimed.protocol;
        let answered = match claimed.scope.service.as_str() {
            "s3" => self.stream(&mut parts, claimed, body, id).await,
            _ => self.call(&mut parts, claimed, body, id).await,
        };
        answered.unwrap_or_else(|fault| whole(closing(protocol.fault(&fault, id))))
    }

    async fn unsigned<B>(&self, parts: Parts, body: B, id: &str) -> Response<AnswerBody>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<BodyFailure>,
    {
        if let Some(answer) = self.cors.preflight(&parts) {
            return whole(answer);
        }
        if parts.method == Method::OPTIONS && parts.headers.contains_key(ORIGIN) {
            return (self.doors.s3_preflight)(parts, id.to_owned()).await;
        }
        if unsigned::is_of_console(&parts) {
            let body = Paced::new(body, self.client_timeout).map_err(io::Error::other).boxed();
            return (self.doors.console)(Request::from_parts(parts, body)).await;
        }
        if let Some(metrics) = &self.metrics
            && unsigned::asks_metrics(&parts)
        {
            return whole(unsigned::metrics((metrics)().await));
        }
        if unsigned::asks_ready(&parts) {
            return whole(unsigned::ready((self.ready)().await));
        }
        whole(unsigned::answer(&parts, id))
    }

    async fn claimed(
        &self,
        parts: &Parts,
        scope: Scope,
        protocol: Protocol,
    ) -> Result<Claimed, Unauthenticated> {
        if !SERVED.contains(&scope.service.as_str()) {
            return Err(AuthError::wrong_service(&scope.service, &SERVED).into());
        }
        if let Some((service, setting)) = self.elsewhere.iter().find(|(service, _)| *service == scope.service)
        {
            return Err(AuthError::served_elsewhere(service, setting).into());
        }
        let token = sigv4::session_token(parts)?;
        let found = (self.doors.credential)(&scope.access_key_id, token.as_deref());
        let (credential, principal) = found.await?;
        Ok(Claimed { scope, protocol, credential, principal })
    }

    async fn stream<B>(
        &self,
        parts: &mut Parts,
        claimed: Claimed,
        body: B,
        id: &str,
    ) -> Result<Response<AnswerBody>, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<BodyFailure>,
    {
        let is_read = Arc::new(AtomicBool::new(false));
        let body = Watched { body: Paced::new(body, self.client_timeout), is_read: is_read.clone() };
        let verified = sigv4::verify(parts, &claimed.credential, &self.rules(), body.boxed());
        let body = verified.map_err(|e| Fault::refusal(&e, claimed.protocol))?;
        self.verified(&claimed);
        let asks_first = parts.headers.contains_key(EXPECT);
        let request = Request::from_parts(parts.clone(), body);
        let response = (self.doors.s3)(claimed.principal, id.to_owned(), request).await;
        // Who was told without a 100 sends no body: what comes next must not be taken for it.
        let is_refused = asks_first && !is_read.load(Ordering::Relaxed);
        Ok(if is_refused { closing(response) } else { response })
    }

    async fn call<B>(
        &self,
        parts: &mut Parts,
        claimed: Claimed,
        body: B,
        id: &str,
    ) -> Result<Response<AnswerBody>, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<BodyFailure>,
    {
        if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            let text = "Bodies must come as they are: no Content-Encoding is supported here.";
            return Err(Fault::new(
                "UnsupportedMediaTypeException",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                text,
            ));
        }
        let body = read_small(body, self.client_timeout).await.map_err(unread)?;
        // Health is anybody's to ask. As a call, it is the least that one can cost: `lade bench put --no-op` makes it.
        if claimed.protocol == Protocol::RestJson && parts.uri.path() == unsigned::LIVE {
            return Ok(whole(unsigned::text("ok\n")));
        }
        let verified = sigv4::verify_whole(parts, &claimed.credential, &self.rules(), &body);
        verified.map_err(|e| Fault::refusal(&e, claimed.protocol))?;
        self.verified(&claimed);
        let call = Call {
            principal: claimed.principal,
            peer: parts.extensions.get::<Peer>().copied(),
            service: claimed.scope.service.clone(),
            is_temporary: claimed.credential.session_token.is_some(),
            request_id: id.to_owned(),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: std::mem::take(&mut parts.headers),
            body,
        };
        Ok(match call.service.as_str() {
            "personalize" => (self.doors.personalize)(call).await,
            "kms" => whole((self.doors.kms)(call).await),
            _ => whole((self.doors.iam)(call).await),
        })
    }

    fn verified(&self, claimed: &Claimed) {
        trail::caller(claimed.principal.arn().as_str());
        (self.doors.key_used)(&claimed.scope.access_key_id, &claimed.scope.service);
    }

    fn rules(&self) -> Rules<'_> {
        Rules { now_ms: self.clock.now_ms(), region: &self.realm.region }
    }
}

/// The protocol of the door that a signature names.
fn protocol(parts: &Parts, scope: &Scope) -> Protocol {
    match scope.service.as_str() {
        "s3" => Protocol::S3,
        "iam" | "sts" => Protocol::Query,
        "kms" => Protocol::Kms,
        "personalize" if parts.headers.contains_key("x-amz-target") || parts.uri.path() == "/" => {
            Protocol::Json11
        }
        "personalize" => Protocol::RestJson,
        // Of a service that is not served: its clients read no XML of S3.
        _ => match unsigned::protocol(parts) {
            Protocol::S3 => Protocol::RestJson,
            protocol => protocol,
        },
    }
}

#[cfg(test)]
pub mod tests;
