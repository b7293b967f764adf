//! What buckets of S3 may be set to and those of this server never are: the answers are those for "not set".

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::{answer, owner};
use crate::backend::Backend;
use crate::error::refuse_as;

/// Operations whose answer for what was never set is a document.
macro_rules! unset {
    ($($name:ident: $input:ident => $output:ident = $answer:expr;)*) => {
        $(pub async fn $name(_: &Backend, _: S3Request<$input>) -> S3Result<S3Response<$output>> {
            answer($answer)
        })*
    };
}

/// Operations whose answer for what was never set is an error.
macro_rules! missing {
    ($($name:ident: $input:ident => $output:ident = $code:literal, $text:literal;)*) => {
        $(pub async fn $name(_: &Backend, _: S3Request<$input>) -> S3Result<S3Response<$output>> {
            Err(refuse_as($code, StatusCode::NOT_FOUND, $text))
        })*
    };
}

unset! {
    versioning: GetBucketVersioningInput => GetBucketVersioningOutput = Default::default();
    logging: GetBucketLoggingInput => GetBucketLoggingOutput = Default::default();
    acceleration:
        GetBucketAccelerateConfigurationInput => GetBucketAccelerateConfigurationOutput = Default::default();
    notification:
        GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput = Default::default();
    payer: GetBucketRequestPaymentInput => GetBucketRequestPaymentOutput =
        GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) };
    ownership: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput = owned_by_the_account();
}

missing! {
    lifecycle: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput =
        "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist";
    replication: GetBucketReplicationInput => GetBucketReplicationOutput =
        "ReplicationConfigurationNotFoundError", "The replication configuration was not found";
    website: GetBucketWebsiteInput => GetBucketWebsiteOutput =
        "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration";
    object_lock: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput =
        "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket";
    public_access: GetPublicAccessBlockInput => GetPublicAccessBlockOutput =
        "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found";
}

/// There are no lists: the account, which owns all, may do all.
pub async fn acl(
    backend: &Backend,
    _: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let owner = owner(backend);
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: owner.id.clone(),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let permission = Some(Permission::from_static(Permission::FULL_CONTROL));
    let grants = Some(vec![Grant { grantee: Some(grantee), permission }]);
    answer(GetBucketAclOutput { grants, owner: Some(owner) })
}

fn owned_by_the_account() -> GetBucketOwnershipControlsOutput {
    let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
    let rules = vec![OwnershipControlsRule { object_ownership }];
    GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) }
}
