//! PutObject: durable when it is answered, and one winner where several race under a condition.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::receive::{Incoming, receive};
use super::{answer, condition, etag};
use crate::backend::Backend;
use crate::blob::Stored;
use crate::caller::Caller;
use crate::checksum::{Algorithm, Checksum, show_checksum};
use crate::encryption::{self, Encryption, show_encryption};
use crate::headers::{Headers, stated_headers};
use crate::index::object::{Condition, Draft, Piece};
use crate::index::settle;
use crate::integrity::full_checksum;

pub async fn object(
    backend: &Backend,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let condition = condition(&request.headers)?;
    let principal = Caller::of(&request)?.principal;
    let headers = stated_headers!(request.input)?;
    let place = (request.input.bucket.as_str(), request.input.key.as_str());
    let sealing = encryption::begin(backend, &principal, place, &request.headers).await?;
    let (encryption, key) = sealing.map(|sealing| (sealing.encryption, sealing.key)).unzip();
    let incoming = Incoming {
        body: request.input.body.take(),
        length: request.input.content_length,
        headers: &request.headers,
        extensions: &request.extensions,
        own_place: None,
    };
    let ours = |theirs: Option<Algorithm>| Ok(theirs.unwrap_or(Algorithm::Crc64Nvme));
    let (stored, algorithm, _) = receive(backend, incoming, key.as_ref(), ours).await?;
    let draft = draft(backend, request.input.key, headers, &stored, algorithm, encryption);
    let mut output = PutObjectOutput { e_tag: etag(&draft.etag), ..Default::default() };
    show_checksum!(output, Some(&draft.checksum));
    output.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    show_encryption!(output, draft.encryption.as_ref());
    store(backend, request.input.bucket, draft, condition, stored).await?;
    answer(output)
}

/// The object that one blob makes.
pub fn draft(
    backend: &Backend,
    key: String,
    headers: Headers,
    stored: &Stored,
    algorithm: Algorithm,
    encryption: Option<Encryption>,
) -> Draft {
    let checksum = full_checksum(&stored.digested, algorithm);
    Draft {
        key,
        size: stored.digested.size,
        etag: hex::encode(stored.digested.etag),
        modified_ms: backend.now_ms(),
        headers,
        pieces: vec![piece(stored, &checksum)],
        checksum,
        upload: None,
        encryption,
    }
}

fn piece(stored: &Stored, checksum: &Checksum) -> Piece {
    Piece { number: 1, blob: stored.id.clone(), size: stored.digested.size, checksum: checksum.value.clone() }
}

/// Names the blob, and lets go of the ones it replaces.
pub async fn store(
    backend: &Backend,
    bucket: String,
    draft: Draft,
    condition: Condition,
    stored: Stored,
) -> S3Result<()> {
    let index = backend.index.clone();
    let change = async move { index.put_object(&bucket, &draft, &condition, stored).await };
    backend.discard(settle(change).await?);
    Ok(())
}
