//! The table of operations: what s3s reads off the wire, and the function that does it.

use std::sync::Arc;

use access::Access;
use futures_util::future::BoxFuture;
use model::Clock;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result};

use crate::blob::Blobs;
use crate::error::chain;
use crate::index::Index;
use crate::ops;
use crate::permission::Gate;

/// Does the operations; a clone is the same store.
#[derive(Clone)]
pub struct Backend {
    pub access: Arc<Access>,
    pub blobs: Blobs,
    pub clock: Arc<dyn Clock>,
    pub gate: Gate,
    pub index: Index,
}

impl Backend {
    /// The time for new rows: whole seconds, as HTTP dates have no finer ones.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms().div_euclid(1000) * 1000
    }

    /// Removes blobs that nothing names any more, without keeping the client waiting.
    pub fn discard(&self, blobs: Vec<String>) {
        if !blobs.is_empty() {
            let store = self.blobs.clone();
            tokio::spawn(access::about::along(async move { store.discard(blobs).await }));
        }
    }
}

macro_rules! operations {
    ($($name:ident: $input:ident => $output:ident = $function:path;)*) => {
        impl S3 for Backend {
            $(
                fn $name<'life0, 'async_trait>(
                    &'life0 self,
                    request: S3Request<$input>,
                ) -> BoxFuture<'async_trait, S3Result<S3Response<$output>>>
                where
                    'life0: 'async_trait,
                    Self: 'async_trait,
                {
                    Box::pin(async move { $function(self, request).await.inspect_err(|e| log(stringify!($name), e)) })
                }
            )*
        }
    };
}

operations! {
    list_buckets: ListBucketsInput => ListBucketsOutput = ops::bucket::list;
    create_bucket: CreateBucketInput => CreateBucketOutput = ops::bucket::create;
    head_bucket: HeadBucketInput => HeadBucketOutput = ops::bucket::head;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput = ops::bucket::delete;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput = ops::bucket::location;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput = ops::settings::versioning;
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput = ops::settings::acl;
    get_bucket_logging: GetBucketLoggingInput => GetBucketLoggingOutput = ops::settings::logging;
    get_bucket_accelerate_configuration: GetBucketAccelerateConfigurationInput => GetBucketAccelerateConfigurationOutput = ops::settings::acceleration;
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput = ops::settings::notification;
    get_bucket_request_payment: GetBucketRequestPaymentInput => GetBucketRequestPaymentOutput = ops::settings::payer;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput = ops::settings::ownership;
    get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput = ops::settings::lifecycle;
    get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput = ops::settings::replication;
    get_bucket_website: GetBucketWebsiteInput => GetBucketWebsiteOutput = ops::settings::website;
    get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput = ops::settings::object_lock;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput = ops::settings::public_access;
    get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput = ops::cors::get;
    put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput = ops::cors::put;
    delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput = ops::cors::delete;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput = ops::tagging::get;
    put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput = ops::tagging::put;
    delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput = ops::tagging::delete;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput = ops::tagging::of_object;
    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput = ops::policy::get;
    put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput = ops::policy::put;
    delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput = ops::policy::delete;
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput = ops::encryption::get;
    put_bucket_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput = ops::encryption::put;
    delete_bucket_encryption: DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput = ops::encryption::delete;
    list_objects: ListObjectsInput => ListObjectsOutput = ops::list::objects;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output = ops::list::objects_v2;
    list_parts: ListPartsInput => ListPartsOutput = ops::list_uploads::parts;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput = ops::list_uploads::uploads;
    put_object: PutObjectInput => PutObjectOutput = ops::put::object;
    get_object: GetObjectInput => GetObjectOutput = ops::get::object;
    head_object: HeadObjectInput => HeadObjectOutput = ops::get::head;
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput = ops::attributes::get;
    copy_object: CopyObjectInput => CopyObjectOutput = ops::copy::object;
    delete_object: DeleteObjectInput => DeleteObjectOutput = ops::delete::object;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput = ops::delete::objects;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput = ops::upload::create;
    upload_part: UploadPartInput => UploadPartOutput = ops::part::upload;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput = ops::part::copy;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput = ops::upload::complete;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput = ops::upload::abort;
}

fn log(operation: &'static str, error: &S3Error) {
    if error.status_code().is_some_and(|status| status.is_server_error()) {
        tracing::error!(s3.operation = operation, cause = %chain(error), "{operation} failed");
    }
}
