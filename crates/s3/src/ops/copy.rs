//! CopyObject: a new object from the bytes of another, or other headers for the same.

use access::SealingKey;
use futures_util::StreamExt;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::put::{draft, store};
use super::source::open;
use super::{answer, condition, etag};
use crate::assembly::PART_BYTES_MAX;
use crate::backend::Backend;
use crate::blob::{Reader, Stored};
use crate::caller::Caller;
use crate::checksum::{Algorithm, Checksum, show_checksum};
use crate::digest::Digests;
use crate::encryption::{self, Encryption, Wanted, show_encryption};
use crate::error::{Doing, not_offered, refuse};
use crate::headers::{Headers, stated_headers, timestamp};
use crate::index::object::Object;
use crate::index::settle;

/// The conditions on the source, from an input that has them.
macro_rules! source_condition {
    ($input:expr) => {
        $crate::ops::source::Condition {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}
pub(super) use source_condition;

pub async fn object(
    backend: &Backend,
    mut request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let caller = Caller::of(&request)?;
    let write_condition = condition(&request.headers)?;
    let input = &mut request.input;
    let (bucket, key) = source(&input.copy_source)?;
    backend.gate.permit_object(&caller, "s3:GetObject", &bucket, &key).await?;
    let replaces = replaces(input.metadata_directive.as_ref())?;
    let is_same = bucket == input.bucket && key == input.key;
    if is_same && !replaces && Wanted::of_request(&request.headers)?.is_none() {
        let text = "This copy request is illegal because it is trying to copy an object to itself without changing \
                    the object's metadata.";
        return Err(refuse(S3ErrorCode::InvalidRequest, text));
    }
    let stated = if replaces { Some(stated_headers!(input)?) } else { None };
    let read_condition = source_condition!(input);
    let choose = |object: &Object| read_condition.check_for_copy(object).and_then(|()| whole(object));
    let (source, _, reader) = open(backend, &caller, (&bucket, &key), choose).await?;
    let headers = stated.unwrap_or_else(|| source.headers.clone());
    let algorithm = algorithm(input.checksum_algorithm.as_ref(), &source)?;
    let place = (input.bucket.as_str(), input.key.as_str());
    let sealing = encryption::begin(backend, &caller.principal, place, &request.headers).await?;
    let is_plain = sealing.is_none() && source.encryption.is_none();
    if is_same && is_plain && algorithm == source.checksum.algorithm {
        write_condition.check(Some(&source.etag))?;
        let modified_ms = restate(backend, source.id, headers).await?;
        return shown(&source.etag, &source.checksum, modified_ms, None);
    }
    let (encryption, data_key) = sealing.map(|sealing| (sealing.encryption, sealing.key)).unzip();
    let stored = copy_bytes(backend, reader, &[algorithm], data_key.as_ref()).await?;
    let draft = draft(backend, input.key.clone(), headers, &stored, algorithm, encryption.clone());
    let (tag, checksum, modified_ms) = (draft.etag.clone(), draft.checksum.clone(), draft.modified_ms);
    store(backend, input.bucket.clone(), draft, write_condition, stored).await?;
    shown(&tag, &checksum, modified_ms, encryption.as_ref())
}

/// Bucket and key of a copy's source.
///
/// # Errors
/// `NotImplemented` for access points, Outposts and versions.
pub fn source(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { version_id: Some(version), .. } if &**version != "null" => {
            Err(not_offered("This server's object store keeps one version of an object."))
        }
        CopySource::Bucket { bucket, key, .. } => Ok((bucket.to_string(), key.to_string())),
        _ => Err(not_offered("A copy's source must be named as <bucket>/<key>.")),
    }
}

/// Copies bytes to a new blob, encrypted where there is a key, in constant memory.
pub async fn copy_bytes(
    backend: &Backend,
    mut reader: Reader,
    algorithms: &[Algorithm],
    key: Option<&SealingKey>,
) -> S3Result<Stored> {
    let mut writer = backend.blobs.write(Digests::new(algorithms), key);
    while let Some(bytes) = reader.next().await {
        writer.push(bytes.doing("read the source")?).await?;
    }
    writer.finish().await
}

fn whole(object: &Object) -> S3Result<std::ops::Range<u64>> {
    if object.size > PART_BYTES_MAX {
        let text = "The source is larger than 5 GiB; copy it with a multipart upload.";
        return Err(refuse(S3ErrorCode::InvalidRequest, text));
    }
    Ok(0..object.size)
}

fn replaces(directive: Option<&MetadataDirective>) -> S3Result<bool> {
    match directive.map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => Ok(false),
        Some(MetadataDirective::REPLACE) => Ok(true),
        Some(_) => {
            Err(refuse(S3ErrorCode::InvalidArgument, "The metadata directive must be COPY or REPLACE."))
        }
    }
}

fn algorithm(asked: Option<&ChecksumAlgorithm>, source: &Object) -> S3Result<Algorithm> {
    let Some(asked) = asked else { return Ok(source.checksum.algorithm) };
    let unknown = || refuse(S3ErrorCode::InvalidRequest, "The checksum algorithm is not known.");
    Algorithm::parse(asked.as_str()).ok_or_else(unknown)
}

async fn restate(backend: &Backend, id: i64, headers: Headers) -> S3Result<i64> {
    let (index, now) = (backend.index.clone(), backend.now_ms());
    settle(async move { index.restate(id, &headers, now).await }).await?;
    Ok(now)
}

fn shown(
    tag: &str,
    checksum: &Checksum,
    modified_ms: i64,
    encryption: Option<&Encryption>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let last_modified = Some(timestamp(modified_ms));
    let mut result = CopyObjectResult { e_tag: etag(tag), last_modified, ..Default::default() };
    show_checksum!(result, Some(checksum));
    result.checksum_type = Some(ChecksumType::from_static(checksum.kind.as_str()));
    let mut output = CopyObjectOutput { copy_object_result: Some(result), ..Default::default() };
    show_encryption!(output, encryption);
    answer(output)
}
