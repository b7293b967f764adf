//! Reading: an object's row and its bytes as of one moment, under the conditions of the request.

use std::ops::Range as Span;

use http::HeaderMap;
use s3s::dto::{ETagCondition, Range, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::missing;
use crate::backend::Backend;
use crate::blob::Reader;
use crate::caller::Caller;
use crate::encryption;
use crate::error::refuse;
use crate::headers::{http_date, seconds, timestamp};
use crate::index::object::{Object, precondition_failed};

/// What must hold for a read.
#[derive(Default)]
pub struct Condition {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    NotModified,
    Failed,
}

impl Condition {
    /// Source: GetObject, an ETag that is compared outweighs the date beside it.
    pub fn judge(&self, object: &Object) -> Verdict {
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == object.etag,
        };
        let newer = |than: &Timestamp| object.modified_ms > seconds(than);
        let matches = self.if_match.as_ref().map(same);
        let unmodified = self.if_unmodified_since.as_ref().is_none_or(|time| !newer(time));
        if !matches.unwrap_or(unmodified) {
            return Verdict::Failed;
        }
        let differs = self.if_none_match.as_ref().map(|condition| !same(condition));
        let modified = self.if_modified_since.as_ref().is_none_or(newer);
        if differs.unwrap_or(modified) { Verdict::Holds } else { Verdict::NotModified }
    }

    /// # Errors
    /// `PreconditionFailed`, or a `304` that carries the object's ETag.
    pub fn check(&self, object: &Object) -> S3Result<()> {
        match self.judge(object) {
            Verdict::Holds => Ok(()),
            Verdict::Failed => Err(precondition_failed()),
            Verdict::NotModified => Err(not_modified(object)),
        }
    }

    /// # Errors
    /// `PreconditionFailed`: a copy has no other answer.
    pub fn check_for_copy(&self, object: &Object) -> S3Result<()> {
        if self.judge(object) == Verdict::Holds { Ok(()) } else { Err(precondition_failed()) }
    }
}

/// The bytes that a Range header asks for; all of them without one.
///
/// # Errors
/// `InvalidRange`.
pub fn resolve(range: Option<Range>, size: u64) -> S3Result<Span<u64>> {
    let Some(range) = range else { return Ok(0..size) };
    let found = range.check(size).ok().filter(|bytes| !bytes.is_empty());
    found.ok_or_else(|| {
        let mut error = refuse(S3ErrorCode::InvalidRange, "The requested range is not satisfiable.");
        error.set_headers(header_map("content-range", &format!("bytes */{size}")));
        error
    })
}

/// Opens an object's bytes: `choose` sees the row and says which.
///
/// # Errors
/// Those of `choose` and of the object's key; `NoSuchKey`, or `AccessDenied` for who may not list the bucket.
pub async fn open(
    backend: &Backend,
    caller: &Caller,
    (bucket, key): (&str, &str),
    choose: impl FnOnce(&Object) -> S3Result<Span<u64>>,
) -> S3Result<(Object, Span<u64>, Reader)> {
    let gate = backend.blobs.gate().await;
    let chosen = |object: &Object| choose(object).map(|bytes| (bytes.clone(), bytes));
    let found = backend.index.object_slices(bucket, key, chosen).await?;
    let pinned = found.map(|(object, bytes, slices)| {
        let pin = backend.blobs.pin(slices.iter().map(|slice| slice.blob.clone()).collect());
        (object, bytes, slices, pin)
    });
    drop(gate);
    match pinned {
        Some((object, bytes, slices, pin)) => {
            let sealed = object.encryption.as_ref();
            let data_key = encryption::open(backend, &caller.principal, (bucket, key), sealed).await?;
            Ok((object, bytes, Reader::new(&backend.blobs, slices, pin, data_key)))
        }
        None => Err(missing(backend, caller, bucket).await),
    }
}

fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = header_map("etag", &format!("\"{}\"", object.etag));
    if let Some(date) = http_date(&timestamp(object.modified_ms)) {
        headers.extend(header_map("last-modified", &date));
    }
    error.set_headers(headers);
    error
}

fn header_map(name: &'static str, value: &str) -> HeaderMap {
    value
        .parse()
        .map(|value| HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Algorithm, Checksum};

    fn object() -> Object {
        Object {
            id: 1,
            size: 10,
            etag: "abc".into(),
            modified_ms: 1_000_000,
            headers: Default::default(),
            checksum: Checksum::full(Algorithm::Crc32, &[0; 4]),
            upload: None,
            encryption: None,
        }
    }

    #[test]
    fn a_fitting_etag_outweighs_the_date_beside_it() {
        let (old, tag) = (Some(timestamp(0)), |text: &str| Some(text.parse::<ETagCondition>().unwrap()));
        let judge = |condition: Condition| condition.judge(&object());
        assert_eq!(
            judge(Condition { if_unmodified_since: old.clone(), ..Default::default() }),
            Verdict::Failed
        );
        let both =
            Condition { if_match: tag("\"abc\""), if_unmodified_since: old.clone(), ..Default::default() };
        assert_eq!(judge(both), Verdict::Holds);
        let both = Condition { if_none_match: tag("\"abc\""), if_modified_since: old, ..Default::default() };
        assert_eq!(judge(both), Verdict::NotModified);
        let now = Some(timestamp(1_000_000));
        assert_eq!(judge(Condition { if_modified_since: now, ..Default::default() }), Verdict::NotModified);
    }

    #[test]
    fn a_range_outside_the_object_is_refused() {
        let range = |text: &str, size| resolve(Some(Range::parse(text).unwrap()), size).ok();
        assert_eq!(range("bytes=2-3", 10), Some(2..4));
        assert_eq!(range("bytes=8-99", 10), Some(8..10));
        assert_eq!(range("bytes=-3", 10), Some(7..10));
        assert_eq!(range("bytes=10-", 10), None);
        assert_eq!(range("bytes=-3", 0), None);
        assert_eq!(range("bytes=-0", 10), None);
    }
}
