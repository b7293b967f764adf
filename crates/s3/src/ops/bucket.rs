//! Buckets: list, create, look, delete.

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::{answer, owner};
use crate::backend::Backend;
use crate::error::refuse;
use crate::headers::timestamp;
use crate::index::settle;

pub async fn list(
    backend: &Backend,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let limit = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or(0).clamp(1, 10_000);
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let mut buckets = backend.index.buckets(&prefix, &after, limit as i64 + 1).await?;
    let more = buckets.len() > limit;
    buckets.truncate(limit);
    let continuation_token = buckets.last().filter(|_| more).map(|last| last.name.clone());
    let region = &backend.access.realm.region;
    let show = |bucket: crate::index::bucket::Bucket| Bucket {
        bucket_region: Some(region.clone()),
        creation_date: Some(timestamp(bucket.created_ms)),
        name: Some(bucket.name),
    };
    let buckets = Some(buckets.into_iter().map(show).collect());
    answer(ListBucketsOutput {
        buckets,
        continuation_token,
        owner: Some(owner(backend)),
        prefix: input.prefix,
    })
}

pub async fn create(
    backend: &Backend,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = request.input;
    let region = &backend.access.realm.region;
    let asked = input.create_bucket_configuration.and_then(|config| config.location_constraint);
    if let Some(asked) = asked.filter(|asked| !asked.as_str().is_empty() && asked.as_str() != region) {
        let text = format!(
            "The location constraint {} is not this server's region; leave it out or ask for {region}.",
            asked.as_str()
        );
        return Err(refuse(S3ErrorCode::IllegalLocationConstraintException, text));
    }
    let (index, name, now) = (backend.index.clone(), input.bucket.clone(), backend.now_ms());
    let is_new = settle(async move { index.create_bucket(&name, now).await }).await?;
    // As S3 does, the oldest region alone lets an owner create a bucket twice.
    if !is_new && region != "us-east-1" {
        let text = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(refuse(S3ErrorCode::BucketAlreadyOwnedByYou, text));
    }
    answer(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

pub async fn head(
    backend: &Backend,
    _: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket_region = Some(backend.access.realm.region.clone());
    answer(HeadBucketOutput { bucket_region, ..Default::default() })
}

pub async fn delete(
    backend: &Backend,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let index = backend.index.clone();
    let unnamed = settle(async move { index.delete_bucket(&request.input.bucket).await }).await?;
    backend.discard(unnamed);
    answer(DeleteBucketOutput::default())
}

/// S3 writes the oldest region as none.
pub async fn location(
    backend: &Backend,
    _: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let region = backend.access.realm.region.clone();
    let location_constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
    answer(GetBucketLocationOutput { location_constraint })
}
