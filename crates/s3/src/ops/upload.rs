//! CreateMultipartUpload, CompleteMultipartUpload and AbortMultipartUpload.

use access::Principal;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{answer, condition, etag};
use crate::assembly::{Claim, Named, etag_of_parts};
use crate::backend::Backend;
use crate::caller::Caller;
use crate::checksum::{Algorithm, Checksum, Kind, show_checksum, stated_checksums};
use crate::encryption::{self, Encryption, show_encryption};
use crate::error::refuse;
use crate::headers::stated_headers;
use crate::index::settle;
use crate::index::upload::Upload;

pub async fn create(
    backend: &Backend,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let principal = Caller::of(&request)?.principal;
    let headers = request.headers;
    let input = request.input;
    let (algorithm, kind) = choose(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
    let stated = stated_headers!(input)?;
    let place = (input.bucket.as_str(), input.key.as_str());
    let sealing = encryption::begin(backend, &principal, place, &headers).await?;
    let upload = Upload {
        id: backend.clock.hex(48),
        created_ms: backend.now_ms(),
        creator: creator(&principal),
        headers: stated,
        algorithm,
        kind,
        asked: input.checksum_algorithm.is_some(),
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        encryption: sealing.map(|sealing| sealing.encryption),
    };
    let (index, id, encryption) = (backend.index.clone(), upload.id.clone(), upload.encryption.clone());
    settle(async move { index.create_upload(&upload).await }).await?;
    let mut output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(algorithm.as_str())),
        checksum_type: Some(ChecksumType::from_static(kind.as_str())),
        ..Default::default()
    };
    show_encryption!(output, encryption.as_ref());
    answer(output)
}

pub async fn complete(
    backend: &Backend,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let condition = condition(&request.headers)?;
    let principal = Caller::of(&request)?.principal;
    let input = request.input;
    let upload = match backend.index.upload(&input.bucket, &input.key, &input.upload_id).await {
        Ok(upload) => upload,
        Err(error) => return repeated(backend, &input, error).await,
    };
    let claim = read_claim(&input, &upload)?;
    // Who may not read the parts may not make an object of them, as in S3.
    let place = (input.bucket.as_str(), input.key.as_str());
    encryption::open(backend, &principal, place, upload.encryption.as_ref()).await?;
    let (index, now) = (backend.index.clone(), backend.now_ms());
    let change = async move { index.complete_upload(&upload, &claim, &condition, now).await };
    let (draft, unnamed) = settle(change).await?;
    backend.discard(unnamed);
    completed(input, &draft.etag, &draft.checksum, draft.encryption.as_ref())
}

/// Whoever began an upload may abort it without a further right, unless that is denied.
pub async fn abort(
    backend: &Backend,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let caller = Caller::of(&request)?;
    let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
    let upload = backend.index.upload(&bucket, &key, &upload_id).await;
    let is_own = upload.as_ref().is_ok_and(|upload| upload.creator == creator(&caller.principal));
    if is_own {
        backend.gate.permit_owner(&caller, "s3:AbortMultipartUpload", &bucket, &key).await?;
    } else {
        backend.gate.permit_object(&caller, "s3:AbortMultipartUpload", &bucket, &key).await?;
    }
    let (index, upload) = (backend.index.clone(), upload?);
    backend.discard(settle(async move { index.abort_upload(&upload.id).await }).await?);
    answer(AbortMultipartUploadOutput::default())
}

/// Who a principal is beyond its session.
fn creator(principal: &Principal) -> String {
    match principal {
        Principal::Session(session) => session.role.to_string(),
        Principal::AssumedRole(session) => session.role.to_string(),
        Principal::User(user) => user.arn.to_string(),
        Principal::Root { arn } => arn.to_string(),
    }
}

fn choose(algorithm: Option<&ChecksumAlgorithm>, kind: Option<&ChecksumType>) -> S3Result<(Algorithm, Kind)> {
    let invalid = |text: String| refuse(S3ErrorCode::InvalidRequest, text);
    let algorithm = match algorithm {
        None => Algorithm::Crc64Nvme,
        Some(name) => Algorithm::parse(name.as_str())
            .ok_or_else(|| invalid(format!("The checksum algorithm {} is not known.", name.as_str())))?,
    };
    let kind = match kind {
        None => algorithm.kind_by_default(),
        Some(name) => Kind::parse(name.as_str())
            .ok_or_else(|| invalid(format!("The checksum type {} is not known.", name.as_str())))?,
    };
    if !algorithm.supports(kind) {
        let text = format!("The {} checksum type cannot be used with {}.", kind.as_str(), algorithm.as_str());
        return Err(invalid(text));
    }
    Ok((algorithm, kind))
}

fn read_claim(input: &CompleteMultipartUploadInput, upload: &Upload) -> S3Result<Claim> {
    if input.checksum_type.as_ref().is_some_and(|kind| kind.as_str() != upload.kind.as_str()) {
        let text = format!("The upload was created with the checksum type {}.", upload.kind.as_str());
        return Err(refuse(S3ErrorCode::InvalidRequest, text));
    }
    let own = |stated: Vec<(Algorithm, String)>| {
        stated.into_iter().find(|(a, _)| *a == upload.algorithm).map(|s| s.1)
    };
    let parts =
        input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
    let read = |part: &CompletedPart| {
        let number = part.part_number.map(i64::from)?;
        let etag = part.e_tag.as_ref()?.value().to_owned();
        Some(Named { number, etag, checksum: own(stated_checksums!(part)) })
    };
    let parts: Option<Vec<Named>> = parts.iter().map(read).collect();
    let text = "Each part must have a PartNumber and an ETag.";
    Ok(Claim {
        parts: parts.ok_or_else(|| refuse(S3ErrorCode::MalformedXML, text))?,
        checksum: own(stated_checksums!(input)),
        size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
    })
}

// A client that lost the answer asks again: the object that the upload became is the answer.
async fn repeated(
    backend: &Backend,
    input: &CompleteMultipartUploadInput,
    error: S3Error,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let object = backend.index.object(&input.bucket, &input.key).await?;
    let parts =
        input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
    let expected = etag_of_parts(parts.iter().filter_map(|part| Some(part.e_tag.as_ref()?.value())));
    match object {
        Some(object)
            if object.upload.as_ref() == Some(&input.upload_id)
                && Some(&object.etag) == expected.as_ref() =>
        {
            completed(input.clone(), &object.etag, &object.checksum, object.encryption.as_ref())
        }
        _ => Err(error),
    }
}

fn completed(
    input: CompleteMultipartUploadInput,
    tag: &str,
    checksum: &Checksum,
    encryption: Option<&Encryption>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: etag(tag),
        checksum_type: Some(ChecksumType::from_static(checksum.kind.as_str())),
        ..Default::default()
    };
    show_checksum!(output, Some(checksum));
    show_encryption!(output, encryption);
    answer(output)
}
