//! GetObject and HeadObject.

use http::{HeaderMap, HeaderValue};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::source::{Condition, open, resolve};
use super::{etag, missing};
use crate::backend::Backend;
use crate::caller::Caller;
use crate::checksum::show_checksum;
use crate::encryption::{self, show_encryption};
use crate::error::not_offered;
use crate::headers::{show_headers, timestamp};
use crate::index::object::Object;

/// The fields that both answers have; `$bytes` is the range given, all of it or a part.
macro_rules! show {
    ($output:expr, $object:expr, $bytes:expr, $input:expr) => {
        let (object, bytes): (Object, std::ops::Range<u64>) = ($object, $bytes);
        let size = object.size;
        let is_part = $input.range.is_some();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = i64::try_from(bytes.end - bytes.start).ok();
        $output.content_range = is_part.then(|| format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1));
        $output.e_tag = etag(&object.etag);
        $output.last_modified = Some(timestamp(object.modified_ms));
        if !is_part
            && $input.checksum_mode.as_ref().is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
        {
            show_checksum!($output, Some(&object.checksum));
            $output.checksum_type = Some(ChecksumType::from_static(object.checksum.kind.as_str()));
        }
        show_encryption!($output, object.encryption.as_ref());
        show_headers!($output, object.headers);
    };
}

/// The conditions of a read, from an input that has them.
macro_rules! condition {
    ($input:expr) => {
        Condition {
            if_match: $input.if_match.take(),
            if_none_match: $input.if_none_match.take(),
            if_modified_since: $input.if_modified_since.take(),
            if_unmodified_since: $input.if_unmodified_since.take(),
        }
    };
}

pub async fn object(
    backend: &Backend,
    mut request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let caller = Caller::of(&request)?;
    let input = &mut request.input;
    refuse_part_number(input.part_number)?;
    let (condition, range) = (condition!(input), input.range);
    let choose = |object: &Object| condition.check(object).and_then(|()| resolve(range, object.size));
    let (object, bytes, reader) = open(backend, &caller, (&input.bucket, &input.key), choose).await?;
    let mut output = GetObjectOutput { body: Some(StreamingBlob::new(reader)), ..Default::default() };
    show!(output, object, bytes, input);
    Ok(S3Response::with_headers(output, harmless()))
}

pub async fn head(
    backend: &Backend,
    mut request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let caller = Caller::of(&request)?;
    let input = &mut request.input;
    refuse_part_number(input.part_number)?;
    let Some(object) = backend.index.object(&input.bucket, &input.key).await? else {
        return Err(missing(backend, &caller, &input.bucket).await);
    };
    condition!(input).check(&object)?;
    if input.checksum_mode.is_some() {
        // Source: HeadObject; the checksum of an encrypted object is for who may read it.
        let place = (input.bucket.as_str(), input.key.as_str());
        encryption::open(backend, &caller.principal, place, object.encryption.as_ref()).await?;
    }
    let bytes = resolve(input.range, object.size)?;
    let mut output = HeadObjectOutput::default();
    show!(output, object, bytes, input);
    Ok(S3Response::with_headers(output, harmless()))
}

fn refuse_part_number(number: Option<i32>) -> S3Result<()> {
    match number {
        None => Ok(()),
        Some(_) => Err(not_offered(
            "This server's object store does not offer reads by part number; ask for a range.",
        )),
    }
}

// A stored page must not run as a page of this server.
fn harmless() -> HeaderMap {
    HeaderMap::from_iter([
        (http::header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
        (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ])
}
