//! Tags of buckets; objects have none.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::answer;
use crate::backend::Backend;
use crate::error::{damaged, refuse, refuse_as};
use crate::index::object::no_such_key;
use crate::index::settle;

/// Source: PutBucketTagging, "Tag restrictions".
const TAGS_MAX: usize = 50;
const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

type Tags = BTreeMap<String, String>;

pub async fn get(
    backend: &Backend,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let stored = backend.index.bucket(&request.input.bucket).await?.tags;
    let stored = stored.ok_or_else(|| refuse(S3ErrorCode::NoSuchTagSet, "The TagSet does not exist"))?;
    let tags: Tags = serde_json::from_str(&stored).map_err(|_| damaged("a bucket's tags"))?;
    let tag = |(key, value)| Tag { key: Some(key), value: Some(value) };
    answer(GetBucketTaggingOutput { tag_set: tags.into_iter().map(tag).collect() })
}

pub async fn put(
    backend: &Backend,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let PutBucketTaggingInput { bucket, tagging, .. } = request.input;
    let tags = read(tagging.tag_set)?;
    let text = serde_json::to_string(&tags).expect("strings are always JSON");
    let index = backend.index.clone();
    // An empty set is none, as S3 has it.
    settle(async move { index.set_tags(&bucket, (!tags.is_empty()).then_some(&text)).await }).await?;
    answer(PutBucketTaggingOutput {})
}

pub async fn delete(
    backend: &Backend,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    let index = backend.index.clone();
    settle(async move { index.set_tags(&request.input.bucket, None).await }).await?;
    answer(DeleteBucketTaggingOutput {})
}

pub async fn of_object(
    backend: &Backend,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let GetObjectTaggingInput { bucket, key, .. } = request.input;
    backend.index.object(&bucket, &key).await?.ok_or_else(no_such_key)?;
    answer(GetObjectTaggingOutput { tag_set: Vec::new(), version_id: None })
}

fn read(set: Vec<Tag>) -> S3Result<Tags> {
    if set.len() > TAGS_MAX {
        let text = "Bucket tag count cannot be greater than 50";
        return Err(refuse_as("BadRequest", http::StatusCode::BAD_REQUEST, text));
    }
    let mut tags = Tags::new();
    for tag in set {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        if !(1..=KEY_LENGTH_MAX).contains(&key.chars().count()) || key.starts_with("aws:") {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > VALUE_LENGTH_MAX {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

fn invalid(text: &str) -> s3s::S3Error {
    refuse(S3ErrorCode::InvalidTag, text)
}
