//! Bucket policies: read strictly when they are put, given back byte for byte.

use access::policy::Document;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::answer;
use crate::backend::Backend;
use crate::error::refuse;
use crate::index::settle;

/// Source: "Bucket policies for Amazon S3", 20 KB.
const POLICY_BYTES_MAX: usize = 20 * 1024;

pub async fn get(
    backend: &Backend,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let policy = backend.index.bucket(&request.input.bucket).await?.policy;
    let text = "The bucket policy does not exist.";
    let policy = policy.ok_or_else(|| refuse(S3ErrorCode::NoSuchBucketPolicy, text))?;
    answer(GetBucketPolicyOutput { policy: Some(policy) })
}

pub async fn put(
    backend: &Backend,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let PutBucketPolicyInput { bucket, policy, .. } = request.input;
    if policy.len() > POLICY_BYTES_MAX {
        let text = format!("The policy has {} bytes; {POLICY_BYTES_MAX} are allowed.", policy.len());
        return Err(refuse(S3ErrorCode::MalformedPolicy, text));
    }
    Document::parse_resource_policy(&policy, &bucket)
        .map_err(|error| refuse(S3ErrorCode::MalformedPolicy, error.message()))?;
    let index = backend.index.clone();
    settle(async move { index.set_policy(&bucket, Some(&policy)).await }).await?;
    answer(PutBucketPolicyOutput {})
}

pub async fn delete(
    backend: &Backend,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    let index = backend.index.clone();
    settle(async move { index.set_policy(&request.input.bucket, None).await }).await?;
    answer(DeleteBucketPolicyOutput {})
}
