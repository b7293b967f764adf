//! The way in and out: a verified request becomes one of s3s, its answer a complete one.

use std::path::Path;
use std::sync::Arc;

use access::{Access, Principal};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use model::Clock;
use model::error::{Error, Result};
use percent_encoding::percent_decode_str;
use s3s::dto::Range;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, StdError};

use crate::answer::complete;
use crate::backend::Backend;
use crate::blob::Blobs;
use crate::body::read_small;
use crate::cors::Rules;
use crate::error::{chain, not_offered, refuse_as};
use crate::host::Hosts;
use crate::index::Index;
use crate::integrity::{Stated, header};
use crate::permission::{Gate, NoKeys};

/// The embedded S3 over one folder; a clone is the same store.
#[derive(Clone)]
pub struct Door {
    service: S3Service,
    hosts: Hosts,
    index: Index,
}

impl Door {
    /// Opens the store in `dir`, or makes it, and removes what a crash left there.
    ///
    /// `public_hosts` are the names before which a bucket may stand in a Host header, beside `localhost`.
    /// One process at a time may have a folder open.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses; `Invalid` when a newer program wrote the folder; `Corrupt` when the index
    /// was lost.
    pub async fn open(
        dir: &Path,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        public_hosts: Vec<String>,
    ) -> Result<Door> {
        let blobs = Blobs::open(dir, clock.clone())?;
        let file = dir.join("index.db");
        refuse_lost_index(&blobs, &file).await?;
        let index = Index::open(&file).await?;
        let removed = blobs.sweep(&index).await?;
        if removed > 0 {
            tracing::info!(blobs = removed, "removed {removed} blobs that nothing names");
        }
        let gate = Gate::new(access.clone(), index.clone());
        let hosts = Hosts::new(&public_hosts);
        let mut builder =
            S3ServiceBuilder::new(Backend { access, blobs, clock, gate: gate.clone(), index: index.clone() });
        builder.set_auth(NoKeys);
        builder.set_access(gate);
        builder.set_host(hosts.clone());
        Ok(Door { service: builder.build(), hosts, index })
    }

    /// Serves one request that was verified before; without a principal it is refused.
    ///
    /// The answer's errors are S3's XML and bear `request_id`.
    pub async fn call<B>(
        &self,
        principal: Option<Principal>,
        request_id: String,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let (mut parts, body) = request.into_parts();
        ignore_unreadable_range(&mut parts.headers);
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let page = self.page(&parts).await;
        let answer = match self.intake(&mut parts, principal, body).await {
            Ok(body) => self.serve(Request::from_parts(parts, body)).await,
            Err(error) => refused(error),
        };
        let mut answer = complete(answer, &method, &path, &request_id);
        answer.headers_mut().extend(page.unwrap_or_default());
        answer
    }

    /// Answers a browser that asks, unsigned, whether a page may send a request to a bucket; the bucket's rules say it.
    ///
    /// Source: "Cross-origin resource sharing: request evaluation scenarios". Of a bucket that is not there is said what is
    /// said of one without rules.
    pub async fn preflight(&self, parts: &Parts, request_id: String) -> Response<Body> {
        let (headers, path) = (&parts.headers, parts.uri.path());
        let answer = match (header(headers, "origin"), header(headers, "access-control-request-method")) {
            (None, _) => unclear("Insufficient information. Origin request header needed."),
            (_, None) => unclear("Invalid Access-Control-Request-Method: null"),
            _ => match self.rules(parts).await.map(|rules| rules.preflight(headers)) {
                Some(Some(admitted)) => {
                    let mut answer = Response::new(Body::empty());
                    *answer.headers_mut() = admitted;
                    answer
                }
                Some(None) => forbidden(NOT_ALLOWED),
                None => forbidden("CORSResponse: CORS is not enabled for this bucket."),
            },
        };
        complete(answer, &parts.method, path, &request_id)
    }

