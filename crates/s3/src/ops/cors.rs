//! A bucket's CORS rules: put whole, given back, taken away.

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::answer;
use crate::backend::Backend;
use crate::cors::{Rule, Rules};
use crate::error::refuse;
use crate::index::settle;

pub async fn get(
    backend: &Backend,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let stored = backend.index.bucket(&request.input.bucket).await?.cors;
    let text = "The CORS configuration does not exist";
    let stored = stored.ok_or_else(|| refuse(S3ErrorCode::NoSuchCORSConfiguration, text))?;
    let rules = Rules::from_json(&stored)?.0.into_iter().map(show).collect();
    answer(GetBucketCorsOutput { cors_rules: Some(rules) })
}

pub async fn put(
    backend: &Backend,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let PutBucketCorsInput { bucket, cors_configuration, .. } = request.input;
    let rules = cors_configuration.cors_rules.into_iter().map(read).collect();
    let text = Rules(rules).checked()?.to_json();
    let index = backend.index.clone();
    settle(async move { index.set_cors(&bucket, Some(&text)).await }).await?;
    answer(PutBucketCorsOutput {})
}

pub async fn delete(
    backend: &Backend,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let index = backend.index.clone();
    settle(async move { index.set_cors(&request.input.bucket, None).await }).await?;
    answer(DeleteBucketCorsOutput {})
}

fn read(rule: CORSRule) -> Rule {
    Rule {
        id: rule.id,
        origins: rule.allowed_origins,
        methods: rule.allowed_methods,
        headers: rule.allowed_headers.unwrap_or_default(),
        exposed: rule.expose_headers.unwrap_or_default(),
        max_age_s: rule.max_age_seconds,
    }
}

fn show(rule: Rule) -> CORSRule {
    let some = |texts: Vec<String>| (!texts.is_empty()).then_some(texts);
    CORSRule {
        id: rule.id,
        allowed_origins: rule.origins,
        allowed_methods: rule.methods,
        allowed_headers: some(rule.headers),
        expose_headers: some(rule.exposed),
        max_age_seconds: rule.max_age_s,
    }
}
