//! The operations, a file for each kind.

pub mod attributes;
pub mod bucket;
pub mod copy;
pub mod cors;
pub mod delete;
pub mod encryption;
pub mod get;
pub mod list;
pub mod list_uploads;
pub mod part;
pub mod policy;
pub mod put;
pub mod receive;
pub mod settings;
pub mod source;
pub mod tagging;
pub mod upload;

use http::HeaderMap;
use s3s::dto::{ETag, ETagCondition, Owner};
use s3s::{S3ErrorCode, S3Response, S3Result};

use crate::backend::Backend;
use crate::caller::Caller;
use crate::error::{not_offered, refuse};
use crate::index::object::{Condition, no_such_key};
use crate::integrity::header;

fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

/// The condition of a write, from `If-Match` and `If-None-Match`.
///
/// # Errors
/// `InvalidArgument` for what is no ETag; `NotImplemented` for `If-None-Match` with one, as S3 answers.
fn condition(headers: &HeaderMap) -> S3Result<Condition> {
    let absent = match header(headers, "if-none-match") {
        None => false,
        Some("*") => true,
        Some(_) => return Err(not_offered("If-None-Match of a write may be * alone.")),
    };
    let read = |text: &str| {
        let parsed = ETagCondition::parse_http_header(text.as_bytes());
        parsed.map_err(|_| refuse(S3ErrorCode::InvalidArgument, "The If-Match header is no ETag."))
    };
    Ok(Condition { absent, matches: header(headers, "if-match").map(read).transpose()? })
}

/// The refusal for a key that is not there: only who may list the bucket learns that.
async fn missing(backend: &Backend, caller: &Caller, bucket: &str) -> s3s::S3Error {
    match backend.gate.permit_bucket(caller, "s3:ListBucket", bucket).await {
        Ok(()) => no_such_key(),
        Err(error) => error,
    }
}

fn etag(value: &str) -> Option<ETag> {
    Some(ETag::Strong(value.to_owned()))
}

fn owner(backend: &Backend) -> Owner {
    Owner { display_name: None, id: Some(backend.access.realm.account.clone()) }
}

/// The number that a client asks for, or the most that a page holds.
fn page_size(asked: Option<i32>) -> usize {
    asked.map_or(1000, |asked| usize::try_from(asked).unwrap_or(0).min(1000))
}

/// A count as S3 writes it.
fn count(n: usize) -> Option<i32> {
    i32::try_from(n).ok()
}
