//! A bucket's default encryption: what happens to objects whose writer asks for nothing.

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::answer;
use crate::backend::Backend;
use crate::encryption::{Algorithm, Wanted};
use crate::error::{not_offered, refuse, refuse_as};
use crate::index::settle;

pub async fn get(
    backend: &Backend,
    request: S3Request<GetBucketEncryptionInput>,
) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
    let stored = backend.index.bucket(&request.input.bucket).await?.encryption;
    let text = "The server side encryption configuration was not found.";
    let missing =
        || refuse_as("ServerSideEncryptionConfigurationNotFoundError", http::StatusCode::NOT_FOUND, text);
    let wanted = Wanted::from_json(&stored.ok_or_else(missing)?)?;
    let by_default = ServerSideEncryptionByDefault {
        kms_master_key_id: wanted.key,
        sse_algorithm: ServerSideEncryption::from_static(wanted.algorithm.as_str()),
    };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(wanted.bucket_key),
    };
    let rules = ServerSideEncryptionConfiguration { rules: vec![rule] };
    answer(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(rules) })
}

pub async fn put(
    backend: &Backend,
    request: S3Request<PutBucketEncryptionInput>,
) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
    let PutBucketEncryptionInput { bucket, server_side_encryption_configuration, .. } = request.input;
    let wanted = read(server_side_encryption_configuration.rules)?;
    let index = backend.index.clone();
    settle(async move { index.set_encryption(&bucket, Some(&wanted.to_json())).await }).await?;
    answer(PutBucketEncryptionOutput {})
}

pub async fn delete(
    backend: &Backend,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
    let index = backend.index.clone();
    settle(async move { index.set_encryption(&request.input.bucket, None).await }).await?;
    answer(DeleteBucketEncryptionOutput {})
}

fn read(mut rules: Vec<ServerSideEncryptionRule>) -> S3Result<Wanted> {
    let malformed =
        || refuse(S3ErrorCode::MalformedXML, "There must be one rule with one default encryption.");
    let rule = rules.pop().filter(|_| rules.is_empty()).ok_or_else(malformed)?;
    let by_default = rule.apply_server_side_encryption_by_default.ok_or_else(malformed)?;
    let name = by_default.sse_algorithm.as_str();
    let unknown =
        || not_offered(format!("The encryption {name} is not offered: there are aws:kms and AES256."));
    let algorithm = Algorithm::parse(name).ok_or_else(unknown)?;
    let bucket_key = rule.bucket_key_enabled.unwrap_or(false);
    Wanted { algorithm, key: by_default.kms_master_key_id, bucket_key, context: Default::default() }.checked()
}
