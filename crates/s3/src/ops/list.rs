//! ListObjectsV2 and ListObjects.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::{answer, count, etag, owner, page_size};
use crate::backend::Backend;
use crate::error::refuse;
use crate::headers::timestamp;
use crate::index::list::{Entry, Page, Query};

pub async fn objects_v2(
    backend: &Backend,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let spelling = Spelling::new(input.encoding_type.as_ref())?;
    let token = input.continuation_token.as_deref().map(read_token).transpose()?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: token.or(input.start_after.clone()).unwrap_or_default(),
        after_upload: None,
        limit: page_size(input.max_keys),
    };
    let page = backend.index.list_objects(&query).await?;
    let owner = input.fetch_owner.unwrap_or(false).then(|| owner(backend));
    answer(ListObjectsV2Output {
        key_count: count(page.entries.len() + page.prefixes.len()),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(|last| URL_SAFE_NO_PAD.encode(last)),
        common_prefixes: Some(spelling.prefixes(&page)),
        contents: Some(spelling.contents(page, owner.as_ref())),
        name: Some(input.bucket),
        prefix: Some(spelling.write(query.prefix)),
        max_keys: count(query.limit),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(|text| spelling.write(text)),
        start_after: input.start_after.map(|text| spelling.write(text)),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub async fn objects(
    backend: &Backend,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let spelling = Spelling::new(input.encoding_type.as_ref())?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: input.marker.clone().unwrap_or_default(),
        after_upload: None,
        limit: page_size(input.max_keys),
    };
    let page = backend.index.list_objects(&query).await?;
    // Without a delimiter the last key is the marker, and S3 does not repeat it.
    let next = page.next.clone().filter(|_| !query.delimiter.is_empty());
    answer(ListObjectsOutput {
        is_truncated: Some(page.next.is_some()),
        next_marker: next.map(|text| spelling.write(text)),
        common_prefixes: Some(spelling.prefixes(&page)),
        contents: Some(spelling.contents(page, Some(&owner(backend)))),
        name: Some(input.bucket),
        prefix: Some(spelling.write(query.prefix)),
        marker: Some(spelling.write(query.after)),
        max_keys: count(query.limit),
        delimiter: input.delimiter.map(|text| spelling.write(text)),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

/// How keys are written into XML: as they are, or percent-encoded as `encoding-type=url` asks.
#[derive(Clone, Copy)]
pub struct Spelling {
    is_url: bool,
}

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

impl Spelling {
    /// # Errors
    /// `InvalidArgument` for any other encoding than `url`.
    pub fn new(encoding: Option<&EncodingType>) -> S3Result<Spelling> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Spelling { is_url: false }),
            Some(EncodingType::URL) => Ok(Spelling { is_url: true }),
            Some(_) => Err(refuse(S3ErrorCode::InvalidArgument, "The encoding type must be url.")),
        }
    }

    pub fn write(self, text: String) -> String {
        if self.is_url { utf8_percent_encode(&text, PLAIN).to_string() } else { text }
    }

    pub fn prefixes<T>(self, page: &Page<T>) -> Vec<CommonPrefix> {
        let show = |prefix: &String| CommonPrefix { prefix: Some(self.write(prefix.clone())) };
        page.prefixes.iter().map(show).collect()
    }

    fn contents(self, page: Page<Entry>, owner: Option<&Owner>) -> Vec<Object> {
        let show = |entry: Entry| Object {
            checksum_algorithm: Some(vec![ChecksumAlgorithm::from(entry.checksum_algorithm)]),
            checksum_type: Some(ChecksumType::from(entry.checksum_type)),
            e_tag: etag(&entry.etag),
            key: Some(self.write(entry.key)),
            last_modified: Some(timestamp(entry.modified_ms)),
            owner: owner.cloned(),
            restore_status: None,
            size: i64::try_from(entry.size).ok(),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        };
        page.entries.into_iter().map(show).collect()
    }
}

// A token is the last key of its page, so that it needs no state and outlives restarts.
fn read_token(token: &str) -> S3Result<String> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let wrong = || refuse(S3ErrorCode::InvalidArgument, "The continuation token provided is incorrect.");
    text.filter(|text| !text.is_empty()).ok_or_else(wrong)
}
