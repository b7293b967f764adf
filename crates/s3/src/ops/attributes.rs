//! GetObjectAttributes.

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::{answer, etag, missing, page_size};
use crate::backend::Backend;
use crate::caller::Caller;
use crate::checksum::{Checksum as StoredChecksum, show_checksum};
use crate::error::refuse;
use crate::headers::timestamp;
use crate::index::object::{Object, Piece};

pub async fn get(
    backend: &Backend,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let caller = Caller::of(&request)?;
    let input = request.input;
    let Some(object) = backend.index.object(&input.bucket, &input.key).await? else {
        return Err(missing(backend, &caller, &input.bucket).await);
    };
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(timestamp(object.modified_ms)),
        ..Default::default()
    };
    // Clients send all names in one header, and s3s splits headers, not their values.
    let names = input.object_attributes.iter().flat_map(|names| names.as_str().split(',')).map(str::trim);
    for name in names {
        match name {
            ObjectAttributes::ETAG => output.e_tag = etag(&object.etag),
            ObjectAttributes::CHECKSUM => output.checksum = Some(checksum(&object.checksum)),
            ObjectAttributes::OBJECT_SIZE => output.object_size = i64::try_from(object.size).ok(),
            ObjectAttributes::OBJECT_PARTS => {
                output.object_parts =
                    parts(backend, &object, input.part_number_marker, input.max_parts).await?;
            }
            ObjectAttributes::STORAGE_CLASS => {
                output.storage_class = Some(StorageClass::from_static(StorageClass::STANDARD));
            }
            other => {
                let text = format!("The attribute {other} is not known.");
                return Err(refuse(S3ErrorCode::InvalidArgument, text));
            }
        }
    }
    answer(output)
}

fn checksum(stored: &StoredChecksum) -> Checksum {
    let kind = Some(ChecksumType::from_static(stored.kind.as_str()));
    let mut shown = Checksum { checksum_type: kind, ..Default::default() };
    show_checksum!(shown, Some(stored));
    shown
}

// Only objects of a multipart upload have parts.
async fn parts(
    backend: &Backend,
    object: &Object,
    marker: Option<i32>,
    max: Option<i32>,
) -> S3Result<Option<GetObjectAttributesParts>> {
    if object.upload.is_none() {
        return Ok(None);
    }
    let (after, limit) = (marker.unwrap_or(0), page_size(max));
    let mut pieces = backend.index.pieces(object.id, i64::from(after), limit as i64 + 1).await?;
    let more = pieces.len() > limit;
    pieces.truncate(limit);
    let total = backend.index.piece_count(object.id).await?;
    Ok(Some(GetObjectAttributesParts {
        is_truncated: Some(more),
        max_parts: super::count(limit),
        next_part_number_marker: pieces.last().and_then(|piece| i32::try_from(piece.number).ok()),
        part_number_marker: Some(after),
        parts: Some(pieces.into_iter().map(|piece| part(piece, object)).collect()),
        total_parts_count: i32::try_from(total).ok(),
    }))
}

fn part(piece: Piece, object: &Object) -> ObjectPart {
    let checksum = StoredChecksum { value: piece.checksum, ..object.checksum.clone() };
    let part_number = i32::try_from(piece.number).ok();
    let mut shown = ObjectPart { part_number, size: i64::try_from(piece.size).ok(), ..Default::default() };
    show_checksum!(shown, Some(&checksum));
    shown
}
