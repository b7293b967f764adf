//! UploadPart and UploadPartCopy.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::copy::{copy_bytes, source, source_condition};
use super::receive::{Incoming, receive};
use super::source::open;
use super::{answer, etag};
use crate::assembly::{PART_BYTES_MAX, PARTS_MAX};
use crate::backend::Backend;
use crate::blob::Stored;
use crate::caller::Caller;
use crate::checksum::{Algorithm, Checksum, show_checksum};
use crate::encryption::{self, show_encryption};
use crate::error::refuse;
use crate::headers::timestamp;
use crate::index::object::Object;
use crate::index::settle;
use crate::index::upload::{Part as StoredPart, Upload};
use crate::integrity::full_checksum;

pub async fn upload(
    backend: &Backend,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let caller = Caller::of(&request)?;
    let input = &mut request.input;
    let number = check_number(input.part_number)?;
    let upload = backend.index.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let place = (input.bucket.as_str(), input.key.as_str());
    let key = encryption::open(backend, &caller.principal, place, upload.encryption.as_ref()).await?;
    let incoming = Incoming {
        body: input.body.take(),
        length: input.content_length,
        headers: &request.headers,
        extensions: &request.extensions,
        own_place: caller.is_service().then(|| format!("{}/{number}", upload.id)),
    };
    let ours = |theirs: Option<Algorithm>| match theirs {
        Some(theirs) if upload.asked && theirs != upload.algorithm => Err(mismatch(theirs, upload.algorithm)),
        _ => Ok(upload.algorithm),
    };
    let (stored, algorithm, stated) = receive(backend, incoming, key.as_ref(), ours).await?;
    let shown = full_checksum(&stored.digested, stated.algorithm().unwrap_or(algorithm));
    let mut output =
        UploadPartOutput { e_tag: etag(&hex::encode(stored.digested.etag)), ..Default::default() };
    show_checksum!(output, Some(&shown));
    show_encryption!(output, upload.encryption.as_ref());
    store(backend, &upload, number, stored).await?;
    answer(output)
}

pub async fn copy(
    backend: &Backend,
    mut request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let caller = Caller::of(&request)?;
    let input = &mut request.input;
    let number = check_number(input.part_number)?;
    let (bucket, key) = source(&input.copy_source)?;
    backend.gate.permit_object(&caller, "s3:GetObject", &bucket, &key).await?;
    let upload = backend.index.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let (condition, range) = (source_condition!(input), input.copy_source_range.take());
    let choose =
        |object: &Object| condition.check_for_copy(object).and_then(|()| part_of(object, range.as_deref()));
    let (_, _, reader) = open(backend, &caller, (&bucket, &key), choose).await?;
    let place = (input.bucket.as_str(), input.key.as_str());
    let data_key = encryption::open(backend, &caller.principal, place, upload.encryption.as_ref()).await?;
    let stored = copy_bytes(backend, reader, &[upload.algorithm], data_key.as_ref()).await?;
    let (tag, checksum) =
        (hex::encode(stored.digested.etag), full_checksum(&stored.digested, upload.algorithm));
    let modified_ms = store(backend, &upload, number, stored).await?;
    let mut output = UploadPartCopyOutput {
        copy_part_result: Some(result(&tag, &checksum, modified_ms)),
        ..Default::default()
    };
    show_encryption!(output, upload.encryption.as_ref());
    answer(output)
}

async fn store(backend: &Backend, upload: &Upload, number: i64, stored: Stored) -> S3Result<i64> {
    let modified_ms = backend.now_ms();
    let part = StoredPart {
        number,
        blob: stored.id.clone(),
        size: stored.digested.size,
        etag: hex::encode(stored.digested.etag),
        modified_ms,
        checksum: full_checksum(&stored.digested, upload.algorithm).value,
    };
    let (index, id) = (backend.index.clone(), upload.id.clone());
    backend.discard(settle(async move { index.put_part(&id, &part, stored).await }).await?);
    Ok(modified_ms)
}

fn check_number(number: i32) -> S3Result<i64> {
    let number = i64::from(number);
    if (1..=PARTS_MAX).contains(&number) {
        return Ok(number);
    }
    let text = format!("Part number must be an integer between 1 and {PARTS_MAX}, inclusive.");
    Err(refuse(S3ErrorCode::InvalidArgument, text))
}

// Unlike a read's, the range of a copy must lie within the source.
fn part_of(object: &Object, range: Option<&str>) -> S3Result<std::ops::Range<u64>> {
    let bytes = match range {
        None => 0..object.size,
        Some(text) => match Range::parse(text) {
            Ok(Range::Int { first, last: Some(last) }) if last < object.size => first..last + 1,
            _ => {
                let text = format!("The range is not valid for the source, which has {} bytes.", object.size);
                return Err(refuse(S3ErrorCode::InvalidArgument, text));
            }
        },
    };
    if bytes.end - bytes.start > PART_BYTES_MAX {
        return Err(refuse(S3ErrorCode::EntityTooLarge, "A part may have 5 GiB at most."));
    }
    Ok(bytes)
}

fn mismatch(theirs: Algorithm, ours: Algorithm) -> S3Error {
    let text = format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        ours.as_str().to_ascii_lowercase(),
        theirs.as_str().to_ascii_lowercase()
    );
    refuse(S3ErrorCode::InvalidRequest, text)
}

fn result(tag: &str, checksum: &Checksum, modified_ms: i64) -> CopyPartResult {
    let last_modified = Some(timestamp(modified_ms));
    let mut result = CopyPartResult { e_tag: etag(tag), last_modified, ..Default::default() };
    show_checksum!(result, Some(checksum));
    result
}
