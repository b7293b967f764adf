//! ListMultipartUploads and ListParts.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::list::Spelling;
use super::{answer, count, etag, owner, page_size};
use crate::backend::Backend;
use crate::checksum::{Algorithm, Checksum, Kind, show_checksum};
use crate::headers::timestamp;
use crate::index::list::{Query, UploadEntry};
use crate::index::upload::Part as StoredPart;

pub async fn uploads(
    backend: &Backend,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let spelling = Spelling::new(input.encoding_type.as_ref())?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: input.key_marker.clone().unwrap_or_default(),
        // Without a key marker the id marker means nothing.
        after_upload: input.upload_id_marker.clone().filter(|_| input.key_marker.is_some()),
        limit: page_size(input.max_uploads),
    };
    let page = backend.index.list_uploads(&query).await?;
    let last_id =
        page.entries.last().filter(|last| Some(&last.key) == page.next.as_ref()).map(|last| last.id.clone());
    answer(ListMultipartUploadsOutput {
        is_truncated: Some(page.next.is_some()),
        next_key_marker: page.next.clone().map(|text| spelling.write(text)),
        next_upload_id_marker: last_id,
        common_prefixes: Some(spelling.prefixes(&page)),
        uploads: Some(page.entries.into_iter().map(|entry| show_upload(backend, spelling, entry)).collect()),
        bucket: Some(input.bucket),
        prefix: input.prefix.map(|text| spelling.write(text)),
        delimiter: input.delimiter.map(|text| spelling.write(text)),
        key_marker: input.key_marker.map(|text| spelling.write(text)),
        upload_id_marker: input.upload_id_marker,
        max_uploads: count(query.limit),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub async fn parts(
    backend: &Backend,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let upload = backend.index.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let limit = page_size(input.max_parts);
    let after = input.part_number_marker.unwrap_or(0);
    let mut parts = backend.index.parts(&upload.id, i64::from(after), limit as i64 + 1).await?;
    let more = parts.len() > limit && limit > 0;
    parts.truncate(limit);
    let last = parts.last().and_then(|part| i32::try_from(part.number).ok());
    answer(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm.as_str())),
        checksum_type: Some(ChecksumType::from_static(upload.kind.as_str())),
        initiator: Some(initiator(upload.creator)),
        owner: Some(owner(backend)),
        is_truncated: Some(more),
        max_parts: count(limit),
        part_number_marker: Some(after),
        next_part_number_marker: last,
        parts: Some(parts.into_iter().map(|part| show_part(part, upload.algorithm)).collect()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    })
}

fn show_upload(backend: &Backend, spelling: Spelling, entry: UploadEntry) -> MultipartUpload {
    MultipartUpload {
        checksum_algorithm: Some(ChecksumAlgorithm::from(entry.checksum_algorithm)),
        checksum_type: Some(ChecksumType::from(entry.checksum_type)),
        initiated: Some(timestamp(entry.created_ms)),
        initiator: Some(initiator(entry.creator)),
        key: Some(spelling.write(entry.key)),
        owner: Some(owner(backend)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(entry.id),
    }
}

fn show_part(part: StoredPart, algorithm: Algorithm) -> Part {
    let checksum = Checksum { algorithm, kind: Kind::FullObject, value: part.checksum };
    let mut shown = Part {
        e_tag: etag(&part.etag),
        last_modified: Some(timestamp(part.modified_ms)),
        part_number: i32::try_from(part.number).ok(),
        size: i64::try_from(part.size).ok(),
        ..Default::default()
    };
    show_checksum!(shown, Some(&checksum));
    shown
}

fn initiator(creator: String) -> Initiator {
    Initiator { display_name: None, id: Some(creator) }
}