    /// The headers by which a page may read the answer to its request.
    async fn page(&self, parts: &Parts) -> Option<HeaderMap> {
        parts.headers.get(http::header::ORIGIN)?;
        self.rules(parts).await?.answer(&parts.headers, parts.method.as_str())
    }

    async fn rules(&self, parts: &Parts) -> Option<Rules> {
        let bucket = self.bucket(parts)?;
        let rules = self.index.bucket(&bucket).await.ok()?.cors?;
        Rules::from_json(&rules).inspect_err(|e| tracing::error!(cause = %chain(e), "no rules for CORS")).ok()
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        self.service.call(request).await.unwrap_or_else(|cause| {
            let cause: StdError = cause.into();
            tracing::error!(cause = %cause, "a request to the object store could not be answered");
            refused(S3Error::new(S3ErrorCode::InternalError))
        })
    }

    /// The body for s3s: that of an object as a stream, any other whole and checked.
    async fn intake<B>(&self, parts: &mut Parts, principal: Option<Principal>, body: B) -> S3Result<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        // Without a principal the gate refuses; not a byte of the body is read.
        let Some(principal) = principal else { return Ok(Body::empty()) };
        parts.extensions.insert(principal);
        if is_form(&parts.headers) {
            return Err(not_offered("This server's object store does not offer uploads by HTML form."));
        }
        if parts.method == Method::PUT && self.names_object(parts) {
            return Ok(Body::http_body_unsync(body.map_err(Into::into)));
        }
        // CompleteMultipartUpload's checksum headers speak of the object.
        let completes = parts.uri.query().is_some_and(|query| query.contains("uploadId="));
        let stated = if completes { Stated::md5_only(&parts.headers) } else { Stated::new(&parts.headers) };
        read_small(body, &parts.headers, &stated?).await.map(Body::from)
    }

    fn bucket(&self, parts: &Parts) -> Option<String> {
        let in_host = header(&parts.headers, "host").and_then(|host| self.hosts.bucket(host));
        in_host.or_else(|| {
            let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
            let bucket = path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
            (!bucket.is_empty()).then_some(bucket)
        })
    }

    fn names_object(&self, parts: &Parts) -> bool {
        let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
        let path = path.trim_start_matches('/');
        match header(&parts.headers, "host").and_then(|host| self.hosts.bucket(host)) {
            Some(_) => !path.is_empty(),
            None => path.split_once('/').is_some_and(|(_, key)| !key.is_empty()),
        }
    }
}

// With a new index in the lost one's place, the sweep would remove every object.
async fn refuse_lost_index(blobs: &Blobs, file: &Path) -> Result<()> {
    if !file.exists() && !blobs.is_empty().await? {
        let text = "The index of objects, index.db, is gone while the bytes of objects are there: \
                    restore it from a backup, or move the folder of blobs away.";
        return Err(Error::corrupt(text));
    }
    Ok(())
}

// S3 gives the whole object for several ranges, and for those it cannot read.
fn ignore_unreadable_range(headers: &mut HeaderMap) {
    if headers.contains_key("range")
        && header(headers, "range").is_none_or(|text| Range::parse(text).is_err())
    {
        headers.remove("range");
    }
}

const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, \
                           request method / Access-Control-Request-Method or Access-Control-Request-Headers are not \
                           whitelisted by the resource's CORS spec.";

fn unclear(text: &str) -> Response<Body> {
    refused(refuse_as("BadRequest", StatusCode::BAD_REQUEST, text))
}

fn forbidden(text: &str) -> Response<Body> {
    refused(refuse_as("AccessForbidden", StatusCode::FORBIDDEN, text))
}

fn is_form(headers: &HeaderMap) -> bool {
    header(headers, "content-type")
        .is_some_and(|text| text.to_ascii_lowercase().starts_with("multipart/form-data"))
}

fn refused(error: S3Error) -> Response<Body> {
    let fallback = |_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    };
    error.to_http_response().unwrap_or_else(fallback)
}
